/* SPDX-License-Identifier: BSD-2-Clause */
/* Records and ClientHellos for the tests of diagnosis and outputs. */
#ifndef TLSWHY_TESTS_FIXTURE_RECORD_H
#define TLSWHY_TESTS_FIXTURE_RECORD_H

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "join/record.h"

#define SPAN_OF(array)                                                                             \
	(struct span)                                                                              \
	{                                                                                          \
		(const uint8_t *)(array), sizeof(array)                                            \
	}
#define SPAN_TEXT(text)                                                                            \
	(struct span)                                                                              \
	{                                                                                          \
		(const uint8_t *)(text), sizeof(text) - 1                                          \
	}

/* What `openssl s_client -connect …` of OpenSSL 3.0 offers by default. */
static const uint8_t fixture_ciphers[] = {
	0x13, 0x02, 0x13, 0x03, 0x13, 0x01, 0xc0, 0x2c, 0xc0, 0x30, 0x00, 0x9f, 0xcc,
	0xa9, 0xcc, 0xa8, 0xcc, 0xaa, 0xc0, 0x2b, 0xc0, 0x2f, 0x00, 0x9e, 0xc0, 0x24,
	0xc0, 0x28, 0x00, 0x6b, 0xc0, 0x23, 0xc0, 0x27, 0x00, 0x67, 0xc0, 0x0a, 0xc0,
	0x14, 0x00, 0x39, 0xc0, 0x09, 0xc0, 0x13, 0x00, 0x33, 0x00, 0x9d, 0x00, 0x9c,
	0x00, 0x3d, 0x00, 0x3c, 0x00, 0x35, 0x00, 0x2f, 0x00, 0xff,
};
static const uint8_t fixture_versions[] = {0x03, 0x04, 0x03, 0x03};
static const uint8_t fixture_groups[] = {
	0x00, 0x1d, 0x00, 0x17, 0x00, 0x1e, 0x00, 0x19, 0x00, 0x18,
};
static const uint8_t fixture_signatures[] = {
	0x04, 0x03, 0x05, 0x03, 0x06, 0x03, 0x08, 0x07, 0x08, 0x08, 0x08, 0x09, 0x08, 0x0a,
	0x08, 0x0b, 0x08, 0x04, 0x08, 0x05, 0x08, 0x06, 0x04, 0x01, 0x05, 0x01, 0x06, 0x01,
};
static const uint8_t fixture_alpn[] = {
	2, 'h', '2', 8, 'h', 't', 't', 'p', '/', '1', '.', '1',
};

static inline struct client_hello fixture_hello(void)
{
	return (struct client_hello){
		.legacy_version = 0x0303,
		.ciphers = {SPAN_OF(fixture_ciphers)},
		.versions = {SPAN_OF(fixture_versions)},
		.has_versions = true,
		.groups = {SPAN_OF(fixture_groups)},
		.has_groups = true,
		.signature_algorithms = {SPAN_OF(fixture_signatures)},
		.has_signature_algorithms = true,
		.sni = SPAN_TEXT("shop.test"),
		.has_sni = true,
		.alpn = SPAN_OF(fixture_alpn),
		.has_alpn = true,
		.has_key_share = true,
	};
}

static inline struct endpoint fixture_ipv4(uint8_t a, uint8_t b, uint8_t c, uint8_t d,
					   uint16_t port)
{
	return (struct endpoint){AF_INET, {a, b, c, d}, port};
}

/* An established TLS 1.3 handshake of a client; the caller changes what its test is about. */
static inline struct record fixture_record(const struct client_hello *hello)
{
	struct record record = {
		.id = "4a1f-17",
		.time_ns = 1785067471204567890, /* 2026-07-26 12:04:31.204567 UTC */
		.worker_pid = 815,
		.side = SIDE_CLIENT,
		.peer = fixture_ipv4(198, 51, 100, 7, 50122),
		.local = fixture_ipv4(10, 0, 0, 5, 443),
		.outcome = OUTCOME_ESTABLISHED,
		.hello = hello,
		.tls = {.version = 0x0304,
			.cipher = 0x1302,
			.group = 0x001d,
			.resumed = NO,
			.resumption = RESUMPTION_NONE},
		.latency = {1204, -1, 310, 42, 801, 51},
		.rtt_us = 221,
		.handshake_calls = 2,
		.history = "CsF",
		.message_count = 2,
		.messages = {{310, ALERT_RECEIVED, false, 1, 0}, {1100, ALERT_SENT, false, 2, 0}},
		.preface = PREFACE_TLS,
		.ending = END_NONE,
	};

	if (hello) {
		record.sni = hello->has_sni ? hello->sni : (struct span){0};
		snprintf(record.ja4, sizeof(record.ja4), "t13d3012h2_1d37bd780c83_8e6e362c5eac");
	}
	return record;
}

/* The same, refused by OpenSSL with one code; text and data may be NULL. */
static inline struct record fixture_failed(const struct client_hello *hello, uint64_t code,
					   const char *text)
{
	struct record record = fixture_record(hello);

	record.outcome = OUTCOME_FAILED;
	record.tls = (struct record_tls){.resumed = UNKNOWN, .resumption = RESUMPTION_UNKNOWN};
	record.errors[0] = (struct record_error){code, text, NULL};
	record.error_count = code ? 1 : 0;
	record.message_count = 1;
	record.ending = END_LOCAL_CLOSE;
	strcpy(record.history, "C");
	return record;
}

static inline void fixture_alert(struct record *record, enum alert_direction direction,
				 uint8_t number)
{
	record->alerts[record->alert_count++] =
		(struct record_alert){direction, ALERT_FROM_WIRE, 2, number};
}

#endif
