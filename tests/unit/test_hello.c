/* SPDX-License-Identifier: BSD-2-Clause */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "tls/handshake.h"
#include "tls/hello.h"
#include "unit/hellos.h"

#define RECORD_HEADER 5
#define HEADERS 9 /* of the record and the message */

static bool span_is(struct span span, const char *text)
{
	return span.len == strlen(text) && !memcmp(span.at, text, span.len);
}

static bool list_has(const struct code_list *list, uint16_t code)
{
	for (size_t i = 0; i < code_list_count(list); i++)
		if (code_list_at(list, i) == code)
			return true;
	return false;
}

/* The body of the message of one type in a captured stream whose messages fill their records. */
static struct span message_in(const struct hello_bytes *stream, uint8_t type, int which)
{
	size_t at = 0;

	while (at + HEADERS <= stream->len) {
		const uint8_t *record = stream->at + at;
		size_t len = (size_t)record[3] << 8 | record[4];
		size_t message = RECORD_HEADER;

		while (record[0] == 22 && message + 4 <= RECORD_HEADER + len) {
			size_t message_len = (size_t)record[message + 2] << 8 | record[message + 3];

			if (record[message] == type && which-- == 0)
				return (struct span){.at = record + message + 4,
						     .len = message_len};
			message += 4 + message_len;
		}
		at += RECORD_HEADER + len;
	}
	cr_assert_fail("no message %d in the stream", type);
	return (struct span){.len = 0};
}

Test(hello, openssl_client)
{
	struct hello_bytes bytes = hello_bytes(hello_openssl);
	struct client_hello hello;

	cr_assert_eq(client_hello_parse(&hello, bytes.at + HEADERS, bytes.len - HEADERS), 0);
	cr_assert_eq(hello.legacy_version, 0x0303);
	cr_assert_eq(hello.random.len, 32);
	cr_assert_eq(hello.random.at, bytes.at + HEADERS + 2);
	cr_assert_eq(hello.session_id.len, 32);
	cr_assert_eq(code_list_count(&hello.ciphers), 31);
	cr_assert_eq(code_list_at(&hello.ciphers, 0), 0x1302);
	cr_assert_eq(hello.compression.len, 1);
	cr_assert(hello.has_sni);
	cr_assert(span_is(hello.sni, "www.example.com"));
	cr_assert(hello.has_versions);
	cr_assert_eq(client_hello_max_version(&hello), 0x0304);
	cr_assert_eq(client_hello_min_version(&hello), 0x0301);
	cr_assert(hello.has_groups);
	cr_assert_eq(code_list_at(&hello.groups, 0), 29);
	cr_assert(hello.has_signature_algorithms);
	cr_assert(list_has(&hello.signature_algorithms, 0x0804));
	cr_assert(hello.has_alpn);
	cr_assert(span_is(hello.alpn, "\002h2\010http/1.1"));
	cr_assert(hello.has_key_share);
	cr_assert(hello.has_session_ticket);
	cr_assert_eq(hello.session_ticket_len, 0);
	cr_assert(hello.has_extended_master_secret);
	cr_assert(hello.has_renegotiation_info);
	cr_assert_not(hello.has_pre_shared_key || hello.has_early_data || hello.has_ech);
	cr_assert_not(hello.fallback_scsv || hello.sslv2_style);
}

Test(hello, tls12_and_bare_clients)
{
	struct hello_bytes bytes = hello_bytes(hello_openssl_tls12);
	struct client_hello hello;

	cr_assert_eq(client_hello_parse(&hello, bytes.at + HEADERS, bytes.len - HEADERS), 0);
	cr_assert(span_is(hello.sni, "old.example"));
	cr_assert_not(hello.has_versions || hello.has_key_share || hello.has_alpn);
	cr_assert_eq(client_hello_max_version(&hello), 0x0303);
	cr_assert_eq(client_hello_min_version(&hello), 0x0303);

	bytes = hello_bytes(hello_openssl_bare);
	cr_assert_eq(client_hello_parse(&hello, bytes.at + HEADERS, bytes.len - HEADERS), 0);
	cr_assert_not(hello.has_sni);
	cr_assert(hello.fallback_scsv);
	cr_assert_eq(code_list_count(&hello.groups), 1);
	cr_assert_eq(code_list_at(&hello.groups, 0), 24);
	cr_assert_eq(client_hello_min_version(&hello), 0x0304);
}

