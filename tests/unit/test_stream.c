/* SPDX-License-Identifier: BSD-2-Clause */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tls/hello.h"
#include "tls/stream.h"
#include "unit/hellos.h"

/* What the sink was told, one line each: a message with the checksum of its body. */
struct told {
	char lines[4096];
	size_t len;
	uint64_t last_ts;
	struct stream *encrypt_on_ccs;
};

__attribute__((format(printf, 2, 3))) static void tell(struct told *told, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	told->len += (size_t)vsnprintf(told->lines + told->len, sizeof(told->lines) - told->len,
				       format, args);
	va_end(args);
	cr_assert_lt(told->len, sizeof(told->lines));
}

static uint32_t checksum(const uint8_t *bytes, size_t len)
{
	uint32_t sum = 2166136261u; /* FNV-1a */

	for (size_t i = 0; i < len; i++)
		sum = (sum ^ bytes[i]) * 16777619u;
	return sum;
}

static void on_message(void *arg, uint64_t ts_ns, uint8_t type, const uint8_t *body, size_t len)
{
	struct told *told = arg;

	told->last_ts = ts_ns;
	tell(told, "message %u %zu %08x\n", type, len, checksum(body, len));
}

static void on_alert(void *arg, uint64_t ts_ns, uint8_t level, uint8_t number)
{
	struct told *told = arg;

	told->last_ts = ts_ns;
	tell(told, "alert %u %u\n", level, number);
}

static void on_change_cipher_spec(void *arg, uint64_t ts_ns)
{
	struct told *told = arg;

	told->last_ts = ts_ns;
	tell(told, "ccs\n");
	if (told->encrypt_on_ccs)
		stream_set_encrypted(told->encrypt_on_ccs);
}

static void on_encrypted(void *arg, uint64_t ts_ns, uint8_t type, size_t len)
{
	struct told *told = arg;

	told->last_ts = ts_ns;
	tell(told, "encrypted %u %zu\n", type, len);
}

static void on_sslv2_hello(void *arg, uint64_t ts_ns, const uint8_t *body, size_t len)
{
	struct told *told = arg;

	told->last_ts = ts_ns;
	tell(told, "sslv2 %zu %08x\n", len, checksum(body, len));
}

static void on_broken(void *arg, uint64_t ts_ns, const uint8_t *header, size_t len)
{
	struct told *told = arg;

	told->last_ts = ts_ns;
	tell(told, "broken %zu", len);
	for (size_t i = 0; i < len; i++)
		tell(told, " %02x", header[i]);
	tell(told, "\n");
}

static const struct stream_sink sink = {
	.message = on_message,
	.alert = on_alert,
	.change_cipher_spec = on_change_cipher_spec,
	.encrypted = on_encrypted,
	.sslv2_hello = on_sslv2_hello,
	.broken = on_broken,
};

struct bench {
	struct stream stream;
	struct told told;
};

static void bench_start(struct bench *bench, bool encrypt_on_ccs)
{
	memset(&bench->told, 0, sizeof(bench->told));
	bench->told.encrypt_on_ccs = encrypt_on_ccs ? &bench->stream : NULL;
	stream_init(&bench->stream);
	stream_start(&bench->stream, 0);
}

static int feed(struct bench *bench, uint64_t ts_ns, uint32_t offset, const void *bytes, size_t len)
{
	/* A copy of exactly this size, so that a sanitizer sees a byte read too many. */
	uint8_t *copy = malloc(len ? len : 1);
	int err;

	memcpy(copy, bytes, len);
	err = stream_feed(&bench->stream, ts_ns, offset, copy, len, &sink, &bench->told);
	free(copy);
	return err;
}

#define FEED(bench, offset, bytes) feed(bench, 1, offset, bytes, sizeof(bytes) - 1)

static void expect(struct bench *bench, const char *lines)
{
	cr_assert_str_eq(bench->told.lines, lines);
}

struct capture {
	const char *name, *hex;
	bool encrypt_on_ccs;
};

