# SPDX-License-Identifier: BSD-2-Clause
"""The kinds of connections to nginx: good ones, and clients that fail in one way each."""

import contextlib
import socket
import ssl
import threading

import hello
import peers
from truth import aborted, established, failed, kind, rejected, timed_out

# ---- handshakes that succeed ---------------------------------------------------------------------


def full(name, listener="tls", weight=12, request=True, v6=True, server="good.test", **settings):
    @kind(name, weight, v6)
    def one(traffic, ipv6):
        with traffic.open(listener, established(), ipv6=ipv6) as talk:
            client = traffic.secure(talk, server, **settings)
            if request:
                peers.get(client)
            client.close()


full("tls13-full", weight=240, versions=("1.3",))
full("tls12-full", weight=200, versions=("1.2",))
full("tls13-ec", "ec", 40, versions=("1.3",))
full("tls12-ec", "ec", 40, versions=("1.2",))
full("tls13-hello-retry", "p384", 30, versions=("1.3",))
full("http2-alpn", "h2", 20, request=False, alpn=["h2", "http/1.1"])
full("http1-alpn", "tls", 20, alpn=["http/1.1"])
full("stream-tls13", "stream", 40, request=False, versions=("1.3",))
full("stream-tls12", "stream", 40, request=False, versions=("1.2",))
full("smtps", "smtps", 10, request=False)
full("mapped-address", "mapped", 10, v6=False)
full("without-sni", "tls", 10, server=None)
full("served-by-reject", "rejects", 10, server="served.test")
full("invalid-sni-declined", "tls", 8, server="bad/name")


def resumed(name, listener, weight, **settings):
    @kind(name, weight)
    def one(traffic, ipv6):
        session = None
        for _ in range(2):
            with traffic.open(listener, established(), ipv6=ipv6) as talk:
                client = traffic.secure(talk, session=session, **settings)
                peers.get(client)
                session = client.tls.session
                client.close()
        if not talk.truth.expects[0].resumed:
            raise AssertionError("the session was not resumed")


resumed("tls13-resumed", "tls", 120, versions=("1.3",))
resumed("tls12-resumed-ticket", "tls", 120, versions=("1.2",))
resumed("tls12-resumed-id", "session-id", 60, versions=("1.2",))


@kind("keep-alive", 20)
def keep_alive(traffic, ipv6):
    with traffic.open("tls", established(), ipv6=ipv6) as talk:
        client = traffic.secure(talk)
        for _ in range(10):
            peers.get(client, keep=True)
        client.close()


@kind("mtls-good", 20)
def mtls_good(traffic, ipv6):
    with traffic.open("mtls", established(), ipv6=ipv6) as talk:
        client = traffic.secure(talk, certificate=traffic.pair("client"))
        assert peers.status(peers.get(client)) == 200
        client.close()


@kind("mtls-leaves-before-request", 8)
def mtls_leaves(traffic, ipv6):
    with traffic.open("mtls", established(), ipv6=ipv6) as talk:
        traffic.secure(talk).close()
        talk.fin()
        talk.drain()


@kind("mtls-optional-no-ca", 8)
def mtls_optional(traffic, ipv6):
    with traffic.open("mtls-any", established(), ipv6=ipv6) as talk:
        client = traffic.secure(talk, certificate=traffic.pair("client-foreign"))
        assert peers.status(peers.get(client)) == 200
        client.close()


@kind("proxy-protocol-good", 16)
def proxy_protocol_good(traffic, ipv6):
    real = ("2001:db8::7", 4711) if ipv6 else ("192.0.2.7", 4711)
    header = hello.proxy_v2 if ipv6 else hello.proxy_v1
    target = traffic.premises.target("proxied", ipv6)
    server = ("2001:db8::1", 443) if ipv6 else target
    with traffic.open("proxied", established(proxied=real), ipv6=ipv6, before=header(real, server)) as talk:
        client = traffic.secure(talk)
        peers.get(client)
        client.close()


