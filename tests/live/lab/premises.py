# SPDX-License-Identifier: BSD-2-Clause
"""
The premises: the nginx under test with every listener the kinds need, a second nginx as good upstream
(it shares the library with the first, and must never become a record), and the bad upstreams.
"""

import json
import pathlib
import subprocess
import sys

import certs
from nginx import Nginx
from room import Failure, Room

HERE = pathlib.Path(__file__).resolve().parent

# Upstreams of the second nginx: name → (last byte of 127.N.1.x, certificate, server's directives).
BACKENDS = {
    "good": (1, "good", ""),
    "only-12": (2, "good", "ssl_protocols TLSv1.2;"),
    "only-13": (3, "good", "ssl_protocols TLSv1.3;"),
    "rejects": (4, None, "ssl_reject_handshake on;"),
    "aes256": (5, "good", "ssl_protocols TLSv1.2; ssl_ciphers ECDHE-RSA-AES256-GCM-SHA384;"),
    "expired": (6, "expired", ""),
    "foreign": (7, "foreign", ""),
    "elsewhere": (8, "elsewhere", ""),
    "selfsigned": (9, "selfsigned", ""),
    "p384": (10, "good", "ssl_ecdh_curve secp384r1;"),
}
# Upstreams of upstreams.py: behaviour → last byte of 127.N.2.x.
BAD = {name: at for at, name in enumerate((
    "plain-http", "banner", "two-bytes", "close-on-accept", "close-after-hello", "reset-after-hello", "silent",
    "silent-after-server-hello", "alert-internal", "malformed-hello", "legacy-renegotiation",
    "wants-certificate-12", "wants-certificate-13", "gone", "full"), 1)}

VERIFY = "proxy_ssl_verify on; proxy_ssl_trusted_certificate {ca}; proxy_ssl_name up.test;"
# Places of the front that proxy: name → (upstream, directives).
PLACES = {
    "good": ("good", ""),
    "good-12": ("good", "proxy_ssl_protocols TLSv1.2;"),
    "good-fresh": ("good", "proxy_ssl_session_reuse off;"),
    # A session kept for the address by another place carries that place's verification result.
    "verified": ("good", VERIFY + " proxy_ssl_session_reuse off;"),
    "named": ("rejects", "proxy_ssl_server_name on; proxy_ssl_name served.test;"),
    "old-proxy": ("only-13", "proxy_ssl_protocols TLSv1.2;"),
    "new-proxy": ("only-12", "proxy_ssl_protocols TLSv1.3;"),
    "needs-sni": ("rejects", ""),
    "unknown-sni": ("rejects", "proxy_ssl_server_name on; proxy_ssl_name other.test;"),
    "cipher": ("aes256", "proxy_ssl_protocols TLSv1.2; proxy_ssl_ciphers ECDHE-RSA-AES128-GCM-SHA256; "
               "proxy_ssl_server_name on; proxy_ssl_name up.test;"),
    "expired": ("expired", VERIFY),
    "untrusted": ("foreign", VERIFY),
    "self-signed": ("selfsigned", VERIFY),
    "name": ("good", VERIFY.replace("up.test", "nomatch.other") + " proxy_ssl_session_reuse off;"),
    "unverified": ("selfsigned", ""),
    "presents": ("wants-certificate-13", "proxy_ssl_certificate {client}; proxy_ssl_certificate_key {client_key};"),
    "refused-13": ("wants-certificate-13",
                   "proxy_ssl_certificate {foreign}; proxy_ssl_certificate_key {foreign_key};"),
    "refused-12": ("wants-certificate-12",
                   "proxy_ssl_certificate {foreign}; proxy_ssl_certificate_key {foreign_key};"),
    **{name: (name, "proxy_connect_timeout 700ms;" if name.startswith("silent") or name == "full" else "")
       for name in BAD},
}

SERVER = """
	server {{
		{listens}
		server_name {names};
		{certificate}
		{directives}
		location / {{ return 200 "ok\\n"; }}
		{places}
	}}
"""