static const struct capture captures[] = {
	{"openssl", hello_openssl, false},
	{"openssl_tls12", hello_openssl_tls12, false},
	{"openssl_bare", hello_openssl_bare, false},
	{"curl", hello_curl, false},
	{"gnutls", hello_gnutls, false},
	{"python", hello_python, false},
	{"chrome", hello_chrome, false},
	{"post_quantum", hello_post_quantum, false},
	{"sslv2", hello_sslv2, false},
	{"tls12_client", stream_tls12_client, true},
	{"tls12_server", stream_tls12_server, true},
	{"hrr_client", stream_hrr_client, false},
	{"hrr_server", stream_hrr_server, false},
};

#define CAPTURES (sizeof(captures) / sizeof(captures[0]))

static void whole(struct bench *bench, const struct capture *capture,
		  const struct hello_bytes *bytes)
{
	bench_start(bench, capture->encrypt_on_ccs);
	cr_assert_eq(feed(bench, 7, 0, bytes->at, bytes->len), 0);
	cr_assert_eq(bench->told.last_ts, 7);
	cr_assert_eq(stream_unfinished(&bench->stream), 0);
}

Test(stream, a_hello_in_one_chunk_allocates_nothing)
{
	struct hello_bytes bytes = hello_bytes(hello_post_quantum);
	struct bench bench;
	char line[64];

	whole(&bench, &captures[7], &bytes);
	snprintf(line, sizeof(line), "message 1 1711 %08x\n", checksum(bytes.at + 9, 1711));
	expect(&bench, line);
	cr_assert_null(bench.stream.buf);
	cr_assert_null(bench.stream.message);
	cr_assert_null(bench.stream.holes);
	stream_free(&bench.stream);
}

Test(stream, tls12_handshake)
{
	struct hello_bytes bytes = hello_bytes(stream_tls12_client);
	struct bench bench;
	const char *at;
	/* Certificate, ClientKeyExchange, CertificateVerify, ChangeCipherSpec, Finished. */
	static const char *const client[] = {"message 1 ",  "message 11 ", "message 16 ",
					     "message 15 ", "ccs\n",	   "encrypted 22 40\n"};
	static const char *const server[] = {"message 2 ",  "message 11 ",	"message 12 ",
					     "message 13 ", "message 14 0 ",	"message 4 ",
					     "ccs\n",	    "encrypted 22 40\n"};

	whole(&bench, &captures[9], &bytes);
	at = bench.told.lines;
	for (size_t i = 0; i < sizeof(client) / sizeof(client[0]); i++) {
		at = strstr(at, client[i]);
		cr_assert_not_null(at, "%s is not where it belongs in\n%s", client[i],
				   bench.told.lines);
	}
	stream_free(&bench.stream);
	bytes = hello_bytes(stream_tls12_server);
	whole(&bench, &captures[10], &bytes);
	at = bench.told.lines;
	for (size_t i = 0; i < sizeof(server) / sizeof(server[0]); i++) {
		at = strstr(at, server[i]);
		cr_assert_not_null(at, "%s is not where it belongs in\n%s", server[i],
				   bench.told.lines);
	}
	stream_free(&bench.stream);
}

/* HelloRetryRequest: a ChangeCipherSpec stands between the two hellos of either side. */
Test(stream, hello_retry_request)
{
	struct hello_bytes bytes = hello_bytes(stream_hrr_client);
	struct bench bench;
	const char *ccs;

	whole(&bench, &captures[11], &bytes);
	ccs = strstr(bench.told.lines, "ccs\n");
	cr_assert(!strncmp(bench.told.lines, "message 1 ", 10));
	cr_assert_not_null(ccs);
	cr_assert(!strncmp(ccs + 4, "message 1 ", 10));
	cr_assert_not_null(strstr(ccs, "\nencrypted 23 "));
	stream_free(&bench.stream);

	bytes = hello_bytes(stream_hrr_server);
	whole(&bench, &captures[12], &bytes);
	ccs = strstr(bench.told.lines, "ccs\n");
	cr_assert(!strncmp(bench.told.lines, "message 2 ", 10));
	cr_assert_not_null(ccs);
	cr_assert(!strncmp(ccs + 4, "message 2 ", 10));
	stream_free(&bench.stream);
}

