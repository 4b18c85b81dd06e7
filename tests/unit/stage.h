/* SPDX-License-Identifier: BSD-2-Clause */
/* A joiner on a stage: acts become events, what it says is kept. */
#ifndef TLSWHY_TESTS_UNIT_STAGE_H
#define TLSWHY_TESTS_UNIT_STAGE_H

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "join/joiner.h"
#include "unit/events.h"

/* include/net/tcp_states.h */
enum {
	TCP_STATE_ESTABLISHED = 1,
	TCP_STATE_SYN_SENT = 2,
	TCP_STATE_FIN_WAIT1 = 4,
	TCP_STATE_CLOSE = 7,
	TCP_STATE_CLOSE_WAIT = 8,
	TCP_STATE_LAST_ACK = 9
};

#define STAGE_MAX 64
#define STAGE_OFFSET UINT64_C(1700000000000000000) /* CLOCK_REALTIME − CLOCK_MONOTONIC */
#define US UINT64_C(1000)
#define MS (1000 * US)
#define SECOND (1000 * MS)

enum { MASTER = 100, WORKER = 101, OTHER_WORKER = 102, STRANGER = 9000 };
enum { LISTENER = 10 };						     /* its cookie */
#define ERROR_ALERT(number) (UINT64_C(0x0a000000) + 1000 + (number)) /* OpenSSL 3 */
#define ERROR_UNSUPPORTED_PROTOCOL UINT64_C(0x0a000102)

struct stage_loss {
	char where[8];
	uint64_t events, handshakes;
};

struct stage {
	struct joiner *joiner;
	uint64_t now_ns;
	struct record records[STAGE_MAX]; /* what they point at is gone but for… */
	char snis[STAGE_MAX][64];
	int record_count;
	struct joiner_reload reloads[STAGE_MAX];
	uint32_t old_first, new_first; /* of the last reload */
	int reload_count;
	struct joiner_worker_exit exits[STAGE_MAX];
	int exit_count;
	struct stage_loss losses[STAGE_MAX];
	int loss_count;
	uint16_t port; /* the next peer's */
	FILE *seed;    /* see stage_seed_open() */
	union any_event any;
};

static inline void stage_on_record(void *arg, struct record *record)
{
	struct stage *stage = arg;
	size_t len = record->sni.len < 63 ? record->sni.len : 63;

	cr_assert_lt(stage->record_count, STAGE_MAX);
	if (record->sni.at)
		memcpy(stage->snis[stage->record_count], record->sni.at, len);
	stage->records[stage->record_count++] = *record;
}

static inline void stage_on_reload(void *arg, const struct joiner_reload *reload)
{
	struct stage *stage = arg;

	cr_assert_lt(stage->reload_count, STAGE_MAX);
	stage->old_first = reload->old_count ? reload->old_workers[0] : 0;
	stage->new_first = reload->new_count ? reload->new_workers[0] : 0;
	stage->reloads[stage->reload_count++] = *reload;
}

static inline void stage_on_exit(void *arg, const struct joiner_worker_exit *info)
{
	struct stage *stage = arg;

	cr_assert_lt(stage->exit_count, STAGE_MAX);
	stage->exits[stage->exit_count++] = *info;
}

static inline void stage_on_lost(void *arg, const char *where, uint64_t since_ns, uint64_t events,
				 uint64_t handshakes)
{
	struct stage *stage = arg;

	cr_assert_lt(stage->loss_count, STAGE_MAX);
	cr_assert_geq(since_ns, STAGE_OFFSET);
	snprintf(stage->losses[stage->loss_count].where, 8, "%s", where);
	stage->losses[stage->loss_count].events = events;
	stage->losses[stage->loss_count++].handshakes = handshakes;
}

/* ---- acts ---------------------------------------------------------------------------- */

/* With TLSWHY_SEEDS=DIRECTORY every test leaves its events there: seeds for the fuzzer of events.
 */
static inline FILE *stage_seed_open(void)
{
	const char *directory = getenv("TLSWHY_SEEDS");
	char path[512];

	if (!directory)
		return NULL;
	snprintf(path, sizeof(path), "%s/%s", directory, criterion_current_test->name);
	return fopen(path, "we");
}

static inline void stage_seed_put(FILE *seed, const struct event *event)
{
	struct event_header header = event->header;

	if (header.kind == EVENT_WIRE)
		header.size = EVENT_HEADER_SIZE + sizeof(struct event_wire) + event->wire.len;
	fwrite(&header, sizeof(header), 1, seed);
	fwrite((const uint8_t *)event + sizeof(header), header.size - sizeof(header), 1, seed);
}

static inline void stage_play(struct stage *stage, const struct event *event)
{
	cr_assert_eq(event_check(event, event->header.size), 0);
	if (stage->seed)
		stage_seed_put(stage->seed, event);
	joiner_event(stage->joiner, event);
	stage->now_ns += 10 * US; /* everything takes a moment */
}

