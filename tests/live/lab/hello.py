# SPDX-License-Identifier: BSD-2-Clause
"""Raw TLS bytes: ClientHellos with anything in them, alerts, PROXY headers."""

import os
import socket
import struct

TLS10, TLS11, TLS12, TLS13 = 0x0301, 0x0302, 0x0303, 0x0304
ALERT, HANDSHAKE, APPLICATION_DATA = 21, 22, 23
CIPHERS_12 = (0xC02F, 0xC030, 0xC02B, 0xC02C, 0xCCA8, 0xCCA9)
CIPHERS_13 = (0x1301, 0x1302, 0x1303)
FALLBACK_SCSV = 0x5600
X25519 = 0x001D
GROUPS = (X25519, 0x0017, 0x0018)
SIGNATURES = (0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601)


def vector(size, data):
    return struct.pack("!I", len(data))[4 - size:] + data


def record(kind, payload, version=TLS10):
    return struct.pack("!BHH", kind, version, len(payload)) + payload


def alert(level, number, version=TLS12):
    return record(ALERT, bytes((level, number)), version)


def extension(number, data):
    return struct.pack("!H", number) + vector(2, data)


def numbers(values):
    return b"".join(struct.pack("!H", v) for v in values)


def server_name(name):
    if isinstance(name, str):
        name = name.encode()
    return extension(0, vector(2, b"\0" + vector(2, name)))


def alpn(names):
    return extension(16, vector(2, b"".join(vector(1, n) for n in names)))


def client_hello(sni="good.test", legacy=TLS12, versions=None, ciphers=CIPHERS_12, groups=GROUPS,
                 signatures=SIGNATURES, protocols=(), key_share=True, compression=b"\0", session=None, extra=b""):
    """The handshake message; versions of None: no supported_versions, a TLS 1.2 hello."""
    extensions = b""
    if sni is not None:
        extensions += server_name(sni)
    extensions += extension(10, vector(2, numbers(groups))) + extension(11, b"\1\0")
    extensions += extension(13, vector(2, numbers(signatures))) + extension(23, b"") + extension(0xFF01, b"\0")
    if protocols:
        extensions += alpn(protocols)
    if versions:
        extensions += extension(43, vector(1, numbers(versions))) + extension(45, b"\1\1")
        if key_share:
            extensions += extension(51, vector(2, struct.pack("!H", X25519) + vector(2, os.urandom(32))))
    extensions += extra
    body = struct.pack("!H", legacy) + os.urandom(32)
    body += vector(1, os.urandom(32) if session is None else session)
    body += vector(2, numbers(ciphers)) + vector(1, compression) + vector(2, extensions)
    return b"\1" + vector(3, body)


def hello_12(**changes):
    return record(HANDSHAKE, client_hello(**changes))


def hello_13(**changes):
    changes = {"versions": (TLS13,), "ciphers": CIPHERS_13, **changes}
    return record(HANDSHAKE, client_hello(**changes))


def cut_extensions(name):
    """A hello whose extensions end within the last one, with every outer length right."""
    message = client_hello(sni=name)
    body = message[4:]
    at = 2 + 32 + 1 + 32
    at += 2 + struct.unpack_from("!H", body, at)[0]
    at += 1 + body[at]
    extensions = body[at + 2:-2]
    body = body[:at] + vector(2, extensions)
    return record(HANDSHAKE, b"\1" + vector(3, body))


def hello_ssl2():
    """An SSLv2 CLIENT-HELLO for version 2: bytes with the high bit set, but no TLS."""
    ciphers = b"\x01\x00\x80\x02\x00\x80\x07\x00\xc0"
    body = b"\1" + struct.pack("!HHHH", 0x0002, len(ciphers), 0, 16) + ciphers + os.urandom(16)
    return struct.pack("!H", 0x8000 | len(body)) + body


def server_hello(version=TLS12, cipher=0xC02F, extensions=b""):
    """A ServerHello; extensions of b"": none, which OpenSSL 3 takes for an unsafe renegotiation."""
    body = struct.pack("!H", version) + os.urandom(32) + vector(1, b"") + struct.pack("!HB", cipher, 0)
    if extensions:
        body += vector(2, extensions)
    return record(HANDSHAKE, b"\2" + vector(3, body), version)


def proxy_v1(source, target):
    family = "TCP6" if ":" in source[0] else "TCP4"
    return ("PROXY %s %s %s %d %d\r\n" % (family, source[0], target[0], source[1], target[1])).encode()


def proxy_v2(source, target, version=2):
    if ":" in source[0]:
        family, kind = socket.AF_INET6, 0x21
    else:
        family, kind = socket.AF_INET, 0x11
    body = socket.inet_pton(family, source[0]) + socket.inet_pton(family, target[0])
    body += struct.pack("!HH", source[1], target[1])
    return b"\r\n\r\n\0\r\nQUIT\n" + bytes((version << 4 | 1, kind)) + vector(2, body)