Test(stream, split_anywhere_in_order_or_reversed_it_is_the_same)
{
	for (size_t i = 0; i < CAPTURES; i++) {
		struct hello_bytes bytes = hello_bytes(captures[i].hex);
		struct bench first, bench;

		whole(&first, &captures[i], &bytes);
		for (uint32_t at = 1; at < bytes.len; at++) {
			size_t rest = bytes.len - at;

			bench_start(&bench, captures[i].encrypt_on_ccs);
			cr_assert_eq(feed(&bench, 1, 0, bytes.at, at), 0);
			cr_assert_eq(feed(&bench, 2, at, bytes.at + at, rest), 0);
			cr_assert_str_eq(bench.told.lines, first.told.lines, "%s at %u",
					 captures[i].name, at);
			cr_assert_eq(stream_unfinished(&bench.stream), 0);
			stream_free(&bench.stream);

			bench_start(&bench, captures[i].encrypt_on_ccs);
			cr_assert_eq(feed(&bench, 1, at, bytes.at + at, rest), 0);
			cr_assert_eq(bench.told.len, 0);
			cr_assert_eq(feed(&bench, 2, 0, bytes.at, at), 0);
			cr_assert_str_eq(bench.told.lines, first.told.lines, "%s at %u, reversed",
					 captures[i].name, at);
			/* Whatever was held became complete only now. */
			cr_assert_eq(bench.told.last_ts, 2);
			cr_assert_eq(stream_unfinished(&bench.stream), 0);
			stream_free(&bench.stream);
		}
		stream_free(&first.stream);
	}
}

Test(stream, byte_by_byte)
{
	for (size_t i = 0; i < CAPTURES; i++) {
		struct hello_bytes bytes = hello_bytes(captures[i].hex);
		struct bench first, bench;

		whole(&first, &captures[i], &bytes);
		bench_start(&bench, captures[i].encrypt_on_ccs);
		for (uint32_t at = 0; at < bytes.len; at++)
			cr_assert_eq(feed(&bench, at, at, bytes.at + at, 1), 0);
		expect(&bench, first.told.lines);
		stream_free(&bench.stream);
		stream_free(&first.stream);
	}
}

/* Overlapping chunks in a shuffled order, many of them twice. */
Test(stream, shuffled_overlapping_and_repeated)
{
	uint32_t seed = 12345;

	for (size_t round = 0; round < 40 * CAPTURES; round++) {
		const struct capture *capture = &captures[round % CAPTURES];
		struct hello_bytes bytes = hello_bytes(capture->hex);
		uint32_t step = (uint32_t)bytes.len / 20 + 1, order[24], count = 0;
		struct bench first, bench;

		whole(&first, capture, &bytes);
		bench_start(&bench, capture->encrypt_on_ccs);
		for (uint32_t at = 0; at < bytes.len; at += step)
			order[count++] = at;
		for (uint32_t i = count - 1; i > 0; i--) {
			uint32_t other, swap = order[i];

			seed = seed * 1664525 + 1013904223;
			other = (seed >> 8) % (i + 1);
			order[i] = order[other];
			order[other] = swap;
		}
		for (uint32_t i = 0; i < count; i++) {
			size_t len = step + (seed >> (i % 24)) % (2 * step);

			if (len > bytes.len - order[i])
				len = bytes.len - order[i];
			cr_assert_eq(feed(&bench, 1, order[i], bytes.at + order[i], len), 0);
			if (i % 3 == 0)
				cr_assert_eq(feed(&bench, 1, order[i], bytes.at + order[i], len),
					     0);
		}
		expect(&bench, first.told.lines);
		cr_assert_eq(stream_unfinished(&bench.stream), 0);
		stream_free(&bench.stream);
		stream_free(&first.stream);
	}
}

