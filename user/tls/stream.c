/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Three layers, each of which works on the bytes where they lie and copies only what is incomplete:
 * chunks (stream_feed) are put in order, records (records_parse) are cut out of them, handshake
 * messages (messages_parse) out of records. The usual chunk is in order and holds whole records of
 * whole messages: nothing is allocated for it.
 */
#include "tls/stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RECORD_HEADER_LEN 5
#define RECORD_HEARTBEAT 24 /* RFC 6520: the last content type that was ever assigned for TCP */
/* RFC 5246 section 6.2.3; TLS 1.3 allows less. */
#define RECORD_LEN_MAX ((1 << 14) + 2048)

#define MESSAGE_HEADER_LEN 4

/* OpenSSL's MIN_SSL2_RECORD_LEN: the fixed fields of a hello. */
#define SSLV2_LEN_MIN 9
#define SSLV2_HEADER_LEN 2

/* A sender's whole window out of order, in segments: more is an attack on memory, not a loss. */
#define HOLES_MAX 64

/* A chunk that came before its predecessors. They are sorted and do not overlap, so that together
 * they never hold more than STREAM_CAP bytes. */
struct stream_hole {
	struct stream_hole *next;
	uint32_t offset;
	uint32_t len;
	uint8_t bytes[];
};

struct feed {
	const struct stream_sink *sink;
	void *arg;
	uint64_t ts_ns;
};

void stream_init(struct stream *stream)
{
	memset(stream, 0, sizeof(*stream));
}

static void holes_drop_before(struct stream *stream, uint32_t offset)
{
	while (stream->holes && stream->holes->offset < offset) {
		struct stream_hole *hole = stream->holes;

		stream->holes = hole->next;
		stream->hole_count--;
		free(hole);
	}
}

static void buf_free(struct stream *stream)
{
	free(stream->buf);
	stream->buf = NULL;
	stream->have = stream->room = 0;
}

static void message_free(struct stream *stream)
{
	free(stream->message);
	stream->message = NULL;
	stream->message_have = stream->message_room = 0;
}

void stream_free(struct stream *stream)
{
	if (!stream)
		return;
	holes_drop_before(stream, UINT32_MAX);
	buf_free(stream);
	message_free(stream);
	stream_init(stream);
}

void stream_start(struct stream *stream, uint32_t offset)
{
	struct stream_hole *holes;
	uint32_t count;

	holes_drop_before(stream, offset);
	holes = stream->holes;
	count = stream->hole_count;
	stream->holes = NULL;
	stream_free(stream);
	stream->holes = holes;
	stream->hole_count = count;
	stream->start = stream->consumed = offset;
	stream->started = true;
}

void stream_set_encrypted(struct stream *stream)
{
	stream->encrypted = true;
}

size_t stream_unfinished(const struct stream *stream)
{
	size_t bytes = stream->have + stream->message_have;

	for (const struct stream_hole *hole = stream->holes; hole; hole = hole->next)
		bytes += hole->len;
	return bytes;
}

/* Appends; doubles the room, which never exceeds STREAM_CAP by more than the first step. */
static int append(uint8_t **buf, uint32_t *have, uint32_t *room, const uint8_t *bytes, size_t len)
{
	if (*have + len > *room) {
		size_t wanted = *room ? *room : 512;
		uint8_t *grown;

		while (wanted < *have + len)
			wanted *= 2;
		grown = realloc(*buf, wanted);
		if (!grown)
			return -ENOMEM;
		*buf = grown;
		*room = (uint32_t)wanted;
	}
	memcpy(*buf + *have, bytes, len);
	*have += (uint32_t)len;
	return 0;
}

static uint32_t message_len(const uint8_t *header)
{
	return (uint32_t)header[1] << 16 | (uint32_t)header[2] << 8 | header[3];
}

static void message_tell(const struct feed *feed, const uint8_t *message)
{
	if (feed->sink->message)
		feed->sink->message(feed->arg, feed->ts_ns, message[0],
				    message + MESSAGE_HEADER_LEN, message_len(message));
}

/* Adds to the message that spans records as much as it lacks; returns what it took. */
static int message_continue(struct stream *stream, const struct feed *feed, const uint8_t *bytes,
			    size_t len)
{
	size_t whole = MESSAGE_HEADER_LEN, taken;
	int err;

	if (stream->message_have >= MESSAGE_HEADER_LEN)
		whole += message_len(stream->message);
	taken = whole - stream->message_have;
	if (taken > len)
		taken = len;
	err = append(&stream->message, &stream->message_have, &stream->message_room, bytes, taken);
	if (err)
		return err;
	/* The header alone completes nothing, unless the message is empty. */
	if (stream->message_have >= MESSAGE_HEADER_LEN &&
	    stream->message_have == MESSAGE_HEADER_LEN + message_len(stream->message)) {
		message_tell(feed, stream->message);
		message_free(stream);
	}
	return (int)taken;
}