@kind("starttls", 8)
def starttls(traffic, ipv6):
    with traffic.open("starttls", established(), ipv6=ipv6) as talk:
        talk.receive()
        talk.send(b"EHLO client.test\r\n")
        talk.receive()
        talk.send(b"STARTTLS\r\n")
        talk.receive()
        traffic.secure(talk).close()


@kind("curl-hostname", 6, v6=False)
def curl_hostname(traffic, _):
    """curl checks the name after its Finished: for nginx the handshake is complete."""
    source, port, target = traffic.program("tls", established(version="TLSv1.3", sni="wrong.other"))
    out = peers.program(["curl", "-sS", "--interface", source, "--local-port", str(port), "--cacert", traffic.ca(),
                         "--connect-to", "wrong.other:443:%s:%d" % target, "https://wrong.other/"])
    assert "no alternative certificate" in out, out


@kind("openssl-good", 6, v6=False)
def openssl_good(traffic, _):
    source, port, target = traffic.program("tls", established(version="TLSv1.2", sni="good.test"))
    peers.program(s_client(source, port, target, "-tls1_2"))


# ---- connections that must leave no record -------------------------------------------------------


@kind("decoy-plain-listener", 30)
def decoy_plain(traffic, ipv6):
    with traffic.open("plain", ipv6=ipv6) as talk:
        talk.send(peers.REQUEST % b"/")
        assert peers.status(talk.drain()) == 200


@kind("decoy-foreign-server", 20, v6=False)
def decoy_foreign(traffic, _):
    """A TLS server of the same nginx program and library that is not the one traced."""
    target = traffic.premises.upstream("good")
    with peers.Conversation(target, traffic.premises.room) as talk:
        talk.truth = traffic.tell((talk.address, talk.port), target)
        client = peers.TlsClient(talk, traffic.context())
        client.handshake()
        client.close()


# ---- refused by OpenSSL, either end's choice -----------------------------------------------------


def refused(name, listener, expect, weight=12, server="good.test", v6=True, **settings):
    """A client of OpenSSL's that cannot come to terms; settings may name files by a function."""
    @kind(name, weight, v6)
    def one(traffic, ipv6):
        made = {k: v(traffic) if callable(v) else v for k, v in settings.items()}
        with traffic.open(listener, expect(server), ipv6=ipv6) as talk:
            client = peers.TlsClient(talk, traffic.context(**made), server)
            try:
                client.handshake()
            except ssl.SSLError:
                # nginx ends its half when it has read the alert.
                talk.fin()
                talk.drain()
                return
        raise AssertionError("the handshake succeeded")


def refusal(causes, *codes, **more):
    return lambda server: failed(causes, *codes, sni=server, **more)


refused("protocol-too-old", "tls", refusal("client-protocol-too-old", "0A000102"), 30, versions=("1.0", "1.1"), level=0)
refused("protocol-too-old-13", "only-13", refusal("client-protocol-too-old", "0A000102"), versions=("1.2",))
refused("protocol-too-new", "only-12", refusal("client-protocol-too-new", "0A000102"), 16, versions=("1.3",))
refused("no-shared-cipher", "aes256", refusal("no-shared-cipher", "0A0000C1"), 30, versions=("1.2",),
        ciphers="ECDHE-RSA-AES128-GCM-SHA256")
# Which certificate is served is not on the wire of a refusal: only what was seen before can tell.
refused("cipher-for-certificate", "ec", refusal(("no-cipher-for-certificate-type", "no-shared-cipher"), "0A0000C1"),
        versions=("1.2",),
        ciphers="ECDHE-RSA-AES128-GCM-SHA256")
refused("no-shared-group-13", "p384", refusal("no-shared-group", "0A000065"), versions=("1.3",), curve="prime256v1")
refused("no-shared-group-12", "p384", refusal("no-shared-group", "0A0000C1"), versions=("1.2",), curve="prime256v1",
        ciphers="ECDHE-RSA-AES128-GCM-SHA256")
refused("unknown-ca-13", "tls", refusal("client-rejects-unknown-ca", "0A000418"), 30, versions=("1.3",),
        ca=lambda t: t.ca("other"))