/* The same hello in records of every size, fed whole and in two halves. */
Test(stream, a_message_may_span_records)
{
	struct hello_bytes bytes = hello_bytes(hello_post_quantum);
	static uint8_t records[16384];
	struct bench first, bench;

	whole(&first, &captures[7], &bytes);
	for (size_t size = 1; size < bytes.len; size = size < 16 ? size + 1 : size * 3 / 2) {
		size_t len = 0, payload = bytes.len - 5;

		for (size_t at = 0; at < payload; at += size) {
			size_t n = payload - at < size ? payload - at : size;

			memcpy(records + len, "\x16\3\1", 3);
			records[len + 3] = (uint8_t)(n >> 8);
			records[len + 4] = (uint8_t)n;
			memcpy(records + len + 5, bytes.at + 5 + at, n);
			len += 5 + n;
		}
		bench_start(&bench, false);
		cr_assert_eq(feed(&bench, 1, 0, records, len / 2), 0);
		cr_assert_gt(stream_unfinished(&bench.stream), 0);
		cr_assert_eq(feed(&bench, 1, (uint32_t)(len / 2), records + len / 2, len - len / 2),
			     0);
		expect(&bench, first.told.lines);
		cr_assert_eq(stream_unfinished(&bench.stream), 0);
		stream_free(&bench.stream);
	}
	stream_free(&first.stream);
}

Test(stream, alerts)
{
	struct bench bench;

	bench_start(&bench, false);
	FEED(&bench, 0, "\x15\3\3\0\2\2\x28\x15\3\1\0\2\1\0");
	FEED(&bench, 14,
	     "\x15\3\3\0\x1a"
	     "abcdefghijklmnopqrstuvwxyz");
	expect(&bench, "alert 2 40\nalert 1 0\nencrypted 21 26\n");
	stream_free(&bench.stream);
}

Test(stream, after_set_encrypted_nothing_is_read)
{
	struct bench bench;

	bench_start(&bench, true);
	FEED(&bench, 0, "\x14\3\3\0\1\1\x16\3\3\0\4\1\0\0\0\x15\3\3\0\2\2\x28\x14\3\3\0\1\1");
	expect(&bench, "ccs\nencrypted 22 4\nencrypted 21 2\nencrypted 20 1\n");
	stream_free(&bench.stream);
}

/* Its body is never copied: told at the header, skipped where it comes after all. */
Test(stream, application_data_is_told_at_its_header)
{
	struct bench bench;

	bench_start(&bench, false);
	FEED(&bench, 0, "\x17\3\3\0\x05");
	expect(&bench, "encrypted 23 5\n");
	cr_assert_eq(stream_unfinished(&bench.stream), 0);
	FEED(&bench, 5, "\x16\x16");
	FEED(&bench, 7, "\x16\x16\x16\x15\3\3\0\2\1\0");
	expect(&bench, "encrypted 23 5\nalert 1 0\n");
	stream_free(&bench.stream);
}

Test(stream, several_messages_in_a_record)
{
	struct bench bench;

	bench_start(&bench, false);
	FEED(&bench, 0, "\x16\3\3\0\x0c\x0e\0\0\0\0\0\0\0\x02\0\0\1\x16\3\3\0\1!\x16\3\3\0\0");
	cr_assert_not_null(strstr(bench.told.lines, "message 14 0 "));
	cr_assert_not_null(strstr(bench.told.lines, "\nmessage 0 0 "));
	cr_assert_not_null(strstr(bench.told.lines, "\nmessage 2 1 "));
	stream_free(&bench.stream);
}

static void breaks(const char *bytes, size_t len, const char *lines)
{
	struct bench bench;

	/* Broken is told once, wherever the chunk ends, and nothing after it. */
	bench_start(&bench, false);
	cr_assert_eq(feed(&bench, 1, 0, bytes, len), 0);
	expect(&bench, lines);
	cr_assert_eq(FEED(&bench, (uint32_t)len, "\x15\3\3\0\2\1\0"), 0);
	expect(&bench, lines);
	cr_assert_eq(stream_unfinished(&bench.stream), 0);
	stream_free(&bench.stream);
}

