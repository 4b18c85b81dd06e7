/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A stream, cut into chunks by the input itself and fed twice: in order in one piece, and in the
 * input's own pieces and order. What both tell must agree.
 *
 * Input: the number of cuts (0 to 15), per cut two bytes of offset and one of order, the stream.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tls/hello.h"
#include "tls/stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition))                                                                  \
			abort();                                                                   \
	} while (0)

#define CUTS_MAX 15

struct told {
	uint64_t hash; /* of every call and its bytes */
	uint32_t calls;
	bool broken;
	struct stream *stream;
};

static void mix(struct told *told, uint32_t kind, const uint8_t *bytes, size_t len)
{
	CHECK(!told->broken);
	told->calls++;
	told->hash = (told->hash ^ kind) * 1099511628211u;
	for (size_t i = 0; i < len; i++)
		told->hash = (told->hash ^ bytes[i]) * 1099511628211u;
}

static void on_message(void *arg, uint64_t ts_ns, uint8_t type, const uint8_t *body, size_t len)
{
	(void)ts_ns;
	mix(arg, type, body, len);
}

static void on_alert(void *arg, uint64_t ts_ns, uint8_t level, uint8_t number)
{
	(void)ts_ns;
	mix(arg, 0x10000u | (uint32_t)level << 8 | number, NULL, 0);
}

static void on_change_cipher_spec(void *arg, uint64_t ts_ns)
{
	struct told *told = arg;

	(void)ts_ns;
	mix(told, 0x20000, NULL, 0);
	/* As after a TLS 1.2 hello: every second time. */
	if (told->calls % 2)
		stream_set_encrypted(told->stream);
}

static void on_encrypted(void *arg, uint64_t ts_ns, uint8_t type, size_t len)
{
	(void)ts_ns;
	mix(arg, 0x30000u + type + (uint32_t)(len << 4), NULL, 0);
}

static void on_sslv2_hello(void *arg, uint64_t ts_ns, const uint8_t *body, size_t len)
{
	struct client_hello hello;
	uint8_t ciphers[128];

	(void)ts_ns;
	client_hello_parse_sslv2(&hello, body, len, ciphers, sizeof(ciphers));
	mix(arg, 0x40000, body, len);
}

/* How much of a broken header is shown depends on where the chunk ends. */
static void on_broken(void *arg, uint64_t ts_ns, const uint8_t *header, size_t len)
{
	struct told *told = arg;

	(void)ts_ns;
	CHECK(len >= 1 && len <= 5);
	mix(told, 0x50000, header, 1);
	told->broken = true;
}

static const struct stream_sink sink = {
	.message = on_message,
	.alert = on_alert,
	.change_cipher_spec = on_change_cipher_spec,
	.encrypted = on_encrypted,
	.sslv2_hello = on_sslv2_hello,
	.broken = on_broken,
};

/* Exactly the chunk's size on the heap, so that a byte read too many is seen. */
static void feed(struct stream *stream, struct told *told, uint32_t base, size_t from, size_t end,
		 const uint8_t *bytes)
{
	uint8_t *copy = malloc(end - from ? end - from : 1);

	memcpy(copy, bytes + from, end - from);
	stream_feed(stream, 1, base + (uint32_t)from, copy, end - from, &sink, told);
	free(copy);
	CHECK(stream_unfinished(stream) <= STREAM_CAP);
	CHECK(!told->broken || stream_unfinished(stream) == 0);
}

struct piece {
	uint16_t end;
	uint8_t order;
	bool fed;
};

static int by_end(const void *a, const void *b)
{
	return ((const struct piece *)a)->end - ((const struct piece *)b)->end;
}

/* The pieces between the cuts, the one of least order first. */
static void feed_pieces(struct stream *stream, struct told *told, uint32_t base,
			struct piece *pieces, size_t count, const uint8_t *bytes)
{
	qsort(pieces, count, sizeof(*pieces), by_end);
	for (size_t n = 0; n < count; n++) {
		size_t best = count;

		for (size_t i = 0; i < count; i++)
			if (!pieces[i].fed &&
			    (best == count || pieces[i].order < pieces[best].order))
				best = i;
		pieces[best].fed = true;
		feed(stream, told, base, best ? pieces[best - 1].end : 0, pieces[best].end, bytes);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct piece pieces[CUTS_MAX + 1] = {0};
	struct stream whole, cut;
	struct told whole_told = {.stream = &whole}, cut_told = {.stream = &cut};
	size_t count;
	uint32_t base;

	if (!size)
		return 0;
	count = data[0] & CUTS_MAX;
	base = data[0] & 0x10 ? 0x7fff0000 : data[0] & 0x20 ? UINT32_MAX - 64 : 0;
	data++;
	size--;
	if (size < 3 * count || size - 3 * count > STREAM_CAP)
		return 0;
	for (size_t i = 0; i < count; i++) {
		pieces[i].end =
			(uint16_t)((data[3 * i] << 8 | data[3 * i + 1]) % (size - 3 * count + 1));
		pieces[i].order = data[3 * i + 2];
	}
	data += 3 * count;
	size -= 3 * count;
	pieces[count].end = (uint16_t)size;

	stream_init(&whole);
	stream_start(&whole, base);
	feed(&whole, &whole_told, base, 0, size, data);
	stream_init(&cut);
	stream_start(&cut, base);
	feed_pieces(&cut, &cut_told, base, pieces, count + 1, data);

	CHECK(whole_told.calls == cut_told.calls && whole_told.hash == cut_told.hash);
	CHECK(whole_told.broken == cut_told.broken);
	CHECK(stream_unfinished(&whole) == stream_unfinished(&cut));
	stream_free(&whole);
	stream_free(&cut);
	return 0;
}