refused("unknown-ca-12", "tls", refusal("client-rejects-unknown-ca", "0A000418"), 30, versions=("1.2",),
        ca=lambda t: t.ca("other"))
# The names of the certificate served are encrypted in TLS 1.3.
HOSTNAME = ("client-rejects-hostname", "client-rejects-certificate")
refused("hostname-13", "tls", refusal(HOSTNAME, "0A000412"), 20, server="wrong.other",
        versions=("1.3",), ca=lambda t: t.ca(), check_hostname=True)
refused("hostname-12", "tls", refusal(HOSTNAME, "0A000412"), 20, server="wrong.other",
        versions=("1.2",), ca=lambda t: t.ca(), check_hostname=True)
refused("expired-13", "expired", refusal("client-rejects-expired-certificate", "0A000415"), 16, versions=("1.3",),
        ca=lambda t: t.ca())
refused("expired-12", "expired", refusal("client-rejects-expired-certificate", "0A000415"), 16, versions=("1.2",),
        ca=lambda t: t.ca())
refused("no-shared-alpn", "tls", refusal("no-shared-alpn", "0A0000EB"), 20, alpn=["foo"])
refused("sni-rejected", "rejects", lambda server: failed("sni-not-served", lines=("rejected",), sni=server), 30,
        server="nobody.test")
refused("sni-rejected-absent", "rejects", lambda server: failed("sni-not-served", lines=("rejected",), sni=server),
        server=None)
refused("stream-no-protocol", "stream", refusal("client-protocol-too-old", "0A000102"), versions=("1.0", "1.1"), level=0)
refused("stream-unknown-ca", "stream", refusal("client-rejects-unknown-ca", "0A000418"), ca=lambda t: t.ca("other"))
refused("smtps-unknown-ca", "smtps", refusal("client-rejects-unknown-ca", "0A000418"), 6, ca=lambda t: t.ca("other"))


# ---- raw bytes -----------------------------------------------------------------------------------


def raw(name, listener, expect, opening, weight=12, v6=True):
    """Sends an opening and waits for nginx to end the connection."""
    @kind(name, weight, v6)
    def one(traffic, ipv6):
        with traffic.open(listener, expect(), ipv6=ipv6) as talk:
            talk.send(opening())
            talk.drain()


def refuses(causes, *codes, **more):
    return lambda: failed(causes, *codes, **more)


raw("ssl3-hello", "tls", refuses("client-protocol-too-old", "0A00018C"),
    lambda: hello.record(hello.HANDSHAKE, hello.client_hello(legacy=0x0300), 0x0300))
raw("no-signature-algorithm", "tls", refuses("no-shared-signature-algorithm", "0A000076", sni="good.test"),
    lambda: hello.hello_13(signatures=(0x0403,)))
raw("no-key-share", "tls", refuses("malformed-hello", "0A000065"), lambda: hello.hello_13(key_share=False))
raw("fallback-scsv", "tls", refuses("fallback-refused", "0A000175", sni="good.test"),
    lambda: hello.hello_12(ciphers=hello.CIPHERS_12 + (hello.FALLBACK_SCSV,)))
raw("hello-cut-extensions", "tls", refuses("malformed-hello", "0A00006E"), lambda: hello.cut_extensions("good.test"))
raw("hello-session-length", "tls", refuses("malformed-hello", "0A00009F"), lambda: hello.hello_12(session=b"\1" * 40))
raw("hello-record-version", "tls", refuses("malformed-hello", "0A00010B"),
    lambda: hello.record(hello.HANDSHAKE, hello.client_hello(), 0x0901))
raw("hello-record-length", "tls", refuses("malformed-hello", "0A0000C6"), lambda: b"\x16\x03\x01\xff\xff" + b"\1" * 64)
raw("hello-handshake-length", "tls", refuses("malformed-hello", "0A000098"),
    lambda: hello.record(hello.HANDSHAKE, b"\1\xff\xff\xff" + b"\0" * 64))
