/* SPDX-License-Identifier: BSD-2-Clause */
/* Handshake message types (IANA TLS HandshakeType) and their letters in a record's history. */
#ifndef TLSWHY_TLS_HANDSHAKE_H
#define TLSWHY_TLS_HANDSHAKE_H

#include <stddef.h>
#include <stdint.h>

#include "tls/span.h"

enum handshake_type {
	HANDSHAKE_HELLO_REQUEST = 0,
	HANDSHAKE_CLIENT_HELLO = 1,
	HANDSHAKE_SERVER_HELLO = 2,
	HANDSHAKE_NEW_SESSION_TICKET = 4,
	HANDSHAKE_ENCRYPTED_EXTENSIONS = 8,
	HANDSHAKE_CERTIFICATE = 11,
	HANDSHAKE_SERVER_KEY_EXCHANGE = 12,
	HANDSHAKE_CERTIFICATE_REQUEST = 13,
	HANDSHAKE_SERVER_HELLO_DONE = 14,
	HANDSHAKE_CERTIFICATE_VERIFY = 15,
	HANDSHAKE_CLIENT_KEY_EXCHANGE = 16,
	HANDSHAKE_FINISHED = 20,
	HANDSHAKE_CERTIFICATE_STATUS = 22,
};

/* "ClientHello"; NULL for a number IANA has not assigned. */
const char *handshake_name(uint8_t type);

/* Zeek's ssl_history letter of a message, lower case; 0 for one it has none for. */
char handshake_letter(uint8_t type);

/* A TLS 1.2 Certificate message (RFC 5246 section 7.4.2): at most `max` DER certificates into
 * `certificates`, leaf first; returns how many, or -EBADMSG. */
int certificate_message_parse(const uint8_t *body, size_t len, struct span *certificates,
			      size_t max);

/* The distinguished names that a TLS 1.2 CertificateRequest lists (RFC 5246 section 7.4.4), DER;
 * returns how many, or -EBADMSG. */
int certificate_request_parse(const uint8_t *body, size_t len, struct span *names, size_t max);

#endif