Test(hello, other_clients)
{
	struct hello_bytes bytes = hello_bytes(hello_curl);
	struct client_hello hello;

	cr_assert_eq(client_hello_parse(&hello, bytes.at + HEADERS, bytes.len - HEADERS), 0);
	cr_assert(span_is(hello.sni, "curl.example"));
	bytes = hello_bytes(hello_gnutls);
	cr_assert_eq(client_hello_parse(&hello, bytes.at + HEADERS, bytes.len - HEADERS), 0);
	cr_assert(span_is(hello.sni, "gnutls.example"));
	cr_assert_eq(client_hello_max_version(&hello), 0x0304);
	bytes = hello_bytes(hello_python);
	cr_assert_eq(client_hello_parse(&hello, bytes.at + HEADERS, bytes.len - HEADERS), 0);
	cr_assert(span_is(hello.sni, "python.example"));
	cr_assert(span_is(hello.alpn, "\010http/1.1"));
}

Test(hello, grease_and_post_quantum)
{
	struct hello_bytes bytes = hello_bytes(hello_post_quantum);
	struct client_hello hello;

	cr_assert_gt(bytes.len, 1460);
	cr_assert_eq(client_hello_parse(&hello, bytes.at + HEADERS, bytes.len - HEADERS), 0);
	cr_assert(span_is(hello.sni, "pq.example"));
	cr_assert(hello.has_ech);
	cr_assert_eq(code_list_at(&hello.ciphers, 0), 0x3a3a);
	cr_assert_eq(code_list_at(&hello.versions, 0), 0x5a5a);
	cr_assert(list_has(&hello.groups, 0x11ec));
	cr_assert_eq(client_hello_max_version(&hello), 0x0304);
	cr_assert_eq(client_hello_min_version(&hello), 0x0303);
}

Test(hello, versions_of_nothing_but_grease)
{
	struct client_hello hello = {.legacy_version = 0x0303, .has_versions = true};

	cr_assert_eq(client_hello_max_version(&hello), 0);
	hello.versions.bytes = (struct span){.at = (const uint8_t *)"\x1a\x1a", .len = 2};
	cr_assert_eq(client_hello_max_version(&hello), 0);
	cr_assert_eq(client_hello_min_version(&hello), 0);
}

/* Cut anywhere a hello is broken, and what came before the cut is still there. */
Test(hello, every_cut_is_broken_and_keeps_what_was_read)
{
	static const char *const hellos[] = {hello_openssl, hello_curl, hello_gnutls, hello_chrome,
					     hello_post_quantum};

	for (size_t i = 0; i < sizeof(hellos) / sizeof(hellos[0]); i++) {
		struct hello_bytes bytes = hello_bytes(hellos[i]);
		size_t len = bytes.len - HEADERS;
		struct client_hello whole, cut;

		cr_assert_eq(client_hello_parse(&whole, bytes.at + HEADERS, len), 0);
		for (size_t n = 0; n < len; n++) {
			const uint8_t *end = bytes.at + HEADERS + n;
			int err = client_hello_parse(&cut, bytes.at + HEADERS, n);

			/* Cut behind the compression methods it is a hello without extensions. */
			if (bytes.at + HEADERS + n == whole.compression.at + whole.compression.len)
				cr_assert_eq(err, 0);
			else
				cr_assert_eq(err, -EBADMSG, "hello %zu cut to %zu", i, n);
			if (end >= whole.sni.at + whole.sni.len)
				cr_assert_eq(cut.sni.at, whole.sni.at, "hello %zu, %zu", i, n);
			if (end >= whole.ciphers.bytes.at + whole.ciphers.bytes.len)
				cr_assert_eq(cut.ciphers.bytes.len, whole.ciphers.bytes.len);
			cr_assert_leq(cut.extensions.len, n);
		}
	}
}

/* A hello around one extension block. */
static int parse_extensions(struct client_hello *hello, const void *extensions, size_t len)
{
	static uint8_t body[512];
	size_t at = 0;

	memset(body, 0, sizeof(body));
	body[0] = body[1] = 3;
	at = 2 + 32 + 1;
	memcpy(body + at, "\0\2\x13\x01\1\0", 6);
	at += 6;
	body[at++] = (uint8_t)(len >> 8);
	body[at++] = (uint8_t)len;
	memcpy(body + at, extensions, len);
	return client_hello_parse(hello, body, at + len);
}

#define EXTENSIONS(hello, bytes) parse_extensions(hello, bytes, sizeof(bytes) - 1)