raw("client-key-exchange-first", "tls", refuses("malformed-hello", "0A0000F4"),
    lambda: hello.record(hello.HANDSHAKE, b"\x10\0\0\4\0\0\0\0"))
raw("duplicate-extension", "tls", refuses("malformed-hello", "0A00006E"),
    lambda: hello.hello_12(extra=hello.extension(23, b"")))
raw("no-null-compression", "tls", refuses("malformed-hello", "0A0000BB"), lambda: hello.hello_12(compression=b"\1"))
raw("ssl2-hello", "tls", refuses("not-tls", "0A0000FC"), hello.hello_ssl2)
raw("stream-ssh", "stream", refuses("not-tls", "0A00010B"), lambda: b"SSH-2.0-OpenSSH_9.2p1\r\n")
raw("stream-plain-http", "stream", refuses("plain-http-on-tls-port", "0A00009C"), lambda: peers.REQUEST % b"/")
raw("stream-proxy-header", "stream", refuses("proxy-protocol-unexpected", "0A00010B"),
    lambda: hello.proxy_v1(("192.0.2.7", 4711), ("192.0.2.1", 443)) + hello.hello_12())

raw("plain-http", "tls", lambda: rejected("plain-http-on-tls-port", "plain-http", calls=False),
    lambda: peers.REQUEST % b"/", 30)
raw("http-ssh", "tls", lambda: rejected("not-tls", "invalid-request", calls=False),
    lambda: b"SSH-2.0-OpenSSH_9.2p1\r\n\r\n", 16)
raw("http-proxy-header", "tls", lambda: rejected("proxy-protocol-unexpected", "invalid-request", calls=False),
    lambda: hello.proxy_v1(("192.0.2.7", 4711), ("192.0.2.1", 443)))
raw("proxy-header-missing", "proxied", lambda: rejected("proxy-protocol-missing", "broken-header", calls=False),
    hello.hello_12, 16)
raw("proxy-header-broken", "proxied", lambda: rejected("proxy-protocol-broken", "broken-header", calls=False),
    lambda: b"PROXY FOO 1.2.3.4 5 6\r\n", 16)
raw("proxy-header-half", "proxied", lambda: rejected("proxy-protocol-broken", "broken-header", calls=False),
    lambda: b"PROXY TCP4 192.0.2.7 192")
raw("proxy-header-version", "proxied", lambda: rejected("proxy-protocol-broken", "broken-header", calls=False),
    lambda: hello.proxy_v2(("192.0.2.7", 4711), ("192.0.2.1", 443), 3))


@kind("starttls-not-tls", 6)
def starttls_not_tls(traffic, ipv6):
    with traffic.open("starttls", failed("not-tls", "0A00010B"), ipv6=ipv6) as talk:
        talk.receive()
        talk.send(b"EHLO client.test\r\n")
        talk.receive()
        talk.send(b"STARTTLS\r\n")
        talk.receive()
        talk.send(b"MAIL FROM:<a@b.test>\r\n")
        talk.drain()


# ---- ends ----------------------------------------------------------------------------------------


def after(name, listener, expect, opening, end, weight=12, flight=True):
    """Sends an opening, waits for the server's flight and ends in one way."""
    @kind(name, weight)
    def one(traffic, ipv6):
        with traffic.open(listener, expect(), ipv6=ipv6) as talk:
            if opening:
                talk.send(opening())
            if flight:
                talk.flight()
            end(talk)


def by_fin(talk):
    talk.fin()
    talk.drain()


def by_reset(talk):
    talk.reset()


def by_bytes(data):
    def end(talk):
        talk.send(data)
        by_fin(talk)
    return end


def half_hello():
    return hello.hello_12()[:60]


def closes(*lines, calls=True, sni="good.test"):
    return lambda: aborted("client-closed-in-handshake", *lines, calls=calls, sni=sni)


def resets(*lines, calls=True, sni="good.test"):
    return lambda: aborted("client-reset-in-handshake", *lines, calls=calls, sni=sni)