/* The payload of one handshake record. */
static int messages_parse(struct stream *stream, const struct feed *feed, const uint8_t *bytes,
			  size_t len)
{
	while (len) {
		size_t used;

		if (!stream->message_have && len >= MESSAGE_HEADER_LEN &&
		    len - MESSAGE_HEADER_LEN >= message_len(bytes)) {
			used = MESSAGE_HEADER_LEN + message_len(bytes);
			message_tell(feed, bytes);
		} else {
			int taken = message_continue(stream, feed, bytes, len);

			if (taken < 0)
				return taken;
			used = (size_t)taken;
		}
		bytes += used;
		len -= used;
	}
	return 0;
}

static void break_off(struct stream *stream, const struct feed *feed, const uint8_t *bytes,
		      size_t len)
{
	stream->stopped = true;
	if (feed->sink->broken)
		feed->sink->broken(feed->arg, feed->ts_ns, bytes,
				   len < RECORD_HEADER_LEN ? len : RECORD_HEADER_LEN);
}

static void encrypted_tell(const struct feed *feed, uint8_t type, size_t len)
{
	if (feed->sink->encrypted)
		feed->sink->encrypted(feed->arg, feed->ts_ns, type, len);
}

/* A whole record; application data never gets here. 0, -EBADMSG, -ENOMEM. */
static int record_tell(struct stream *stream, const struct feed *feed, const uint8_t *record,
		       size_t len)
{
	const uint8_t *payload = record + RECORD_HEADER_LEN;
	uint8_t type = record[0];

	if (type == RECORD_HEARTBEAT)
		return 0;
	if (stream->encrypted) {
		encrypted_tell(feed, type, len);
		return 0;
	}
	switch (type) {
	case RECORD_HANDSHAKE:
		return messages_parse(stream, feed, payload, len);
	case RECORD_ALERT:
		if (len < 2)
			return -EBADMSG;
		if (len > 2)
			encrypted_tell(feed, type, len);
		else if (feed->sink->alert)
			feed->sink->alert(feed->arg, feed->ts_ns, payload[0], payload[1]);
		return 0;
	default: /* RECORD_CCS: RFC 5246 section 7.1 has one byte of value 1 */
		if (len != 1 || payload[0] != 1)
			return -EBADMSG;
		if (feed->sink->change_cipher_spec)
			feed->sink->change_cipher_spec(feed->arg, feed->ts_ns);
		return 0;
	}
}

/* As much of a header as is there; a length is judged when both its bytes are. */
static bool header_is_good(const uint8_t *bytes, size_t len)
{
	if (bytes[0] < RECORD_CCS || bytes[0] > RECORD_HEARTBEAT)
		return false;
	if (len >= 2 && bytes[1] != 3)
		return false;
	return len < RECORD_HEADER_LEN || (bytes[3] << 8 | bytes[4]) <= RECORD_LEN_MAX;
}

/* 0: more is needed; else the bytes used, or -EBADMSG. */
static int sslv2_parse(const struct feed *feed, const uint8_t *bytes, size_t len)
{
	size_t body_len;

	if (len < SSLV2_HEADER_LEN + 1)
		return 0;
	body_len = (size_t)(bytes[0] & 0x7f) << 8 | bytes[1];
	if (bytes[2] != 1 || body_len < SSLV2_LEN_MIN)
		return -EBADMSG;
	if (len - SSLV2_HEADER_LEN < body_len)
		return 0;
	if (feed->sink->sslv2_hello)
		feed->sink->sslv2_hello(feed->arg, feed->ts_ns, bytes + SSLV2_HEADER_LEN, body_len);
	return (int)(SSLV2_HEADER_LEN + body_len);
}

/* The record at the front: 0 when it is not whole, else the bytes used, -EBADMSG, -ENOMEM. */
static int record_parse(struct stream *stream, const struct feed *feed, const uint8_t *bytes,
			size_t len)
{
	size_t record_len;
	int err;

	if (!header_is_good(bytes, len))
		return -EBADMSG;
	if (len < RECORD_HEADER_LEN)
		return 0;
	record_len = (size_t)bytes[3] << 8 | bytes[4];
	if (bytes[0] == RECORD_APPLICATION_DATA) {
		encrypted_tell(feed, bytes[0], record_len);
		stream->skip = (uint32_t)record_len;
		return RECORD_HEADER_LEN;
	}
	if (len - RECORD_HEADER_LEN < record_len)
		return 0;
	err = record_tell(stream, feed, bytes, record_len);
	return err ? err : (int)(RECORD_HEADER_LEN + record_len);
}

/* Consumes whole records and advances `consumed`. The bytes used (all, where the stream is broken),
 * or -ENOMEM. */