static inline void stage_pass(struct stage *stage, uint64_t ns)
{
	stage->now_ns += ns;
	joiner_advance(stage->joiner, stage->now_ns);
}

static inline void stage_process(struct stage *stage, uint32_t tgid, uint32_t role)
{
	struct event *event = EVENT_OF(&stage->any, EVENT_PROCESS, process, stage->now_ns, tgid, 0);

	event->process.role = role;
	event->process.shown_pid = tgid;
	stage_play(stage, event);
}

static inline void stage_listen(struct stage *stage, uint64_t cookie, uint16_t port)
{
	struct event *event =
		EVENT_OF(&stage->any, EVENT_LISTENER, listener, stage->now_ns, MASTER, cookie);

	event->listener.tuple.local_port = port;
	event->listener.tuple.family = AF_INET;
	stage_play(stage, event);
}

/* A master and a worker that listens on 443. */
static inline struct stage *stage_new(void)
{
	static const struct joiner_config config = {.realtime_offset_ns = STAGE_OFFSET,
						    .same_openssl = true};
	struct stage *stage = calloc(1, sizeof(*stage));
	struct joiner_sink sink = {
		.record = stage_on_record,
		.reload = stage_on_reload,
		.worker_exit = stage_on_exit,
		.lost = stage_on_lost,
		.arg = stage,
	};

	cr_assert(stage);
	stage->now_ns = 1000 * SECOND;
	stage->port = 40000;
	stage->seed = stage_seed_open();
	stage->joiner = joiner_new(&config, &sink);
	cr_assert(stage->joiner);
	stage_process(stage, MASTER, ROLE_MASTER);
	stage_process(stage, WORKER, ROLE_WORKER);
	stage_listen(stage, LISTENER, 443);
	return stage;
}

static inline void stage_free(struct stage *stage)
{
	joiner_free(stage->joiner);
	if (stage->seed)
		fclose(stage->seed);
	free(stage);
}

/* A client of `listener` is accepted; arrives on whatever task ran. */
static inline void stage_open_on(struct stage *stage, uint64_t cookie, uint64_t listener)
{
	struct event *event =
		EVENT_OF(&stage->any, EVENT_OPEN, open, stage->now_ns, STRANGER, cookie);

	event->open.tuple = event_tuple_of(stage->port++, 77);
	event->open.listener_cookie = listener;
	event->open.remote_isn = 5000;
	event->open.local_isn = 6000;
	event->open.srtt_us = 400;
	stage_play(stage, event);
}

static inline void stage_open(struct stage *stage, uint64_t cookie)
{
	stage_open_on(stage, cookie, LISTENER);
}

/* nginx's connection to an upstream is there, 300 µs after it was asked for. */
static inline void stage_connected(struct stage *stage, uint64_t cookie)
{
	struct event *event =
		EVENT_OF(&stage->any, EVENT_OPEN, open, stage->now_ns, STRANGER, cookie);

	event->open.tuple = event_tuple_of(8443, 200);
	event->open.tuple.local_port = stage->port++;
	event->open.flags = OPEN_ACTIVE;
	event->open.connect_ns = stage->now_ns - 300 * US;
	event->open.owner = WORKER;
	event->open.srtt_us = 300;
	stage_play(stage, event);
}

static inline void stage_wire(struct stage *stage, uint64_t cookie, uint8_t direction,
			      uint32_t offset, uint8_t flags, const void *bytes, size_t len)
{
	for (size_t at = 0; at < len;) {
		size_t part = len - at < WIRE_LARGE ? len - at : WIRE_LARGE;

		stage_play(stage, event_wire_of(&stage->any, stage->now_ns, cookie, direction,
						offset + (uint32_t)at, flags,
						(const uint8_t *)bytes + at, part));
		flags &= ~WIRE_START;
		at += part;
	}
}

static inline void stage_hex(struct stage *stage, uint64_t cookie, uint8_t direction,
			     const char *hex)
{
	struct hello_bytes bytes = hello_bytes(hex);

	stage_wire(stage, cookie, direction, 0, WIRE_START, bytes.at, bytes.len);
}

/* The client says what `openssl s_client -servername www.example.com` says. */
static inline void stage_hello(struct stage *stage, uint64_t cookie)
{
	stage_hex(stage, cookie, WIRE_IN, hello_openssl);
}

static inline void stage_alert_out(struct stage *stage, uint64_t cookie, uint8_t number)
{
	uint8_t record[] = {21, 3, 3, 0, 2, 2, number};

	stage_wire(stage, cookie, WIRE_OUT, 0, WIRE_START, record, sizeof(record));
}