after("fin-after-flight-12", "tls", closes("peer-closed"), hello.hello_12, by_fin, 20)
after("fin-after-flight-13", "tls", closes("peer-closed"), hello.hello_13, by_fin, 20)
after("reset-after-flight-12", "tls", resets("peer-reset"), hello.hello_12, by_reset, 20)
after("reset-after-flight-13", "tls", resets("peer-reset"), hello.hello_13, by_reset, 20)
after("stream-fin-after-flight", "stream", closes("peer-closed"), hello.hello_12, by_fin)
after("stream-reset-after-flight", "stream", resets("peer-reset"), hello.hello_13, by_reset)
after("half-hello-fin", "tls", closes("peer-closed", sni=None), half_hello, by_fin, flight=False)
after("stream-half-hello-fin", "stream", closes("peer-closed", sni=None), half_hello, by_fin, flight=False)
after("connect-close", "tls", lambda: aborted("client-closed-before-hello", "closed-before-hello", calls=False),
      None, by_fin, 30, flight=False)
after("connect-reset", "tls", lambda: aborted("client-closed-before-hello", "reset-before-hello", calls=False),
      None, by_reset, flight=False)
after("stream-connect-close", "stream", lambda: aborted("client-closed-before-hello", "peer-closed", calls=True),
      None, by_fin, flight=False)
after("proxied-connect-close", "proxied", lambda: aborted("client-closed-before-hello", "broken-header", calls=False),
      None, by_fin, flight=False)
after("stream-few-bytes", "stream", lambda: aborted(("not-tls", "client-closed-in-handshake"), "peer-closed", calls=True),
      lambda: b"QU", by_fin, flight=False)
after("close-notify", "tls", lambda: aborted("client-closed-with-notify", "peer-closed", calls=True, sni="good.test"),
      hello.hello_12, by_bytes(hello.alert(1, 0)))
after("warning-then-fin", "tls", closes("peer-closed"), hello.hello_12, by_bytes(hello.alert(1, 90)), 8)
for number, code, cause in ((10, "0A0003F2", "client-aborts-with-alert"), (40, "0A000410", "client-aborts-with-alert"),
                            (42, "0A000412", "client-rejects-certificate"), (43, "0A000413", "client-rejects-certificate"),
                            (46, "0A000416", "client-rejects-certificate"), (49, "0A000419", "client-rejects-certificate"),
                            (80, "0A000438", "client-aborts-with-alert"), (120, "0A000460", "no-shared-alpn")):
    after("alert-%d" % number, "tls", refuses(cause, code, sni="good.test"), hello.hello_12,
          by_bytes(hello.alert(2, number)), 6)
after("alert-121", "tls", refuses("ech-refused", "0A000461", sni="good.test"), hello.hello_13,
      by_bytes(hello.alert(2, 121)), 6)
after("renegotiation-warning", "tls", refuses("renegotiation-refused", "0A000153", sni="good.test"), hello.hello_12,
      by_bytes(hello.alert(1, 100)), 6)


@kind("half-hello-reset", 12)
def half_hello_reset(traffic, ipv6):
    """
    The reset may come before nginx has looked at the half hello: then it is the one-byte peek that
    fails, before there is any SSL.
    """
    expect = aborted("client-reset-in-handshake", "peer-reset", "reset-before-hello", sni=None)
    with traffic.open("tls", expect, ipv6=ipv6) as talk:
        talk.send(half_hello())
        talk.reset()


def silent(name, listener, expect, opening, flight=False, weight=8):
    """Waits until nginx gives up."""
    @kind(name, weight)
    def one(traffic, ipv6):
        with traffic.open(listener, expect(), ipv6=ipv6) as talk:
            if opening:
                talk.send(opening())
            if flight:
                talk.flight()
            talk.drain()


silent("timeout-silent", "slow", lambda: timed_out("handshake-timeout", "timed-out", calls=False), None)
silent("timeout-half-hello", "slow", lambda: timed_out("handshake-timeout", "timed-out", calls=True), half_hello)
silent("timeout-no-finished-12", "slow", lambda: timed_out("handshake-timeout", "timed-out", calls=True, sni="good.test"),
       hello.hello_12, True)
