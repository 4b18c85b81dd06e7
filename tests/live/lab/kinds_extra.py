# SPDX-License-Identifier: BSD-2-Clause
"""
The second set: hellos that arrive on the listening socket, a port shared with a foreign process, early
data, a certificate by variable that does not exist, and an innocent handshake beside a dying connection.
"""

import contextlib
import socket
import ssl

import hello
import peers
from kinds_client import after, by_fin, flip_last, half_hello, raw, read_one, refused, refusal, s_client
from truth import aborted, established, failed, kind, rejected

NO_FILE = ("80000002", "10000080")  # fopen's errno, BIO_R_NO_SUCH_FILE


def good(name, listener, weight=24, v6=True, server="good.test", **settings):
    @kind(name, weight, v6, "extra")
    def one(traffic, ipv6):
        with traffic.open(listener, established(), ipv6=ipv6) as talk:
            client = traffic.secure(talk, server, **settings)
            peers.get(client)
            client.close()


good("deferred-13", "deferred", 40, versions=("1.3",))
good("deferred-12", "deferred", 40, versions=("1.2",))
good("early-listener-13", "early", 30, versions=("1.3",))
good("early-listener-12", "early", 30, versions=("1.2",))


def extra(register, *arguments, **options):
    """A kind of the usual set's making, in this set."""
    from truth import KINDS
    register(*arguments, **options)
    KINDS[arguments[0]].group = "extra"


def refuses(causes, *codes, **more):
    return lambda: failed(causes, *codes, **more)


extra(refused, "deferred-too-old", "deferred", refusal("client-protocol-too-old", "0A000102"), 16,
      versions=("1.0", "1.1"), level=0)
extra(refused, "deferred-unknown-ca", "deferred", refusal("client-rejects-unknown-ca", "0A000418"), 16,
      ca=lambda t: t.ca("other"))
extra(raw, "deferred-plain-http", "deferred", lambda: rejected("plain-http-on-tls-port", "plain-http", calls=False),
      lambda: peers.REQUEST % b"/")
extra(after, "deferred-half-hello-fin", "deferred",
      lambda: aborted("client-closed-in-handshake", "peer-closed", calls=True, sni=None), half_hello, by_fin, flight=False)

extra(refused, "early-too-old", "early", refusal("client-protocol-too-old", "0A000102"), 16,
      versions=("1.0", "1.1"), level=0)
extra(refused, "early-unknown-ca", "early", refusal("client-rejects-unknown-ca", "0A000418"), 16,
      versions=("1.3",), ca=lambda t: t.ca("other"))
extra(refused, "early-sni-rejected", "early-rejects", refusal("sni-not-served", "0A0000EA"), 16, server="nobody.test")
extra(after, "early-fin-after-flight", "early",
      lambda: aborted("client-closed-in-handshake", "peer-closed", calls=True, sni="good.test"), hello.hello_13, by_fin)

extra(refused, "certificate-missing", "variable",
      lambda server: failed("server-internal", "0A000179", lines=("failed", "cannot-load"), evidence=NO_FILE, sni=server),
      30, server="absent.test")
good("certificate-by-variable", "variable", 16, server="good")


@kind("early-data", 12, v6=False, group="extra")
def early_data(traffic, _):
    """A TLS 1.3 session, and then a request in the first flight."""
    room = traffic.premises.room
    source, port, target = traffic.program("early", established(version="TLSv1.3", sni="good.test", resumed=False))
    session = str(room.where / ("session-" + source))
    request = peers.REQUEST % b"/"
    peers.program(s_client(source, port, target, "-tls1_3", "-sess_out", session, "-ign_eof"), stdin=request)
    source, port, target = traffic.program("early", established(version="TLSv1.3", sni="good.test", resumed=True))
    out = peers.program(s_client(source, port, target, "-tls1_3", "-sess_in", session, "-ign_eof", "-early_data",
                                 room.make("early-" + source, request.decode())))
    assert "Early data was accepted" in out, out