Test(hello, flags_of_extensions)
{
	struct client_hello hello;

	cr_assert_eq(EXTENSIONS(&hello, "\0\x23\0\3abc\0\x29\0\0\0\x2a\0\0"), 0);
	cr_assert_eq(hello.session_ticket_len, 3);
	cr_assert(hello.has_pre_shared_key);
	cr_assert(hello.has_early_data);
	/* ECHClientHelloType inner(1) is not seen on the outside. */
	cr_assert_eq(EXTENSIONS(&hello, "\xfe\x0d\0\1\1"), 0);
	cr_assert_not(hello.has_ech);
	cr_assert_eq(EXTENSIONS(&hello, "\xfe\x0d\0\1\0"), 0);
	cr_assert(hello.has_ech);
	cr_assert_eq(EXTENSIONS(&hello, ""), 0);
	cr_assert_not(hello.has_versions);
}

Test(hello, broken_extensions)
{
	static const struct {
		const char *bytes;
		size_t len;
	} broken[] = {
#define BROKEN(text) {text, sizeof(text) - 1}
		BROKEN("\0"),
		BROKEN("\0\0\0\1"),
		BROKEN("\0\0\0\0"),		/* an SNI without a list */
		BROKEN("\0\0\0\2\0\0"),		/* an empty list */
		BROKEN("\0\0\0\5\0\3\0\0\0"),	/* an empty name */
		BROKEN("\0\0\0\6\0\4\0\0\2a"),	/* a name that is too long */
		BROKEN("\0\0\0\7\0\4\0\0\1a!"), /* something behind the list */
		BROKEN("\0\x2b\0\1\0"),		/* no versions */
		BROKEN("\0\x2b\0\4\3\3\4\3"),	/* one and a half */
		BROKEN("\0\x2b\0\3\4\3\4"),
		BROKEN("\0\x0a\0\2\0\0"),
		BROKEN("\0\x0a\0\3\0\2\0"),
		BROKEN("\0\x0d\0\5\0\3\4\3\4"),
		BROKEN("\0\x10\0\2\0\0"),
		BROKEN("\0\x10\0\3\0\1\0"), /* an empty name */
		BROKEN("\0\x10\0\5\0\3\5h2"),
		BROKEN("\xfe\x0d\0\0"),
		BROKEN("\0\x17\0\0\0\x17\0\0"), /* twice the same */
	};

	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		struct client_hello hello;

		cr_assert_eq(parse_extensions(&hello, broken[i].bytes, broken[i].len), -EBADMSG,
			     "block %zu", i);
	}
}

Test(hello, broken_extensions_leave_the_rest)
{
	struct client_hello hello;

	/* Odd versions, then an SNI. */
	cr_assert_eq(EXTENSIONS(&hello, "\0\x2b\0\4\3\3\4\3\0\0\0\6\0\4\0\0\1a"), -EBADMSG);
	cr_assert(span_is(hello.sni, "a"));
	cr_assert_eq(code_list_count(&hello.versions), 1);
	/* The first of two counts. */
	cr_assert_eq(EXTENSIONS(&hello, "\0\0\0\6\0\4\0\0\1a\0\0\0\6\0\4\0\0\1b"), -EBADMSG);
	cr_assert(span_is(hello.sni, "a"));
	/* A name type that nobody defined does not hide the host name. */
	cr_assert_eq(EXTENSIONS(&hello, "\0\0\0\x0a\0\x08\7\0\1x\0\0\1a"), 0);
	cr_assert(span_is(hello.sni, "a"));
	/* Two host names, which RFC 6066 section 3 forbids: the first is kept. */
	cr_assert_eq(EXTENSIONS(&hello, "\0\0\0\x0a\0\x08\0\0\1a\0\0\1b"), -EBADMSG);
	cr_assert(span_is(hello.sni, "a"));
	/* The good names of a broken ALPN list. */
	cr_assert_eq(EXTENSIONS(&hello, "\0\x10\0\6\0\4\2h2\0"), -EBADMSG);
	cr_assert(span_is(hello.alpn, "\002h2"));
}

Test(hello, broken_fixed_part)
{
	uint8_t body[64] = {3, 3, [34] = 33};
	struct client_hello hello;

	/* A session id of 33 bytes runs past the end. */
	cr_assert_eq(client_hello_parse(&hello, body, 60), -EBADMSG);
	cr_assert_eq(hello.random.len, 32);
	/* No ciphers, then an odd list. */
	memcpy(body + 34, "\0\0\0\1\0", 5);
	cr_assert_eq(client_hello_parse(&hello, body, 39), -EBADMSG);
	memcpy(body + 34, "\0\0\3\x13\x01\x13\1\0", 8);
	cr_assert_eq(client_hello_parse(&hello, body, 42), -EBADMSG);
	cr_assert_eq(code_list_count(&hello.ciphers), 1);
	/* No compression method; then bytes behind the end. */
	memcpy(body + 34, "\0\0\2\x13\x01\0", 6);
	cr_assert_eq(client_hello_parse(&hello, body, 40), -EBADMSG);
	memcpy(body + 34, "\0\0\2\x13\x01\1\0\0\0!", 10);
	cr_assert_eq(client_hello_parse(&hello, body, 44), -EBADMSG);
	cr_assert_eq(client_hello_parse(&hello, body, 43), 0);
	cr_assert_eq(client_hello_parse(&hello, NULL, 0), -EBADMSG);
}