static int records_parse(struct stream *stream, const struct feed *feed, const uint8_t *bytes,
			 size_t len)
{
	size_t used = 0;

	while (used < len) {
		const uint8_t *at = bytes + used;
		size_t left = len - used;
		int n;

		if (stream->skip) {
			n = (int)(left < stream->skip ? left : stream->skip);
			stream->skip -= (uint32_t)n;
		} else if (stream->consumed == stream->start && (at[0] & 0x80)) {
			n = sslv2_parse(feed, at, left);
		} else {
			n = record_parse(stream, feed, at, left);
		}
		if (n == -EBADMSG) {
			break_off(stream, feed, at, left);
			return (int)len;
		}
		if (n <= 0)
			return n < 0 ? n : (int)used;
		used += (size_t)n;
		stream->consumed += (uint32_t)n;
	}
	return (int)used;
}

/* The chunk that stands next in order. */
static int chunk_take(struct stream *stream, const struct feed *feed, const uint8_t *bytes,
		      size_t len)
{
	int used, err;

	if (!stream->have) {
		used = records_parse(stream, feed, bytes, len);
		if (used < 0 || (size_t)used == len)
			return used < 0 ? used : 0;
		return append(&stream->buf, &stream->have, &stream->room, bytes + used,
			      len - (size_t)used);
	}
	err = append(&stream->buf, &stream->have, &stream->room, bytes, len);
	if (err)
		return err;
	used = records_parse(stream, feed, stream->buf, stream->have);
	if (used < 0)
		return used;
	stream->have -= (uint32_t)used;
	if (!stream->have)
		buf_free(stream);
	else if (used)
		memmove(stream->buf, stream->buf + used, stream->have);
	return 0;
}

static struct stream_hole *hole_new(struct stream_hole *next, uint32_t offset, const uint8_t *bytes,
				    size_t len)
{
	struct stream_hole *hole = malloc(sizeof(*hole) + len);

	if (!hole)
		return NULL;
	hole->next = next;
	hole->offset = offset;
	hole->len = (uint32_t)len;
	memcpy(hole->bytes, bytes, len);
	return hole;
}

/* Keeps of [offset, offset + len) what no hole has yet. */
static int holes_insert(struct stream *stream, uint32_t offset, const uint8_t *bytes, size_t len)
{
	struct stream_hole **at = &stream->holes;
	uint32_t from = offset, end = offset + (uint32_t)len;

	while (from < end) {
		struct stream_hole *next = *at;
		uint32_t to;

		if (next && next->offset <= from) {
			if (from < next->offset + next->len)
				from = next->offset + next->len;
			at = &next->next;
			continue;
		}
		to = next && next->offset < end ? next->offset : end;
		if (stream->hole_count == HOLES_MAX)
			return -ENOSPC;
		*at = hole_new(next, from, bytes + (from - offset), to - from);
		if (!*at) {
			*at = next;
			return -ENOMEM;
		}
		stream->hole_count++;
		from = to;
	}
	return 0;
}

/* What the bytes so far have made next in order. */
static int holes_take(struct stream *stream, const struct feed *feed)
{
	int err = 0;

	while (!err && !stream->stopped && stream->holes &&
	       stream->holes->offset <= stream->consumed + stream->have) {
		struct stream_hole *hole = stream->holes;
		uint32_t known = stream->consumed + stream->have - hole->offset;

		stream->holes = hole->next;
		stream->hole_count--;
		if (known < hole->len)
			err = chunk_take(stream, feed, hole->bytes + known, hole->len - known);
		free(hole);
	}
	return err;
}

/* Nothing is called for this direction any more, and nothing kept. */
static void stream_stop(struct stream *stream)
{
	stream_free(stream);
	stream->started = stream->stopped = true;
}

int stream_feed(struct stream *stream, uint64_t ts_ns, uint32_t offset, const uint8_t *bytes,
		size_t len, const struct stream_sink *sink, void *arg)
{
	const struct feed feed = {.sink = sink, .arg = arg, .ts_ns = ts_ns};
	uint32_t next = stream->consumed + stream->have;
	uint64_t from = offset, end = from + len;
	uint64_t limit = (uint64_t)stream->start + STREAM_CAP;
	int err = 0;

	if (!stream->started || stream->stopped)
		return 0;
	if (limit > UINT32_MAX)
		limit = UINT32_MAX;
	if (from < next)
		from = next;
	if (end > limit)
		end = limit;
	if (from < end && from == next)
		err = chunk_take(stream, &feed, bytes + (from - offset), (size_t)(end - from));
	else if (from < end)
		err = holes_insert(stream, (uint32_t)from, bytes + (from - offset),
				   (size_t)(end - from));
	if (!err && !stream->stopped)
		err = holes_take(stream, &feed);
	if (stream->stopped || err == -ENOMEM)
		stream_stop(stream);
	if (err)
		return err;
	return (uint64_t)offset + len > limit ? -ENOSPC : 0;
}