@kind("fastopen", 40, v6=False, group="extra")
def fast_open(traffic, _):
    """The hello rides in the SYN."""
    premises = traffic.premises
    target = premises.target("fastopen")
    opening = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = traffic.context().wrap_bio(*opening, server_hostname="good.test")
    with contextlib.suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    talk = peers.Conversation.__new__(peers.Conversation)
    talk.socket, talk.target = socket.socket(), target
    talk.socket.bind((premises.room.source(), 0))
    data = opening[1].read()
    # A socket with a timeout would not wait for the connection.
    sent = talk.socket.sendto(data, socket.MSG_FASTOPEN, target)
    talk.socket.settimeout(peers.DEADLINE)
    talk.address, talk.port = talk.socket.getsockname()
    talk.truth = traffic.tell((talk.address, talk.port), target, established(sni="good.test"))
    # struct tcp_info: tcpi_options, TCPI_OPT_SYN_DATA. Without the right to set the sysctl it is a plain hello.
    options = talk.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 8)[5]
    with talk:
        if premises.fast_open and not options & 32:
            raise AssertionError("the hello did not ride in the SYN")
        if sent < len(data):
            talk.send(data[sent:])
        client = peers.TlsClient.__new__(peers.TlsClient)
        client.talk, (client.inbox, client.outbox), client.tls = talk, opening, tls
        client.handshake()
        peers.get(client)
        client.close()


@kind("reuseport", 80, v6=False, group="extra")
def reuse_port(traffic, _):
    """The kernel deals these out between nginx's workers and a foreign process."""
    with traffic.open("reuseport", established(sni="good.test")) as talk:
        client = peers.TlsClient(talk, traffic.context(versions=("1.3",)))
        client.handshake()
        peers.get(client)
        client.close()


@kind("reuseport-fin", 24, v6=False, group="extra")
def reuse_port_fin(traffic, _):
    expect = aborted("client-closed-in-handshake", "peer-closed", calls=True, sni="good.test")
    with traffic.open("reuseport", expect) as talk:
        talk.send(hello.hello_13())
        talk.flight()
        by_fin(talk)


# ---- an innocent beside one that fails (one after the other, for who is next must be known) -------


def begun(talk, traffic, versions):
    """A client in mid-handshake: its hello is sent, its Finished is ready and not sent."""
    client = peers.TlsClient(talk, traffic.context(versions=versions))
    with contextlib.suppress(ssl.SSLWantReadError):
        client.tls.do_handshake()
    client.flush()
    return client


@kind("innocent-beside-alert", 4, v6=False, group="serial")
def innocent_beside_alert(traffic, _):
    """An established connection sends a fatal alert while others are in mid-handshake."""
    for versions in (("1.2",), ("1.3",)):
        with contextlib.ExitStack() as stack:
            others = []
            for _ in range(4):
                talk = stack.enter_context(traffic.open("tls", established(sni="good.test")))
                others.append(begun(talk, traffic, versions))
            expect = failed("client-aborts-with-alert", "0A0003FC", lines=("late",), late="must", sni="good.test")
            talk = stack.enter_context(traffic.open("tls", expect))
            dying = peers.TlsClient(talk, traffic.context(versions=("1.3",)))
            dying.handshake()
            dying.inbox.write(flip_last(read_one(talk)))
            with contextlib.suppress(ssl.SSLError):
                dying.read()
            talk.fin()
            talk.drain()
            for other in others:
                other.handshake()
                peers.get(other)
                other.close()


@kind("innocent-beside-stale", 6, v6=False, group="serial")
def innocent_beside_stale(traffic, _):
    """
    SSL_shutdown of a dying connection reads a fatal alert, returns 1 and leaves its code in the queue;
    nginx drains it before that worker's next call for somebody else: `ignoring stale global SSL error`.
    A stream listener that answers at once and closes does that when Finished and alert come together
    (http never reads in SSL_shutdown).
    """
    with contextlib.ExitStack() as stack:
        talk = stack.enter_context(traffic.open("stream", established(sni="good.test", late="stale")))
        dying = begun(talk, traffic, ("1.3",))
        others = []
        for _ in range(8):
            other = stack.enter_context(traffic.open("tls", established(sni="good.test")))
            others.append(begun(other, traffic, ("1.2",)))
        for other in others:
            other.inbox.write(other.talk.flight())
        dying.inbox.write(talk.flight())
        dying.inbox.write(bytes.fromhex("1703030020") + bytes(32))  # a record that nginx never sent
        dying.tls.do_handshake()
        with contextlib.suppress(ssl.SSLError):
            dying.tls.read()
        dying.flush()
        talk.drain()
        for other in others:
            other.handshake()
            peers.get(other)
            other.close()
        # The code stays with its worker: go on until connections came to both.
        answers = set()
        for _ in range(400):
            with traffic.open("stream", established()) as talk:
                client = traffic.secure(talk)
                answers.add(client.read())
                client.close()
            if len(answers) == 2:
                return
        raise AssertionError("no connection came to the other worker")