#define BREAKS(bytes, lines) breaks(bytes, sizeof(bytes) - 1, lines)

Test(stream, broken_records)
{
	BREAKS("G", "broken 1 47\n");
	BREAKS("GET / HTTP/1.1\r\n", "broken 5 47 45 54 20 2f\n");
	BREAKS("\x16\x09\x01", "broken 3 16 09 01\n");
	BREAKS("\x13\3\1\0\1", "broken 5 13 03 01 00 01\n");
	BREAKS("\x19\3\1\0\1", "broken 5 19 03 01 00 01\n");
	BREAKS("\x16\3\1\x48\x01", "broken 5 16 03 01 48 01\n"); /* 2^14 + 2048 + 1 */
	BREAKS("\x15\3\1\0\1\2", "broken 5 15 03 01 00 01\n");	 /* half an alert */
	BREAKS("\x14\3\1\0\2\1\1", "broken 5 14 03 01 00 02\n");
	BREAKS("\x14\3\1\0\1\2", "broken 5 14 03 01 00 01\n");
	BREAKS("\x80\x2b\x02", "broken 3 80 2b 02\n"); /* an SSLv2 message that is no hello */
	BREAKS("\x80\x08\x01", "broken 3 80 08 01\n"); /* too short for one */
}

Test(stream, longest_record_is_not_broken)
{
	struct bench bench;

	bench_start(&bench, false);
	FEED(&bench, 0, "\x16\3\1\x48\x00");
	expect(&bench, "");
	cr_assert_eq(stream_unfinished(&bench.stream), 5);
	stream_free(&bench.stream);
}

Test(stream, sslv2_only_at_the_start)
{
	struct hello_bytes bytes = hello_bytes(hello_sslv2);
	struct bench bench;

	bench_start(&bench, false);
	cr_assert_eq(feed(&bench, 1, 0, bytes.at, bytes.len), 0);
	cr_assert(!strncmp(bench.told.lines, "sslv2 43 ", 9), "%s", bench.told.lines);
	/* Records follow it; a second one does not. */
	FEED(&bench, (uint32_t)bytes.len, "\x15\3\1\0\2\2\x46");
	cr_assert_not_null(strstr(bench.told.lines, "alert 2 70\n"));
	feed(&bench, 1, (uint32_t)bytes.len + 7, bytes.at, bytes.len);
	cr_assert_not_null(strstr(bench.told.lines, "broken 5 80 2b 01"));
	stream_free(&bench.stream);
}

Test(stream, not_started_takes_nothing)
{
	struct bench bench;

	memset(&bench, 0, sizeof(bench));
	cr_assert_eq(FEED(&bench, 0, "\x15\3\3\0\2\2\x28"), 0);
	expect(&bench, "");
	cr_assert_eq(stream_unfinished(&bench.stream), 0);
	stream_free(&bench.stream);
	stream_free(NULL);
}

/* STARTTLS, or a PROXY header: records begin at another offset than 0. */
Test(stream, start_at_an_offset)
{
	struct bench bench;

	bench_start(&bench, false);
	FEED(&bench, 0, "220 ready\r\n");
	expect(&bench, "broken 5 32 32 30 20 72\n");
	stream_start(&bench.stream, 11);
	/* Bytes before the start are dropped, those behind it taken from the same chunk. */
	FEED(&bench, 9, "\r\n\x15\3\3\0\2\2\x28");
	expect(&bench, "broken 5 32 32 30 20 72\nalert 2 40\n");
	stream_free(&bench.stream);
	/* A freed stream may be used again. */
	stream_start(&bench.stream, 4000000000u);
	FEED(&bench, 4000000000u, "\x15\3\3\0\2\1\0");
	cr_assert_not_null(strstr(bench.told.lines, "alert 1 0\n"));
	stream_free(&bench.stream);
}

