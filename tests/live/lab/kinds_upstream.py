# SPDX-License-Identifier: BSD-2-Clause
"""
The kinds of connections from nginx to an upstream. Each is one request of a client; every second one
comes in over TLS, so that two handshakes of one request interleave in one worker.
"""

import peers
from truth import aborted, established, failed, kind, rejected, timed_out


def ask(traffic, place, ipv6, *expects, code=None, secure=True):
    """One request for a place of the front, plain or over TLS."""
    if secure:
        with traffic.open("tls", established(), *expects, ipv6=ipv6) as talk:
            client = traffic.secure(talk)
            answer = peers.get(client, place)
            client.close()
    else:
        with traffic.open("plain", *expects, ipv6=ipv6) as talk:
            talk.send(peers.REQUEST % place.encode())
            answer = talk.drain()
    if code and peers.status(answer) != code:
        raise AssertionError("%s answered %r" % (place, answer[:60]))


def proxied(name, place, upstream, expect, weight=12, code=None, group="mix"):
    """expect(): the record of the upstream side; a client's address is the upstream connection's too."""
    for secure in (True, False):
        @kind(name + ("" if secure else "-plain-front"), (weight + 1) // 2, v6=False, group=group)
        def one(traffic, _, secure=secure):
            made = expect()
            made.side = "upstream"
            made.peer = traffic.premises.upstream(upstream)
            ask(traffic, "/" + place, False, made, code=code, secure=secure)


def refuses(causes, *codes, sni=None, **more):
    return lambda: failed(causes, *codes, sni=sni, **more)


def refuses_certificate(causes, line, verify=None, **more):
    return lambda: rejected(causes, line, verify=verify, calls=True, late="may", **more)


proxied("upstream-good", "good", "good", lambda: established(sni=None), 60, 200)
proxied("upstream-good-12", "good-12", "good", lambda: established(version="TLSv1.2"), 40, 200)
proxied("upstream-good-full", "good-fresh", "good", lambda: established(version="TLSv1.3", resumed=False), 40, 200)
proxied("upstream-verified", "verified", "good", established, 30, 200)
proxied("upstream-named", "named", "rejects", lambda: established(sni="served.test"), 20, 200)
proxied("upstream-unverified", "unverified", "selfsigned", established, 12, 200)

proxied("upstream-protocol-old", "old-proxy", "only-13", refuses("upstream-protocol-mismatch", "0A00042E"), 20, 502)
proxied("upstream-protocol-new", "new-proxy", "only-12", refuses("upstream-protocol-mismatch", "0A00042E"), 12, 502)
proxied("upstream-needs-sni", "needs-sni", "rejects", refuses("upstream-needs-sni", "0A000458"), 12, 502)
proxied("upstream-unknown-sni", "unknown-sni", "rejects",
        refuses("upstream-unknown-sni", "0A000458", sni="other.test"), 12, 502)
proxied("upstream-cipher", "cipher", "aes256", refuses("upstream-no-shared-cipher", "0A000410", sni="up.test"), 12, 502)
proxied("upstream-expired", "expired", "expired",
        refuses_certificate("upstream-certificate-expired", "verify-error", 10), 12, 502)
proxied("upstream-untrusted", "untrusted", "foreign",
        refuses_certificate("upstream-certificate-untrusted", "verify-error"), 16, 502)
proxied("upstream-self-signed", "self-signed", "selfsigned",
        refuses_certificate("upstream-certificate-untrusted", "verify-error", 18), 8, 502)
proxied("upstream-name", "name", "good", refuses_certificate("upstream-certificate-name", "name-mismatch"), 12, 502)

proxied("upstream-plain-http", "plain-http", "plain-http", refuses("upstream-not-tls", "0A00010B"), 16, 502)
proxied("upstream-banner", "banner", "banner", refuses("upstream-not-tls", "0A00010B"), 8, 502)
proxied("upstream-two-bytes", "two-bytes", "two-bytes",
        lambda: aborted(("upstream-not-tls", "upstream-closed-in-handshake"), "peer-closed", calls=True), 8, 502)
# nginx may see the end before it begins TLS ("prematurely"), or its hello may meet a reset; and a reset
# where our hello carried no SNI may as well mean that the upstream insists on one.
proxied("upstream-closes", "close-on-accept", "close-on-accept",
        lambda: aborted(("upstream-closed-in-handshake", "upstream-needs-sni"), "peer-closed", "peer-reset", "premature"), 12, 502)
proxied("upstream-closes-after-hello", "close-after-hello", "close-after-hello",
        lambda: aborted("upstream-closed-in-handshake", "peer-closed", calls=True), 12, 502)
proxied("upstream-resets", "reset-after-hello", "reset-after-hello",
        lambda: aborted(("upstream-closed-in-handshake", "upstream-needs-sni"), "peer-reset", calls=True), 12, 502)
proxied("upstream-silent", "silent", "silent", lambda: timed_out("upstream-timeout", "timed-out", calls=True), 6, 504)
proxied("upstream-silent-later", "silent-after-server-hello", "silent-after-server-hello",
        lambda: timed_out("upstream-timeout", "timed-out", calls=True), 6, 504)
proxied("upstream-alert", "alert-internal", "alert-internal", refuses("upstream-aborts-with-alert", "0A000438"), 12, 502)
proxied("upstream-malformed", "malformed-hello", "malformed-hello",
        refuses("upstream-malformed", "0A00006E"), 8, 502)
proxied("upstream-legacy", "legacy-renegotiation", "legacy-renegotiation",
        refuses("upstream-legacy-renegotiation", "0A000152"), 8, 502)
proxied("upstream-wants-certificate-12", "wants-certificate-12", "wants-certificate-12",
        refuses("upstream-wants-client-certificate", "0A000410"), 8, 502)
proxied("upstream-wants-certificate-13", "wants-certificate-13", "wants-certificate-13",
        refuses("upstream-wants-client-certificate", "0A00045C", lines=("late",), late="may"), 8, 502)
proxied("upstream-given-certificate", "presents", "wants-certificate-13", established, 8, 200)
proxied("upstream-refuses-certificate-12", "refused-12", "wants-certificate-12",
        refuses("upstream-rejects-client-certificate", "0A000418"), 8, 502)


@kind("upstream-next", 12, v6=False)
def upstream_next(traffic, _):
    """The first server refuses, the second answers: the client sees nothing of it."""
    premises = traffic.premises
    ask(traffic, "/second", False,
        failed("upstream-protocol-mismatch", "0A00042E", side="upstream", peer=premises.upstream("only-13")),
        established(side="upstream", peer=premises.upstream("good"), version="TLSv1.2"), code=200)


@kind("upstream-itself", 16, v6=False)
def upstream_itself(traffic, _):
    """nginx is its own upstream: three records of one request, two of them of the same TCP connection."""
    ask(traffic, "/itself", False, established(side="upstream", peer=traffic.premises.target("tls")),
        established(inner=True), code=200)


@kind("upstream-kept", 40, v6=False)
def upstream_kept(traffic, _):
    """A kept upstream connection is one handshake for many requests: the upstream's own log counts them."""
    ask(traffic, "/kept", False, code=200)


@kind("upstream-v6", 30)
def upstream_v6(traffic, ipv6):
    ask(traffic, "/v6", ipv6, code=200)


# ---- stream --------------------------------------------------------------------------------------


def tunnelled(name, listener, upstream, expect, weight=10, good=False):
    @kind(name, weight, v6=False)
    def one(traffic, _):
        made = expect()
        made.side = "upstream"
        made.peer = traffic.premises.upstream(upstream)
        with traffic.open(listener, made) as talk:
            talk.send(peers.REQUEST % b"/")
            answer = talk.drain()
        if good and peers.status(answer) != 200:
            raise AssertionError("the tunnel answered %r" % answer[:60])


tunnelled("stream-upstream-good", "stream-good", "good", established, 20, good=True)
tunnelled("stream-upstream-protocol", "stream-new", "only-12", refuses("upstream-protocol-mismatch", "0A00042E"))
tunnelled("stream-upstream-untrusted", "stream-untrusted", "foreign",
          refuses_certificate("upstream-certificate-untrusted", "verify-error"))
tunnelled("stream-upstream-silent", "stream-silent", "silent", lambda: timed_out("upstream-timeout", calls=True), 6)


# ---- the second set ------------------------------------------------------------------------------

# A TLS 1.3 upstream that refuses nginx's certificate after nginx's own handshake has succeeded.
proxied("upstream-refuses-certificate-13", "refused-13", "wants-certificate-13",
        refuses("upstream-rejects-client-certificate", "0A000418", lines=("late",), late="may"), 24, 502, "extra")
# Addresses that did TLS before (parity.py sees to that), and then refuse or swallow the SYN.
proxied("upstream-gone", "gone", "gone",
        lambda: aborted("upstream-connect-failed", "connect-failed", calls=False), 12, 502, "after")
proxied("upstream-full", "full", "full",
        lambda: timed_out("upstream-timeout", "connect-timed-out", calls=False), 6, 504, "after")
