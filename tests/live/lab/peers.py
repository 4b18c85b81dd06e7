# SPDX-License-Identifier: BSD-2-Clause
"""Clients that do one thing exactly, and know their own address and what they saw."""

import contextlib
import socket
import ssl
import struct
import subprocess
import warnings

import hello
from room import Failure

DEADLINE = 60  # of one read: a busy machine is slow, nginx is not

warnings.simplefilter("ignore", DeprecationWarning)  # TLS 1.0 and 1.1 are offered on purpose

VERSIONS = {"1.0": ssl.TLSVersion.TLSv1, "1.1": ssl.TLSVersion.TLSv1_1, "1.2": ssl.TLSVersion.TLSv1_2,
            "1.3": ssl.TLSVersion.TLSv1_3}


class Conversation:
    """One TCP connection from an address of its own."""

    def __init__(self, target, room, before=b""):
        family = socket.AF_INET6 if ":" in target[0] else socket.AF_INET
        self.socket = room.bind_client(socket.socket(family, socket.SOCK_STREAM))
        self.socket.settimeout(DEADLINE)
        self.socket.connect(target)
        self.address, self.port = self.socket.getsockname()[:2]
        self.target = target
        if before:
            self.socket.sendall(before)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def receive(self, size=65536):
        """What comes next; b"" at the end, however it ends."""
        try:
            return self.socket.recv(size)
        except (ConnectionResetError, BrokenPipeError):
            return b""

    def receive_records(self, enough):
        """Whole records until enough(kind, payload) says so; Failure when the peer ends before."""
        buffer = b""
        seen = b""
        while True:
            while len(buffer) >= 5 and len(buffer) >= 5 + struct.unpack_from("!H", buffer, 3)[0]:
                length = struct.unpack_from("!H", buffer, 3)[0]
                seen += buffer[:5 + length]
                if enough(buffer[0], buffer[5:5 + length]):
                    return seen + buffer[5 + length:]
                buffer = buffer[5 + length:]
            more = self.receive()
            if not more:
                raise Failure("the server's flight did not come")
            buffer += more

    def flight(self):
        """The server's first flight: to ServerHelloDone, or in TLS 1.3 to its first encrypted record."""
        def complete(kind, payload):
            return kind == hello.APPLICATION_DATA or (kind == hello.HANDSHAKE and b"\x0e\0\0\0" in payload[-4:])
        return self.receive_records(complete)

    def drain(self):
        """Reads to the end; what was read."""
        data = b""
        while more := self.receive():
            data += more
        return data

    def fin(self):
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


def context(ca=None, versions=("1.2", "1.3"), ciphers=None, curve=None, alpn=None, certificate=None,
            check_hostname=False, level=None):
    """A client's settings; ca of None: it believes everybody."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = check_hostname
    made.verify_mode = ssl.CERT_REQUIRED if ca else ssl.CERT_NONE
    if ca:
        made.load_verify_locations(ca)
    if level is not None:
        made.set_ciphers("DEFAULT@SECLEVEL=%d" % level)
    if ciphers:
        made.set_ciphers(ciphers)
    if curve:
        made.set_ecdh_curve(curve)
    if alpn:
        made.set_alpn_protocols(alpn)
    if certificate:
        made.load_cert_chain(*certificate)
    made.minimum_version, made.maximum_version = VERSIONS[versions[0]], VERSIONS[versions[-1]]
    made.options |= ssl.OP_IGNORE_UNEXPECTED_EOF if hasattr(ssl, "OP_IGNORE_UNEXPECTED_EOF") else 0
    return made


class TlsClient:
    """TLS on memory BIOs over a Conversation, so that bytes can be held back or changed on the way."""

    def __init__(self, talk, settings, name="good.test", session=None):
        self.talk = talk
        self.inbox, self.outbox = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = settings.wrap_bio(self.inbox, self.outbox, server_hostname=name, session=session)

    def flush(self, change=None):
        data = self.outbox.read()
        if data:
            self.talk.send(change(data) if change else data)

    def pump(self, step, change_out=None, change_in=None):
        """Runs a step of OpenSSL's to its end, moving bytes; SSLError passes to the caller, alert sent."""
        while True:
            try:
                result = step()
                self.flush(change_out)
                return result
            except ssl.SSLWantReadError:
                self.flush(change_out)
                data = self.talk.receive()
                if not data:
                    self.inbox.write_eof()
                else:
                    self.inbox.write(change_in(data) if change_in else data)
            except ssl.SSLError:
                with contextlib.suppress(OSError):
                    self.flush()
                raise

    def handshake(self, **changes):
        self.pump(self.tls.do_handshake, **changes)

    def read(self, size=65536):
        """Decrypted bytes; b"" at the end."""
        try:
            return self.pump(lambda: self.tls.read(size))
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return b""

    def write(self, data):
        self.tls.write(data)
        self.flush()

    def close(self):
        """close_notify, then the end of TCP."""
        with contextlib.suppress(ssl.SSLError, OSError):
            try:
                self.tls.unwrap()
            except ssl.SSLError:
                pass
            self.flush()


REQUEST = b"GET %s HTTP/1.1\r\nHost: good.test\r\nConnection: close\r\n\r\n"


def get(client, path="/", keep=False):
    """One request; the whole answer to the end of the connection, or of its declared length with keep."""
    request = REQUEST % path.encode()
    if keep:
        request = request.replace(b"Connection: close\r\n", b"")
    client.write(request)
    answer = b""
    while True:
        more = client.read()
        if not more:
            return answer
        answer += more
        if keep and b"\r\n\r\n" in answer:
            head, _, body = answer.partition(b"\r\n\r\n")
            for line in head.split(b"\r\n"):
                if line.lower().startswith(b"content-length:") and len(body) >= int(line.split(b":")[1]):
                    return answer


def status(answer):
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.") else 0


def program(argv, stdin=b"", seconds=DEADLINE):
    """A peer that is a program of its own; its output, whatever its exit code."""
    done = subprocess.run(argv, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=seconds)
    return done.stdout.decode(errors="replace")