Test(stream, second_start_keeps_what_came_early)
{
	struct bench bench;

	bench_start(&bench, false);
	FEED(&bench, 107,
	     "\x15\3\3\0\2\1\0"); /* the second of two alerts, before its predecessor */
	FEED(&bench, 50, "\x16\3\3");
	stream_start(&bench.stream, 100);
	cr_assert_eq(stream_unfinished(&bench.stream), 7);
	FEED(&bench, 100, "\x15\3\3\0\2\2\x28");
	expect(&bench, "alert 2 40\nalert 1 0\n");
	stream_free(&bench.stream);
}

Test(stream, half_a_hello_is_unfinished)
{
	struct hello_bytes bytes = hello_bytes(hello_openssl);
	struct bench bench;

	bench_start(&bench, false);
	feed(&bench, 1, 0, bytes.at, 100);
	cr_assert_eq(stream_unfinished(&bench.stream), 100);
	feed(&bench, 1, 200, bytes.at + 200, 10);
	cr_assert_eq(stream_unfinished(&bench.stream), 110);
	expect(&bench, "");
	stream_free(&bench.stream);
	cr_assert_eq(stream_unfinished(&bench.stream), 0);
}

Test(stream, bounded_at_the_cap)
{
	static uint8_t record[5 + 16384];
	struct bench bench;

	memcpy(record, "\x16\3\1\x40\0\1\0\x3f\xfc", 9);
	bench_start(&bench, false);
	cr_assert_eq(feed(&bench, 1, 0, record, STREAM_CAP), 0);
	cr_assert_eq(feed(&bench, 1, STREAM_CAP, record + STREAM_CAP, 5), -ENOSPC);
	cr_assert_eq(feed(&bench, 1, STREAM_CAP - 1, record, 3), -ENOSPC);
	cr_assert_eq(feed(&bench, 1, 4000000000u, record, 3), -ENOSPC);
	expect(&bench, "");
	cr_assert_leq(stream_unfinished(&bench.stream), STREAM_CAP);
	stream_free(&bench.stream);

	/* What fits of a chunk is taken. */
	bench_start(&bench, false);
	memcpy(record, "\x15\3\1\0\2\2\x28", 7);
	memset(record + 7, 0, sizeof(record) - 7);
	cr_assert_eq(feed(&bench, 1, 0, record, sizeof(record)), -ENOSPC);
	cr_assert(!strncmp(bench.told.lines, "alert 2 40\nbroken", 17));
	stream_free(&bench.stream);

	/* The last offsets there are. */
	bench_start(&bench, false);
	stream_start(&bench.stream, UINT32_MAX - 7);
	cr_assert_eq(FEED(&bench, UINT32_MAX - 7, "\x15\3\1\0\2\2\x28\x15\3\1"), -ENOSPC);
	cr_assert_not_null(strstr(bench.told.lines, "alert 2 40\n"));
	stream_free(&bench.stream);
}

Test(stream, holes_are_bounded)
{
	struct bench bench;
	int refused = 0;

	bench_start(&bench, false);
	for (uint32_t offset = 2; offset < STREAM_CAP; offset += 2) {
		int err = FEED(&bench, offset, "x");

		cr_assert(err == 0 || err == -ENOSPC);
		refused += err == -ENOSPC;
	}
	cr_assert_eq(stream_unfinished(&bench.stream) + (size_t)refused, STREAM_CAP / 2 - 1);
	cr_assert_leq(stream_unfinished(&bench.stream), 64);
	/* The same chunk again costs nothing. */
	cr_assert_eq(FEED(&bench, 2, "x"), 0);
	stream_free(&bench.stream);
}

Test(stream, callbacks_may_be_missing)
{
	static const struct stream_sink none;

	for (size_t i = 0; i < CAPTURES; i++) {
		struct hello_bytes bytes = hello_bytes(captures[i].hex);
		struct stream stream;

		stream_init(&stream);
		stream_start(&stream, 0);
		cr_assert_eq(stream_feed(&stream, 1, 0, bytes.at, bytes.len, &none, NULL), 0);
		cr_assert_eq(stream_feed(&stream, 1, (uint32_t)bytes.len,
					 (const uint8_t *)"\x15\3\3\0\2\1\0zzzzz", 12, &none, NULL),
			     0);
		stream_free(&stream);
	}
}
