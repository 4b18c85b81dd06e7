# SPDX-License-Identifier: BSD-2-Clause
"""
nginx's error log, read as facts about handshakes.

Every client has an address of its own, but for ::1, of which there is only one: there a line is joined
with its port by the connection number, for `debug_connection ::1` makes nginx log `*N accept: [::1]:PORT`.
"""

import dataclasses
import re

START = re.compile(rb"^(\d{4}/\d\d/\d\d \d\d:\d\d:\d\d) \[(\w+)\] (\d+)#(\d+): (?:\*(\d+) )?", re.M)
SSL_TEXT = re.compile(r"\(SSL: (.*?)\)(?= while |, |$)", re.S)
CODE = re.compile(r"error:([0-9A-F]{8}):")
CONTEXT = re.compile(r", client: ([^, ]+)(?: using starttls)?(?:, server: ([^,]*))?", re.S)
UPSTREAM = re.compile(r'upstream: "(?:(?:https?|grpcs?)://)?(\[[0-9a-fA-F:.]+\]:\d+|[0-9.]+:\d+)')
ACCEPT = re.compile(r"^accept: (.+):(\d+) fd:\d+")
VERIFY = re.compile(r"SSL certificate verify error: \((\d+):([^)]*)\)")

# What a line says: the first pattern that is found in it. Names that start with "-" are lines which
# other lines explain and that need no record of their own.
KINDS = (
    ("stale", re.compile(r"^ignoring stale global SSL error")),
    ("cannot-load", re.compile(r"^(cannot load certificate|SSL_use_certificate\(|SSL_use_PrivateKey\()")),
    ("failed", re.compile(r"^SSL_(do_handshake|read_early_data)\(\) failed \(SSL: ")),
    ("failed", re.compile(r"^SSL_(do_handshake|read_early_data)\(\) failed while SSL handshaking")),
    ("late", re.compile(r"^SSL_(read|write|shutdown)\(\) failed \(SSL: ")),
    ("peer-reset", re.compile(r"^peer closed connection in SSL handshake \(\d+: ")),
    ("peer-closed", re.compile(r"^peer closed connection in SSL handshake")),
    ("rejected", re.compile(r"^handshake rejected while SSL handshaking")),
    ("timed-out", re.compile(r"^client timed out \(\d+: [^)]*\) while SSL handshaking")),
    ("timed-out", re.compile(r"^upstream timed out \(\d+: [^)]*\) while SSL handshaking to upstream")),
    ("connect-timed-out", re.compile(r"^upstream timed out \(\d+: [^)]*\) while connecting to upstream")),
    ("premature", re.compile(r"^upstream prematurely closed connection while (reading response header|SSL)")),
    ("connect-failed", re.compile(r"^connect\(\) failed \(\d+: ")),
    ("closed-before-hello", re.compile(r"^client closed connection while SSL handshaking")),
    ("reset-before-hello", re.compile(r"^recv\(\) failed \(\d+: [^)]*\) while SSL handshaking")),
    ("broken-header", re.compile(r"^(broken header: |unknown PROXY protocol version|header is too large)")),
    ("broken-header", re.compile(r"while reading PROXY protocol")),
    ("plain-http", re.compile(r"^client sent plain HTTP request to HTTPS port")),
    ("no-certificate", re.compile(r"^client sent no required SSL certificate")),
    ("verify-error", re.compile(r"SSL certificate verify error: ")),
    ("name-mismatch", re.compile(r"^upstream SSL certificate does not match ")),
    ("invalid-request", re.compile(r"^client sent invalid (request|method)")),
)


@dataclasses.dataclass
class Line:
    time: str
    level: str
    pid: int
    number: int  # nginx's connection number, 0 without one
    kind: str
    side: str  # client, upstream
    message: str
    text: str = None  # inside (SSL: …)
    codes: tuple = ()
    client: str = None
    client_port: int = 0  # 0: the address alone says who it is
    server: str = None
    upstream: str = None  # ADDRESS:PORT
    verify: int = None

    def __str__(self):
        return "%s [%s] %d *%d %s" % (self.time, self.level, self.pid, self.number, self.message)


def split(data):
    """(match of the start, message) of every entry; an entry may hold raw bytes, newlines among them."""
    starts = list(START.finditer(data))
    for start, following in zip(starts, starts[1:] + [None]):
        end = following.start() if following else len(data)
        yield start, data[start.end():end].decode("latin-1").rstrip("\n")


def plain(address):
    """nginx writes ::ffff:127.0.0.1 where the socket is one of both families."""
    return address[7:] if address.lower().startswith("::ffff:") else address


def classify(message):
    for kind, pattern in KINDS:
        if pattern.search(message):
            return kind
    return None


def parse(data):
    """The lines that are about a handshake, in order; data are the bytes of the log."""
    accepted, lines = {}, []
    for start, message in split(data):
        number = int(start[5] or 0)
        accept = ACCEPT.match(message)
        if accept:
            accepted[number] = (plain(accept[1].strip("[]")), int(accept[2]))
            continue
        level = start[2].decode()
        kind = classify(message) if level != "debug" else None
        if kind is None:
            continue
        upstream_side = "to upstream" in message or "from upstream" in message or message.startswith("upstream ")
        line = Line(start[1].decode(), level, int(start[3]), number, kind,
                    "upstream" if upstream_side else "client", message)
        text = SSL_TEXT.search(message)
        if text:
            line.text = text[1]
            line.codes = tuple(CODE.findall(text[1]))
        # What a peer sent comes before nginx's own words: the last ", client:" is nginx's.
        contexts = list(CONTEXT.finditer(message))
        if contexts:
            line.client = plain(contexts[-1][1])
            line.server = contexts[-1][2]
        if line.client and line.client == "::1" and number in accepted:
            line.client_port = accepted[number][1]
        upstream = UPSTREAM.search(message)
        if upstream and upstream_side:
            line.upstream = upstream[1].replace("[", "").replace("]", "")
        verify = VERIFY.search(message)
        if verify:
            line.verify = int(verify[1])
        lines.append(line)
    return lines


def parse_file(path):
    try:
        with open(path, "rb") as log:
            return parse(log.read())
    except FileNotFoundError:
        return []