Test(hello, sslv2_style)
{
	struct hello_bytes bytes = hello_bytes(hello_sslv2);
	uint8_t ciphers[64];
	struct client_hello hello;

	cr_assert_eq(client_hello_parse_sslv2(&hello, bytes.at + 2, bytes.len - 2, ciphers,
					      sizeof(ciphers)),
		     0);
	cr_assert(hello.sslv2_style);
	cr_assert_eq(hello.legacy_version, 0x0301);
	cr_assert_eq(client_hello_max_version(&hello), 0x0301);
	/* 010080 and 060040 are SSLv2's own. */
	cr_assert_eq(code_list_count(&hello.ciphers), 4);
	cr_assert_eq(code_list_at(&hello.ciphers, 0), 0x002f);
	cr_assert_eq(code_list_at(&hello.ciphers, 2), 0x000a);
	cr_assert(hello.has_renegotiation_info);
	cr_assert_eq(hello.random.len, 16);
	cr_assert_not(hello.has_sni);

	for (size_t n = 0; n < bytes.len - 2; n++)
		cr_assert_eq(
			client_hello_parse_sslv2(&hello, bytes.at + 2, n, ciphers, sizeof(ciphers)),
			-EBADMSG);
	/* Room for one cipher: no more is written. */
	memset(ciphers, 0xee, sizeof(ciphers));
	cr_assert_eq(client_hello_parse_sslv2(&hello, bytes.at + 2, bytes.len - 2, ciphers, 3), 0);
	cr_assert_eq(code_list_count(&hello.ciphers), 1);
	cr_assert_eq(ciphers[2], 0xee);
}

Test(hello, server_tls12)
{
	struct hello_bytes bytes = hello_bytes(stream_tls12_server);
	struct span body = message_in(&bytes, HANDSHAKE_SERVER_HELLO, 0);
	struct server_hello hello;

	cr_assert_eq(server_hello_parse(&hello, body.at, body.len), 0);
	cr_assert_eq(hello.legacy_version, 0x0303);
	cr_assert_eq(hello.version, 0x0303);
	cr_assert_eq(hello.cipher, 0xc02c);
	cr_assert_eq(hello.group, 0);
	cr_assert_not(hello.hello_retry_request);
	cr_assert(hello.has_session_ticket);
	cr_assert(hello.has_renegotiation_info);
	cr_assert(hello.has_extended_master_secret);
	for (size_t n = 0; n < body.len; n++) {
		int err = server_hello_parse(&hello, body.at, n);

		/* Without the extensions it is one of older days: 35 bytes, the session id, 3. */
		cr_assert_eq(err, n == 38u + body.at[34] ? 0 : -EBADMSG, "cut to %zu", n);
	}
}

Test(hello, server_retry)
{
	struct hello_bytes bytes = hello_bytes(stream_hrr_server);
	struct span body = message_in(&bytes, HANDSHAKE_SERVER_HELLO, 0);
	struct server_hello hello;

	cr_assert_eq(server_hello_parse(&hello, body.at, body.len), 0);
	cr_assert(hello.hello_retry_request);
	cr_assert_eq(hello.version, 0x0304);
	cr_assert_eq(hello.legacy_version, 0x0303);
	cr_assert_eq(hello.group, 24);

	body = message_in(&bytes, HANDSHAKE_SERVER_HELLO, 1);
	cr_assert_eq(server_hello_parse(&hello, body.at, body.len), 0);
	cr_assert_not(hello.hello_retry_request);
	cr_assert_eq(hello.version, 0x0304);
	cr_assert_eq(hello.cipher, 0x1302);
	cr_assert_eq(hello.group, 24);
	cr_assert_not(hello.has_pre_shared_key);
}

