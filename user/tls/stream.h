/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One direction of a connection: chunks at stream offsets become TLS records, these become
 * handshake messages and alerts.
 *
 * Chunks may come out of order, overlap or repeat; a message may span chunks and records (RFC 8446
 * section 5.1), a record several messages. Bounded: STREAM_CAP bytes a direction, and nothing is
 * kept that was consumed. The caller feeds and the sink is called back in stream order.
 */
#ifndef TLSWHY_TLS_STREAM_H
#define TLSWHY_TLS_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "tls/span.h"

/* What the BPF side copies of one direction at most (WIRE_CAP), so nothing is cut here first. */
#define STREAM_CAP (16 * 1024)

enum {
	RECORD_CCS = 20,
	RECORD_ALERT = 21,
	RECORD_HANDSHAKE = 22,
	RECORD_APPLICATION_DATA = 23,
};

/* The callbacks may be NULL. `ts_ns` is the time of the chunk that completed the thing. */
struct stream_sink {
	/* A whole handshake message. body is valid during the call. */
	void (*message)(void *arg, uint64_t ts_ns, uint8_t type, const uint8_t *body, size_t len);
	/* A plaintext alert record: exactly two bytes. */
	void (*alert)(void *arg, uint64_t ts_ns, uint8_t level, uint8_t number);
	/* ChangeCipherSpec: in TLS 1.2 what follows in this direction is encrypted. */
	void (*change_cipher_spec)(void *arg, uint64_t ts_ns);
	/* A record that cannot be read in clear: after change_cipher_spec in TLS 1.2 (the sink says
	 * so by stream_set_encrypted), an alert longer than two bytes, application data. The last
	 * is told at its header, because its body is never copied; the others when they are
	 * whole. */
	void (*encrypted)(void *arg, uint64_t ts_ns, uint8_t record_type, size_t len);
	/* An SSLv2-style hello stood where a record was expected: from its msg_type byte on. */
	void (*sslv2_hello)(void *arg, uint64_t ts_ns, const uint8_t *body, size_t len);
	/* Record type, version or length that no TLS has; nothing more is called for this
	 * direction. `header` has at most 5 bytes. */
	void (*broken)(void *arg, uint64_t ts_ns, const uint8_t *header, size_t len);
};

struct stream {
	uint8_t *buf; /* bytes from `consumed` on; grown on demand */
	uint32_t start; /* stream offset where the records begin */
	uint32_t consumed; /* stream offset of buf[0] */
	uint32_t have, room; /* bytes in buf, contiguous from consumed; its allocation */
	uint32_t skip; /* bytes of a record told at its header that are still to come */
	uint8_t *message; /* a handshake message that spans records */
	uint32_t message_have, message_room;
	struct stream_hole *holes; /* chunks that came before their predecessors */
	uint32_t hole_count;
	bool started, stopped, encrypted;
};

/* No allocation; a zeroed stream is initialised. */
void stream_init(struct stream *stream);
void stream_free(struct stream *stream); /* its buffers, not itself; NULL-safe; may be used again */

/* TLS records begin at this offset. A second call (STARTTLS after text, or a hello after a PROXY
 * header) drops what was there before; chunks from this offset on that came early are kept. */
void stream_start(struct stream *stream, uint32_t offset);

/* 0; -ENOSPC: beyond STREAM_CAP, dropped; -ENOMEM. Bytes before stream_start's offset, or with no
 * stream_start at all, are dropped. */
int stream_feed(struct stream *stream, uint64_t ts_ns, uint32_t offset, const uint8_t *bytes,
		size_t len, const struct stream_sink *sink, void *arg);

/* From the next record on nothing of this direction is in clear (TLS 1.2 after
 * ChangeCipherSpec). The one function that a callback may call. */
void stream_set_encrypted(struct stream *stream);

/* Bytes that arrived but did not complete a message: half a hello. */
size_t stream_unfinished(const struct stream *stream);

#endif
