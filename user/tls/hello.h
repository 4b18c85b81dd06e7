/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ClientHello and ServerHello (RFC 8446 section 4.1, RFC 5246 section 7.4.1, RFC 6066, RFC 7301).
 *
 * Parsers take the body of a handshake message, without its 4-byte header. They allocate nothing:
 * spans point into the caller's bytes. What is broken gives -EBADMSG and leaves in the result what
 * was read before the break, so that a half-good hello still shows its SNI.
 */
#ifndef TLSWHY_TLS_HELLO_H
#define TLSWHY_TLS_HELLO_H

#include <stdbool.h>
#include <stdint.h>

#include "tls/span.h"

/* A list of 16-bit code points as in the hello: GREASE and duplicates still in it. */
struct code_list {
	struct span bytes; /* big-endian pairs */
};

static inline size_t code_list_count(const struct code_list *list)
{
	return list->bytes.len / 2;
}

static inline uint16_t code_list_at(const struct code_list *list, size_t i)
{
	return (uint16_t)(list->bytes.at[2 * i] << 8 | list->bytes.at[2 * i + 1]);
}

/* Each bool says whether the extension was there: an empty list is not an absent one. */
struct client_hello {
	uint16_t legacy_version;
	struct span random; /* 32 bytes */
	struct span session_id;
	struct code_list ciphers;
	struct span compression;
	struct span extensions; /* the block, without its length; for JA4 */

	struct span sni; /* the host_name, not NUL-terminated, untrusted */
	bool has_sni;
	struct code_list versions; /* supported_versions */
	bool has_versions;
	struct code_list groups;
	bool has_groups;
	struct code_list signature_algorithms;
	bool has_signature_algorithms;
	struct span alpn; /* RFC 7301 list: 1-byte length, name, … */
	bool has_alpn;
	bool has_key_share;
	bool has_pre_shared_key;
	bool has_early_data;
	bool has_session_ticket;
	size_t session_ticket_len;
	bool has_ech; /* encrypted_client_hello of type outer */
	bool has_extended_master_secret;
	bool has_renegotiation_info; /* or the SCSV */
	bool fallback_scsv; /* RFC 7507 */
	bool sslv2_style;
};

struct server_hello {
	uint16_t legacy_version;
	struct span random;
	struct span session_id;
	uint16_t cipher;
	uint16_t version; /* supported_versions, else legacy_version */
	bool hello_retry_request; /* RFC 8446 section 4.1.3: its fixed random */
	uint16_t group; /* key_share's, 0 if absent */
	bool has_pre_shared_key; /* a PSK was accepted */
	struct span alpn; /* the one name; TLS 1.2 only, len 0 if absent */
	bool has_session_ticket;
	bool has_renegotiation_info;
	bool has_extended_master_secret;
};

int client_hello_parse(struct client_hello *hello, const uint8_t *body, size_t len);

/* RFC 5246 appendix E.2: an SSLv2-style hello, from its msg_type byte (1) on. Its three-byte specs
 * that are TLS ciphers are written into `ciphers` (two bytes each, as many as there is room for),
 * which must outlive the hello. */
int client_hello_parse_sslv2(struct client_hello *hello, const uint8_t *body, size_t len,
			     uint8_t *ciphers, size_t ciphers_size);

int server_hello_parse(struct server_hello *hello, const uint8_t *body, size_t len);

/* The highest and lowest version offered, GREASE left out; legacy_version without the extension. */
uint16_t client_hello_max_version(const struct client_hello *hello);
uint16_t client_hello_min_version(const struct client_hello *hello);

/* Server's named group and signature scheme out of a TLS 1.2 ServerKeyExchange of an (EC)DHE-signed
 * cipher (RFC 8422 section 5.4, RFC 5246 section 7.4.3). 0 where there is none. */
int server_key_exchange_parse(const uint8_t *body, size_t len, uint16_t cipher, uint16_t *ret_group,
			      uint16_t *ret_signature);

#endif