silent("timeout-no-finished-13", "slow", lambda: timed_out("handshake-timeout", "timed-out", calls=True, sni="good.test"),
       hello.hello_13, True)
silent("stream-timeout", "stream-slow", lambda: timed_out("handshake-timeout", calls=True), half_hello)
silent("stream-timeout-silent", "stream-slow", lambda: timed_out("handshake-timeout", calls=True), None)


# ---- client certificates -------------------------------------------------------------------------


def judged(name, listener, causes, line, certificate, verify=None, weight=10, versions=("1.2", "1.3")):
    """A certificate, or its absence, that nginx refuses in the first request (stream: at once)."""
    @kind(name, weight)
    def one(traffic, ipv6):
        pair = traffic.pair(certificate) if certificate else None
        expect = rejected(causes, line, calls=True, late="may", verify=verify, sni="good.test")
        with traffic.open(listener, expect, ipv6=ipv6) as talk:
            client = peers.TlsClient(talk, traffic.context(certificate=pair, versions=versions))
            client.handshake()
            if listener == "mtls":
                assert peers.status(peers.get(client)) == 400
            else:
                with contextlib.suppress(ssl.SSLError):
                    while client.read():
                        pass
            with contextlib.suppress(OSError):
                client.close()


for version in ("1.2", "1.3"):
    short = version.replace(".", "")
    judged("mtls-missing-" + short, "mtls", "client-certificate-missing", "no-certificate", None, versions=(version,))
    judged("mtls-untrusted-" + short, "mtls", "client-certificate-untrusted", "verify-error", "client-foreign",
           versions=(version,))
judged("mtls-self-signed", "mtls", "client-certificate-untrusted", "verify-error", "client-self", 18)
judged("mtls-expired", "mtls", "client-certificate-expired", "verify-error", "client-expired", 10)
judged("stream-mtls-missing", "stream-mtls", "client-certificate-missing", "no-certificate", None)
judged("stream-mtls-untrusted", "stream-mtls", "client-certificate-untrusted", "verify-error", "client-foreign")


# ---- bytes changed on the way --------------------------------------------------------------------


def flip_last(data):
    return data[:-1] + bytes((data[-1] ^ 1,))


@kind("flipped-finished-12", 10)
def flipped_12(traffic, ipv6):
    expect = failed("decrypt-failed", "1C800066", "0A000119", sni="good.test")
    with traffic.open("tls", expect, ipv6=ipv6) as talk:
        flipped(talk, traffic.context(versions=("1.2",)), 2)


@kind("flipped-finished-13", 10)
def flipped_13(traffic, ipv6):
    expect = failed("decrypt-failed", "0A000119", sni="good.test")
    with traffic.open("tls", expect, ipv6=ipv6) as talk:
        flipped(talk, traffic.context(versions=("1.3",)), 2)


def flipped(talk, settings, which):
    """Flips the last bit of the client's flight of that number, which ends with its Finished."""
    client = peers.TlsClient(talk, settings)
    sent = 0

    def change(data):
        nonlocal sent
        sent += 1
        return flip_last(data) if sent == which else data
    with contextlib.suppress(ssl.SSLError):
        client.handshake(change_out=change)
    with contextlib.suppress(ssl.SSLError, OSError):
        client.read()
    talk.fin()
    talk.drain()


# ---- after the handshake -------------------------------------------------------------------------


@kind("late-alert-13", 8)
def late_alert_13(traffic, ipv6):
    late_alert(traffic, ipv6, ("1.3",))


@kind("late-alert-12", 8)
def late_alert_12(traffic, ipv6):
    late_alert(traffic, ipv6, ("1.2",))


