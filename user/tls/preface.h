/* SPDX-License-Identifier: BSD-2-Clause */
/* What a connection's first bytes are, when they are not a TLS record. */
#ifndef TLSWHY_TLS_PREFACE_H
#define TLSWHY_TLS_PREFACE_H

#include <stddef.h>
#include <stdint.h>

enum preface {
	PREFACE_NONE, /* no byte came */
	PREFACE_TLS, /* a TLS record header, or the beginning of one */
	PREFACE_SSLV2, /* an SSLv2-style hello */
	PREFACE_HTTP, /* a request: GET, POST, PRI, CONNECT … */
	PREFACE_HTTP_ANSWER, /* HTTP/1.… : an upstream that speaks plain HTTP */
	PREFACE_PROXY_V1,
	PREFACE_PROXY_V2,
	PREFACE_SSH,
	PREFACE_SMTP, /* HELO, EHLO; a 220 banner */
	PREFACE_POP3, /* +OK */
	PREFACE_IMAP, /* * OK */
	PREFACE_RDP, /* TPKT: 03 00 */
	PREFACE_TEXT, /* printable, unknown */
	PREFACE_BINARY,
};

/* Judges at most the first 16 bytes; never fails. */
enum preface preface_of(const uint8_t *bytes, size_t len);

/* "an HTTP request", "an SSH banner": to be read in a sentence. */
const char *preface_describe(enum preface preface);

#endif
