# SPDX-License-Identifier: BSD-2-Clause
"""The certificates of the laboratory: two authorities, server and client certificates, good and bad."""

import pathlib
import subprocess

# name → (key, authority, subject alternative names, life). An authority of None: self-signed.
SERVERS = {
    "good": ("rsa", "ca", ("good.test", "*.good.test", "served.test", "up.test"), "valid"),
    "ec": ("ec", "ca", ("ec.test", "good.test"), "valid"),
    "expired": ("rsa", "ca", ("expired.test", "good.test", "up.test"), "expired"),
    "foreign": ("rsa", "other", ("good.test", "up.test"), "valid"),
    "selfsigned": ("rsa", None, ("self.test", "good.test", "up.test"), "valid"),
    "elsewhere": ("rsa", "ca", ("elsewhere.test",), "valid"),
}
CLIENTS = {
    "client": ("ec", "ca", (), "valid"),
    "client-expired": ("ec", "ca", (), "expired"),
    "client-foreign": ("ec", "other", (), "valid"),
    "client-self": ("ec", None, (), "valid"),
}

CA_CONFIG = """
[ca]
default_ca = d
[d]
database = {where}/{name}.index
serial = {where}/{name}.serial
new_certs_dir = {where}
default_md = sha256
policy = p
copy_extensions = copy
unique_subject = no
[p]
commonName = supplied
"""


def run(*argv):
    done = subprocess.run(("openssl",) + argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        raise RuntimeError("openssl %s: %s" % (" ".join(argv), done.stdout.decode(errors="replace")))


class Certificates:
    """Files NAME.pem and NAME.key below a directory; chain() is a leaf with nothing above it."""

    def __init__(self, where):
        self.where = pathlib.Path(where)
        self.where.mkdir(mode=0o755, exist_ok=True)
        run("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", self.path("rsa.key"))
        run("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", self.path("ec.key"))
        for name in ("ca", "other"):
            self._authority(name)
        for name, (key, authority, names, life) in {**SERVERS, **CLIENTS}.items():
            self._leaf(name, key, authority, names, life)
        # A certificate by variable is read by nginx's workers, which are not root.
        for file in self.where.glob("*.key"):
            file.chmod(0o644)

    def path(self, name):
        return str(self.where / name)

    def pem(self, name):
        return self.path(name + ".pem")

    def key(self, name):
        return self.path({**SERVERS, **CLIENTS}[name][0] + ".key")

    def _authority(self, name):
        run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
            "-keyout", self.path(name + ".key"), "-out", self.pem(name), "-subj", "/CN=lab %s" % name)
        (self.where / (name + ".index")).write_text("")
        (self.where / (name + ".serial")).write_text("1000\n")
        (self.where / (name + ".cnf")).write_text(CA_CONFIG.format(where=self.where, name=name))

    def _leaf(self, name, key, authority, names, life):
        request = ["req", "-new", "-key", self.path(key + ".key"), "-subj", "/CN=%s" % (names[0] if names else name)]
        if names:
            request += ["-addext", "subjectAltName=" + ",".join("DNS:" + n for n in names)]
        if authority is None:
            run(*request, "-x509", "-days", "30", "-out", self.pem(name))
            return
        run(*request, "-out", self.path(name + ".csr"))
        # Only `openssl ca` of 3.0 can put an end date into the past.
        dates = ["-days", "30"]
        if life == "expired":
            dates = ["-startdate", "20200101000000Z", "-enddate", "20210101000000Z"]
        run("ca", "-batch", "-notext", "-config", self.path(authority + ".cnf"), "-in", self.path(name + ".csr"),
            "-cert", self.pem(authority), "-keyfile", self.path(authority + ".key"), *dates, "-out", self.pem(name))