/* SSL_do_handshake ran for 500 µs and returned. */
static inline void stage_call_of(struct stage *stage, uint32_t tgid, uint64_t cookie, uint64_t ssl,
				 uint32_t flags, int result)
{
	struct event *event;
	uint64_t entry_ns = stage->now_ns;

	stage->now_ns += 500 * US;
	event = EVENT_OF(&stage->any, EVENT_HANDSHAKE, handshake, stage->now_ns, tgid,
			 flags & HANDSHAKE_FIRST ? cookie : 0);
	event->handshake.ssl = ssl;
	event->handshake.entry_ns = entry_ns;
	event->handshake.set_fd_ns = flags & HANDSHAKE_FIRST ? entry_ns - 5 * US : 0;
	event->handshake.result = result;
	event->handshake.flags = flags;
	stage_play(stage, event);
}

static inline void stage_first(struct stage *stage, uint64_t cookie, uint64_t ssl, int result)
{
	stage_call_of(stage, WORKER, cookie, ssl, HANDSHAKE_FIRST, result);
}

static inline void stage_again(struct stage *stage, uint64_t ssl, int result)
{
	stage_call_of(stage, WORKER, 0, ssl, 0, result);
}

/* nginx takes a code from the queue. */
static inline void stage_code_of(struct stage *stage, uint32_t tgid, uint64_t code, uint64_t ssl)
{
	struct event *event = EVENT_OF(&stage->any, EVENT_ERROR, error, stage->now_ns, tgid, 0);

	event->error.code = code;
	event->error.ssl = ssl;
	event->error.flags = ssl ? ERROR_IN_CALL : 0;
	stage_play(stage, event);
}

static inline void stage_code(struct stage *stage, uint64_t code)
{
	stage_code_of(stage, WORKER, code, 0);
}

static inline void stage_verify(struct stage *stage, uint32_t kind, uint64_t ssl, int result)
{
	struct event *event = EVENT_OF(&stage->any, kind, verify, stage->now_ns, WORKER, 0);

	event->verify.ssl = ssl;
	event->verify.result = result;
	stage_play(stage, event);
}

static inline void stage_close_of(struct stage *stage, uint32_t tgid, uint64_t cookie, int sk_err,
				  uint8_t old_state, uint8_t new_state)
{
	struct event *event =
		EVENT_OF(&stage->any, EVENT_CLOSE, close, stage->now_ns, tgid, cookie);

	event->header.size = EVENT_CLOSE_SIZE;
	event->close.sk_err = sk_err;
	event->close.old_state = old_state;
	event->close.new_state = new_state;
	stage_play(stage, event);
}

/* nginx closes. */
static inline void stage_close(struct stage *stage, uint64_t cookie)
{
	stage_close_of(stage, WORKER, cookie, 0, TCP_STATE_ESTABLISHED, TCP_STATE_FIN_WAIT1);
}

/* The peer resets: it arrives on any task. */
static inline void stage_reset(struct stage *stage, uint64_t cookie)
{
	stage_close_of(stage, STRANGER, cookie, ECONNRESET, TCP_STATE_ESTABLISHED, TCP_STATE_CLOSE);
}

static inline void stage_fin(struct stage *stage, uint64_t cookie)
{
	stage_play(stage,
		   event_begin(&stage->any, EVENT_PEER_FIN, 0, stage->now_ns, STRANGER, cookie));
}

/* nginx closes what its peer has closed already. */
static inline void stage_close_after_fin(struct stage *stage, uint64_t cookie)
{
	stage_close_of(stage, WORKER, cookie, 0, TCP_STATE_CLOSE_WAIT, TCP_STATE_LAST_ACK);
}

static inline void stage_fork(struct stage *stage, uint32_t parent, uint32_t child)
{
	struct event *event = EVENT_OF(&stage->any, EVENT_FORK, fork, stage->now_ns, parent, 0);

	event->fork.child = child;
	stage_play(stage, event);
}

static inline void stage_exit(struct stage *stage, uint32_t tgid, uint32_t exit_code)
{
	struct event *event = EVENT_OF(&stage->any, EVENT_EXIT, exit, stage->now_ns, tgid, 0);

	event->exit.exit_code = exit_code;
	stage_play(stage, event);
}

static inline void stage_signal(struct stage *stage, uint32_t tgid, uint32_t number)
{
	struct event *event = EVENT_OF(&stage->any, EVENT_SIGNAL, signal, stage->now_ns, tgid, 0);

	event->signal.number = number;
	stage_play(stage, event);
}

/* The loss counters as they stand. */
static inline void stage_lost(struct stage *stage, uint32_t kind, uint64_t events,
			      uint64_t first_handshakes, uint64_t map_full)
{
	struct event *event = EVENT_OF(&stage->any, EVENT_LOST, lost, stage->now_ns, 0, 0);

	event->lost.by_kind[kind] = events;
	event->lost.first_handshakes = first_handshakes;
	event->lost.map_full = map_full;
	stage_play(stage, event);
}

static inline void stage_finish(struct stage *stage)
{
	joiner_finish(stage->joiner, stage->now_ns);
}

static inline struct joiner_counts stage_counts(const struct stage *stage)
{
	struct joiner_counts counts;

	joiner_counts(stage->joiner, &counts);
	return counts;
}

#endif