Test(hello, server_extensions)
{
	static const uint8_t good[] = {0, 25, 0, 0x10, 0,    5, 0, 3, 2, 'h', '2', 0, 0x29, 0,
				       2, 0,  0, 0,    0x2b, 0, 2, 3, 4, 0,   0,   0, 0};
	uint8_t body[128] = {3, 3, [35] = 0x13, [36] = 0x01};
	struct server_hello hello;

	memcpy(body + 38, good, sizeof(good));
	cr_assert_eq(server_hello_parse(&hello, body, 38 + sizeof(good)), 0);
	cr_assert(span_is(hello.alpn, "h2"));
	cr_assert(hello.has_pre_shared_key);
	cr_assert_eq(hello.version, 0x0304);
	/* Two names in the ALPN answer. */
	memcpy(body + 38, "\0\x09\0\x10\0\5\0\3\1a\0", 11);
	cr_assert_eq(server_hello_parse(&hello, body, 49), -EBADMSG);
	cr_assert_eq(hello.alpn.len, 0);
	/* A share without a key. */
	memcpy(body + 38, "\0\x08\0\x33\0\4\0\x1d\0\0", 10);
	cr_assert_eq(server_hello_parse(&hello, body, 48), -EBADMSG);
	cr_assert_eq(hello.group, 29);
}

Test(hello, server_key_exchange_of_a_real_server)
{
	struct hello_bytes bytes = hello_bytes(stream_tls12_server);
	struct span body = message_in(&bytes, HANDSHAKE_SERVER_KEY_EXCHANGE, 0);
	uint16_t group, signature;

	cr_assert_eq(server_key_exchange_parse(body.at, body.len, 0xc02c, &group, &signature), 0);
	cr_assert_eq(group, 29);
	cr_assert_eq(signature, 0x0403);
	for (size_t n = 0; n < body.len; n++)
		cr_assert_eq(server_key_exchange_parse(body.at, n, 0xc02c, &group, &signature),
			     -EBADMSG);
	/* A cipher that has none, and one that nobody knows. */
	cr_assert_eq(server_key_exchange_parse(body.at, body.len, 0x009c, &group, &signature), 0);
	cr_assert_eq(group, 0);
	cr_assert_eq(server_key_exchange_parse(body.at, body.len, 0xfefe, &group, &signature), 0);
	cr_assert_eq(signature, 0);
}

#define EXCHANGE(bytes, cipher)                                                                    \
	server_key_exchange_parse((const uint8_t *)(bytes), sizeof(bytes) - 1, cipher, &group,     \
				  &signature)

Test(hello, server_key_exchange_of_other_ciphers)
{
	uint16_t group, signature;

	/* TLS 1.1: no algorithm before the signature. */
	cr_assert_eq(EXCHANGE("\3\0\x17\2xy\0\4abcd", 0xc013), 0);
	cr_assert_eq(group, 23);
	cr_assert_eq(signature, 0);
	/* DHE_RSA: prime, generator, public value, then the scheme. */
	cr_assert_eq(EXCHANGE("\0\2pp\0\1g\0\2yy\x08\x04\0\3sig", 0x009e), 0);
	cr_assert_eq(group, 0);
	cr_assert_eq(signature, 0x0804);
	/* ECDH_anon and DH_anon sign nothing. */
	cr_assert_eq(EXCHANGE("\3\0\x1d\2xy", 0xc018), 0);
	cr_assert_eq(group, 29);
	cr_assert_eq(EXCHANGE("\0\2pp\0\1g\0\2yy", 0x0034), 0);
	cr_assert_eq(EXCHANGE("\3\0\x1d\2xy\4\3\0\1s", 0xc018), -EBADMSG);
	/* ECDHE_PSK: a hint first. */
	cr_assert_eq(EXCHANGE("\0\4hint\3\0\x1d\2xy", 0xd001), 0);
	cr_assert_eq(group, 29);
	cr_assert_eq(signature, 0);
	/* An explicit curve, which RFC 8422 withdrew. */
	cr_assert_eq(EXCHANGE("\1\0\x17\2xy\0\4abcd", 0xc013), -EBADMSG);
	cr_assert_eq(group, 0);
}

Test(hello, certificates_of_a_real_server)
{
	struct hello_bytes bytes = hello_bytes(stream_tls12_server);
	struct span body = message_in(&bytes, HANDSHAKE_CERTIFICATE, 0), spans[4];

	cr_assert_eq(certificate_message_parse(body.at, body.len, spans, 4), 1);
	cr_assert_eq(spans[0].at[0], 0x30); /* a DER sequence */
	body = message_in(&bytes, HANDSHAKE_CERTIFICATE_REQUEST, 0);
	/* s_server with -CAfile but without -verifyCAfile names no authority. */
	cr_assert_geq(certificate_request_parse(body.at, body.len, spans, 4), 0);
}