class Premises:
    def __init__(self, room=None, workers=2, upgradable=False):
        self.room = room or Room()
        self.certificates = certs.Certificates(self.room.where / "certs")
        self.certificates_path = {name: self.certificates.path(name)
                                  for name in ("good.pem", "ca.pem", "other.pem")}
        self.certificates_path["good.key"] = self.certificates.key("good")
        self.backend = Nginx(self.room, "backend", self._backend_http())
        self.nginx = Nginx(self.room, "nginx", self._http(), self._stream(), self._mail(), workers)
        self.upgradable = upgradable
        self.upstream_process = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc):
        self.close()

    def start(self):
        try:
            self._start_upstreams()
            self.backend.start()
            self.nginx.start(self.upgradable)
        except BaseException:
            self.close()
            raise
        return self

    def close(self):
        self.room.close()

    # ---- addresses -----------------------------------------------------------------------------

    def target(self, listener, ipv6=False):
        return ("::1" if ipv6 else self.room.server, self.room.port(listener))

    def upstream(self, name, ipv6=False):
        """ADDRESS, PORT of an upstream."""
        if ipv6:
            return ("::1", self.room.port("backend-v6"))
        if name in BACKENDS:
            return (self.room.address(1, BACKENDS[name][0]), self.room.port("backend"))
        return (self.room.address(2, BAD[name]), self.room.port("bad"))

    # ---- configurations ------------------------------------------------------------------------

    def certificate(self, name):
        if name is None:
            return ""
        return "ssl_certificate %s; ssl_certificate_key %s;" % (self.certificates.pem(name), self.certificates.key(name))

    def _listens(self, name, options, ipv6=True):
        port = self.room.port(name)
        text = "listen %s:%d %s;" % (self.room.server, port, options)
        if ipv6:
            text += " listen [::1]:%d %s;" % (port, options)
        return text

    def _server(self, name, certificate="good", directives="", options="ssl", names="good.test", ipv6=True, places=""):
        return SERVER.format(listens=self._listens(name, options, ipv6), names=names, directives=directives,
                             certificate=self.certificate(certificate), places=places)

    def _places(self):
        certificates = {"ca": self.certificates.pem("ca"), "client": self.certificates.pem("client"),
                        "client_key": self.certificates.key("client"),
                        "foreign": self.certificates.pem("client-foreign"),
                        "foreign_key": self.certificates.key("client-foreign")}
        text = ""
        for place, (upstream, directives) in PLACES.items():
            address, port = self.upstream(upstream)
            # The upstream connection has its client's address: that joins the two exactly.
            text += "location /%s { proxy_bind $remote_addr; proxy_pass https://%s:%d; %s }\n\t\t" % (
                place, address, port, directives.format(**certificates))
        text += "location /kept { proxy_bind $remote_addr; proxy_pass https://kept; proxy_http_version 1.1; " \
            "proxy_set_header Connection ''; }\n\t\t"
        text += "location /second { proxy_bind $remote_addr; proxy_pass https://second; " \
            "proxy_ssl_protocols TLSv1.2; }\n\t\t"
        text += "location /itself { proxy_bind $remote_addr; proxy_pass https://%s:%d/; }\n\t\t" % self.target("tls")
        text += "location /v6 { proxy_pass https://[::1]:%d; }\n\t\t" % self.room.port("backend-v6")
        return text

    def _http(self):
        good = self.upstream("good")
        places = self._places()
        client_ca = "ssl_client_certificate %s; ssl_verify_client on;" % self.certificates.pem("ca")
        port = self.room.port
        return """
	ssl_protocols TLSv1.2 TLSv1.3;
	proxy_ssl_protocols TLSv1.2 TLSv1.3;
	proxy_ssl_session_reuse on;
	keepalive_requests 100000000;
	ssl_session_cache shared:lab:4m;
	upstream kept { server %s:%d; keepalive 8; }
	upstream second { server %s:%d max_fails=0; server %s:%d backup; }
""" % (good + self.upstream("only-13") + good) + "".join((
            self._server("tls", places=places),
            SERVER.format(listens=self._listens("tls", "ssl"), names="second.test", places="",
                          certificate=self.certificate("elsewhere"), directives=""),
            self._server("ec", "ec"),
            self._server("only-12", directives="ssl_protocols TLSv1.2;"),
            self._server("only-13", directives="ssl_protocols TLSv1.3;"),
            self._server("aes256", directives="ssl_protocols TLSv1.2; ssl_ciphers ECDHE-RSA-AES256-GCM-SHA384;"),
            self._server("p384", directives="ssl_ecdh_curve secp384r1;"),
            self._server("session-id", directives="ssl_protocols TLSv1.2; ssl_session_tickets off;"),
            self._server("expired", "expired"),
            self._server("rejects", None, "ssl_reject_handshake on;", names="_"),
            SERVER.format(listens=self._listens("rejects", "ssl"), names="served.test", places="",
                          certificate=self.certificate("good"), directives=""),
            self._server("mtls", directives=client_ca),
            self._server("mtls-any", directives=client_ca.replace(" on;", " optional_no_ca;")),
            self._server("h2", options="ssl http2"),
            self._server("slow", directives="client_header_timeout 700ms;"),
            self._server("proxied", options="ssl proxy_protocol"),
            self._server("plain", None, options="", places=places),
            self._server("mapped", options="", ipv6=False).replace(
                "listen %s:%d ;" % (self.room.server, port("mapped")),
                "listen [::ffff:%s]:%d ssl ipv6only=off;" % (self.room.server, port("mapped"))),
            self._server("gnutls"),
            # The second set.
            self._server("deferred", options="ssl deferred"),
            self._server("fastopen", options="ssl fastopen=16"),
            self._server("reuseport", options="ssl reuseport", ipv6=False),
            self._server("early", directives="ssl_early_data on;"),
            self._server("early-rejects", None, "ssl_early_data on; ssl_reject_handshake on;", names="_"),
            SERVER.format(listens=self._listens("variable", "ssl"), names="good.test", places="", directives="",
                          certificate="ssl_certificate %s/$ssl_server_name.pem; ssl_certificate_key %s;" % (
                              self.certificates.where, self.certificates.key("good"))),
        ))

    def _stream(self):
        def server(name, directives, certificate="good", options="ssl"):
            return "\tserver { %s %s ssl_protocols TLSv1.2 TLSv1.3; %s }\n" % (
                self._listens(name, options), self.certificate(certificate), directives)

        def proxy(name, upstream, directives=""):
            return "\tserver { %s proxy_bind $remote_addr; proxy_ssl on; " \
                "proxy_pass %s:%d; %s }\n" % ((self._listens(name, "", ipv6=False),) + self.upstream(upstream) + (directives,))
        ca = self.certificates.pem("ca")
        return "\tproxy_ssl_protocols TLSv1.2 TLSv1.3;\n" + "".join((
            server("stream", 'return "worker $pid";'),
            server("stream-mtls", "ssl_client_certificate %s; ssl_verify_client on; return ok;" % ca),
            server("stream-slow", "ssl_handshake_timeout 700ms; return ok;"),
            proxy("stream-good", "good"),
            proxy("stream-new", "only-12", "proxy_ssl_protocols TLSv1.3;"),
            proxy("stream-untrusted", "foreign", VERIFY.format(ca=ca)),
            proxy("stream-silent", "silent", "proxy_connect_timeout 700ms;"),
        ))

    def _mail(self):
        def server(name, options, directives):
            return "\tserver { %s protocol smtp; smtp_auth none; ssl_protocols TLSv1.2 TLSv1.3; %s %s }\n" % (
                self._listens(name, options), self.certificate("good"), directives)
        return "\tserver_name lab.test; auth_http %s:9;\n" % self.room.server + \
            server("smtps", "ssl", "") + server("starttls", "", "starttls on;")

    def _backend_http(self):
        port = self.room.port("backend")
        text = "\tssl_protocols TLSv1.2 TLSv1.3; ssl_session_cache shared:lab:1m; keepalive_requests 100000000;\n"
        for name, (at, certificate, directives) in BACKENDS.items():
            listens = "listen %s:%d ssl;" % (self.room.address(1, at), port)
            if name == "good":
                listens += " listen [::1]:%d ssl;" % self.room.port("backend-v6")
            text += SERVER.format(listens=listens, names="_", certificate=self.certificate(certificate),
                                  directives=directives, places="")
            if name == "rejects":
                text += SERVER.format(listens=listens, names="served.test", certificate=self.certificate("good"),
                                      directives="", places="")
        return text

    # ---- bad upstreams ---------------------------------------------------------------------------

    def _start_upstreams(self):
        self.foreign_peers = self.room.where / "foreign-peers"
        self.foreign_peers.write_text("")
        orders = {"listeners": [list(self.upstream(name)) + [name] for name in BAD],
                  "certificates": self.certificates_path, "peers": str(self.foreign_peers)}
        self.upstream_process = self._upstreams("upstreams.json", orders)

    def _upstreams(self, name, orders):

        path = self.room.make(name, json.dumps(orders))
        process = self.room.spawn([sys.executable, "-B", str(HERE / "upstreams.py"), path],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        if process.stdout.readline() != b"ready\n":
            raise Failure("upstreams.py did not start")
        return process

    def order(self, verb, name):
        """`end` or `fill` of a bad upstream's listener."""
        self.upstream_process.stdin.write(("%s %s\n" % (verb, name)).encode())
        self.upstream_process.stdin.flush()
        if self.upstream_process.stdout.readline() != b"done\n":
            raise Failure("upstreams.py did not obey")

    def start_foreign(self):
        """A process that is not nginx, listening on nginx's own reuseport address and port."""
        orders = {"listeners": [list(self.target("reuseport")) + ["foreign"]],
                  "certificates": self.certificates_path, "peers": str(self.foreign_peers)}
        return self._upstreams("foreign.json", orders)

    def foreign_clients(self):
        """(address, port) of the clients that the foreign process accepted."""
        return {(a, int(p)) for a, p in (line.split() for line in self.foreign_peers.read_text().splitlines())}