def late_alert(traffic, ipv6, versions):
    """An answer arrives damaged: the client's fatal alert 20 comes long after the handshake."""
    expect = failed("client-aborts-with-alert", "0A0003FC", lines=("late",), late="must", sni="good.test")
    with traffic.open("tls", expect, ipv6=ipv6) as talk:
        client = peers.TlsClient(talk, traffic.context(versions=versions))
        client.handshake()
        client.write(peers.REQUEST.replace(b"Connection: close\r\n", b"") % b"/")
        if versions == ("1.3",):
            # The session tickets come first, and unharmed.
            client.inbox.write(read_one(talk))
            client.inbox.write(read_one(talk))
        client.inbox.write(flip_last(read_one(talk)))
        try:
            client.read()
            raise AssertionError("the damage went unseen")
        except ssl.SSLError:
            pass
        talk.fin()
        talk.drain()


def read_one(talk):
    """Exactly one record."""
    data = b""
    while len(data) < 5:
        data += talk.socket.recv(5 - len(data))
    need = 5 + int.from_bytes(data[3:5], "big")
    while len(data) < need:
        data += talk.socket.recv(need - len(data))
    return data


# ---- other programs ------------------------------------------------------------------------------


def s_client(source, port, target, *options):
    return ["openssl", "s_client", "-bind", "%s:%d" % (source, port), "-connect", "%s:%d" % target,
            "-servername", "good.test", *options]


@kind("curl-unknown-ca", 6, v6=False)
def curl_unknown_ca(traffic, _):
    expect = failed("client-rejects-unknown-ca", "0A000418", sni="good.test")
    source, port, target = traffic.program("tls", expect)
    out = peers.program(["curl", "-sS", "--interface", source, "--local-port", str(port), "--cacert",
                         traffic.ca("other"), "--connect-to", "good.test:443:%s:%d" % target, "https://good.test/"])
    assert "SSL certificate problem" in out, out


@kind("openssl-too-old", 6, v6=False)
def openssl_too_old(traffic, _):
    expect = failed("client-protocol-too-old", "0A000102", sni="good.test")
    source, port, target = traffic.program("tls", expect)
    peers.program(s_client(source, port, target, "-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"))


@kind("openssl-renegotiates", 6, v6=False)
def openssl_renegotiates(traffic, _):
    expect = failed("renegotiation-refused", "0A000410", lines=("late",), late="must", sni="good.test")
    source, port, target = traffic.program("tls", expect)
    out = peers.program(s_client(source, port, target, "-tls1_2"), stdin=b"R\n")
    assert "RENEGOTIATING" in out, out


def relay(talk):
    """A port of its own on loopback, relayed to a conversation: for programs that choose no source."""
    listener = socket.create_server(("127.0.0.1", 0))

    def copy(get, put, end):
        with contextlib.suppress(OSError):
            while data := get(65536):
                put(data)
        with contextlib.suppress(OSError):
            end()

    def serve():
        with listener:
            local, _ = listener.accept()
        with local:
            back = threading.Thread(target=copy, args=(talk.receive, local.sendall,
                                                       lambda: local.shutdown(socket.SHUT_WR)), daemon=True)
            back.start()
            copy(local.recv, talk.send, talk.fin)
            back.join(peers.DEADLINE)
    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    return listener.getsockname()[1], thread


def gnutls(name, causes, codes, *options, v6=True):
    @kind(name, 6, v6)
    def one(traffic, ipv6):
        with traffic.open("gnutls", failed(causes, *codes, sni="good.test"), ipv6=ipv6) as talk:
            port, thread = relay(talk)
            peers.program(["gnutls-cli", "--sni-hostname", "good.test", "--verify-hostname", "good.test",
                           "--port", str(port), *[o(traffic) if callable(o) else o for o in options], "127.0.0.1"])
            thread.join(peers.DEADLINE)


gnutls("gnutls-unknown-ca", ("client-rejects-unknown-ca", "client-rejects-certificate"), ("0A000412",), "--x509cafile",
       lambda t: t.ca("other"))
gnutls("gnutls-too-old", "client-protocol-too-old", ("0A000102",), "--insecure", "--priority",
       "NORMAL:-VERS-ALL:+VERS-TLS1.1")
