# SPDX-License-Identifier: BSD-2-Clause
"""
Upstreams that misbehave in one way each, as a process of their own.

It takes a JSON file {"listeners": [[ADDRESS, PORT, BEHAVIOUR], …], "certificates": {…}, "peers": FILE}, says
"ready" when all of them listen, and then obeys lines on stdin: `end BEHAVIOUR` closes its listener,
`fill BEHAVIOUR` fills its accept queue so that further SYNs go unanswered. It answers "done".
"""

import contextlib
import json
import pathlib
import socket
import ssl
import struct
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import hello  # noqa: E402

SECONDS = 60
BEHAVIOURS = {}


def behaviour(function):
    BEHAVIOURS[function.__name__.replace("_", "-")] = function
    return function


def read_record(connection):
    """One TLS record, the client's hello; b"" when the peer ends before."""
    data = b""
    while len(data) < 5 or len(data) < 5 + struct.unpack_from("!H", data, 3)[0]:
        more = connection.recv(65536)
        if not more:
            return b""
        data += more
    return data


def drain(connection):
    with contextlib.suppress(OSError):
        while connection.recv(65536):
            pass


def say_and_end(connection, data):
    """After the hello; then the peer ends first, so that what was said is read and not reset."""
    if read_record(connection):
        connection.sendall(data)
        drain(connection)


@behaviour
def plain_http(connection, _):
    say_and_end(connection, b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


@behaviour
def banner(connection, _):
    # Not before nginx has begun TLS: else it takes the banner for an answer of HTTP/0.9.
    connection.recv(1, socket.MSG_PEEK)
    connection.sendall(b"220 mail.test ESMTP\r\n")
    drain(connection)


@behaviour
def two_bytes(connection, _):
    if read_record(connection):
        connection.sendall(b"\x16\x03")
        connection.shutdown(socket.SHUT_WR)
        drain(connection)


@behaviour
def close_on_accept(connection, _):
    pass


@behaviour
def close_after_hello(connection, _):
    read_record(connection)


@behaviour
def reset_after_hello(connection, _):
    read_record(connection)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@behaviour
def silent(connection, _):
    drain(connection)


@behaviour
def silent_after_server_hello(connection, _):
    renegotiation = hello.extension(0xFF01, b"\0")
    say_and_end(connection, hello.server_hello(extensions=renegotiation))


@behaviour
def alert_internal(connection, _):
    say_and_end(connection, hello.alert(2, 80))


@behaviour
def malformed_hello(connection, _):
    # An extension list that says it is longer than it is.
    say_and_end(connection, hello.server_hello(extensions=b"\xff\x01\x00\x40\x00"))


@behaviour
def legacy_renegotiation(connection, _):
    say_and_end(connection, hello.server_hello())


def tls(connection, certificates, version, authority=None):
    settings = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    settings.load_cert_chain(certificates["good.pem"], certificates["good.key"])
    settings.minimum_version = settings.maximum_version = version
    if authority:
        settings.verify_mode = ssl.CERT_REQUIRED
        settings.load_verify_locations(certificates[authority])
    with contextlib.suppress(OSError), settings.wrap_socket(connection, server_side=True) as secure:
        request = b""
        while b"\r\n\r\n" not in request:
            more = secure.recv(65536)
            if not more:
                return
            request += more
        secure.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nok\n")
        with contextlib.suppress(OSError):
            secure.unwrap()
    # An alert must be read before the connection ends: no reset for what nginx had sent meanwhile.
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_WR)
        drain(connection)


def verifying(version):
    def wants(connection, certificates):
        # wrap_socket takes the socket away; keep ours so that the end is a FIN.
        with socket.socket(fileno=connection.detach()) as raw:
            raw.settimeout(SECONDS)
            tls_of_bio(raw, certificates, version, "ca.pem")
    return wants


def tls_of_bio(raw, certificates, version, authority):
    """A server that verifies, on memory BIOs: its refusal goes out, and nginx closes first."""
    settings = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    settings.load_cert_chain(certificates["good.pem"], certificates["good.key"])
    settings.minimum_version = settings.maximum_version = version
    settings.verify_mode = ssl.CERT_REQUIRED
    settings.load_verify_locations(certificates[authority])
    inbox, outbox = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = settings.wrap_bio(inbox, outbox, server_side=True)
    answered = False
    while True:
        try:
            server.do_handshake()
            if not answered:
                server.read(65536)
                server.write(b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nok\n")
                answered = True
                with contextlib.suppress(ssl.SSLError):
                    server.unwrap()
                raw.sendall(outbox.read())
                break
        except ssl.SSLWantReadError:
            raw.sendall(outbox.read())
            data = raw.recv(65536)
            if not data:
                return
            inbox.write(data)
        except ssl.SSLError:
            raw.sendall(outbox.read())
            break
    drain(raw)


BEHAVIOURS["wants-certificate-12"] = verifying(ssl.TLSVersion.TLSv1_2)
BEHAVIOURS["wants-certificate-13"] = verifying(ssl.TLSVersion.TLSv1_3)


@behaviour
def gone(connection, certificates):
    tls(connection, certificates, ssl.TLSVersion.TLSv1_3)


@behaviour
def full(connection, certificates):
    tls(connection, certificates, ssl.TLSVersion.TLSv1_3)


@behaviour
def foreign(connection, certificates):
    tls(connection, certificates, ssl.TLSVersion.TLSv1_3)


class Listener:
    def __init__(self, address, port, name, certificates, peers):
        self.name, self.certificates, self.peers = name, certificates, peers
        self.target = (address, port)
        self.socket = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
        if name == "foreign":
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.target)
        self.socket.listen(0 if name == "full" else 256)
        self.fillers = []
        self.accepting = threading.Event()
        self.accepting.set()
        # Only a poll can be interrupted: close() does not wake a thread in accept().
        self.socket.settimeout(0.05)
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while self.accepting.is_set():
            try:
                connection, peer = self.socket.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            if self.name == "foreign":
                with open(self.peers, "a") as log:
                    log.write("%s %d\n" % peer[:2])
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        connection.settimeout(SECONDS)
        with contextlib.suppress(OSError), connection:
            BEHAVIOURS[self.name](connection, self.certificates)

    def end(self):
        self.accepting.clear()
        self.thread.join()
        self.socket.close()

    def fill(self):
        """The kernel drops a SYN when more than `backlog` connections wait to be accepted."""
        self.accepting.clear()
        self.thread.join()
        while True:
            filler = socket.socket()
            filler.settimeout(0.3)
            try:
                filler.connect(self.target)
                self.fillers.append(filler)
            except TimeoutError:
                filler.close()
                return


def main():
    orders = json.loads(pathlib.Path(sys.argv[1]).read_text())
    listeners = {}
    for address, port, name in orders["listeners"]:
        listeners[name] = Listener(address, port, name, orders["certificates"], orders["peers"])
    print("ready", flush=True)
    for line in sys.stdin:
        verb, name = line.split()
        if verb == "end":
            listeners[name].end()
        elif verb == "fill":
            listeners[name].fill()
        print("done", flush=True)


if __name__ == "__main__":
    main()
