/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Events of many connections go in, one record per connection comes out.
 *
 * Pure: no clock but the events', no I/O. Live tracing and replay drive it alike.
 */
#ifndef TLSWHY_JOIN_JOINER_H
#define TLSWHY_JOIN_JOINER_H

#include <stdbool.h>
#include <stdint.h>

#include "bpf/abi.h"
#include "join/record.h"

struct joiner;

struct joiner_reload {
	uint64_t time_ns; /* CLOCK_REALTIME of the HUP */
	bool succeeded;
	const uint32_t *old_workers, *new_workers; /* pids as shown */
	int old_count, new_count;
};

struct joiner_worker_exit {
	uint64_t time_ns;
	uint32_t pid;
	int signal; /* 0: it exited by itself */
	uint64_t pending;
};

/* What the joiner says. `record` may be changed by the callee (the diagnosis fills its cause). */
struct joiner_sink {
	void (*record)(void *arg, struct record *record);
	void (*reload)(void *arg, const struct joiner_reload *reload);
	void (*worker_exit)(void *arg, const struct joiner_worker_exit *info);
	/* The loss counters grew: events lost since the last call, handshakes that ended unseen. */
	void (*lost)(void *arg, const char *where, uint64_t since_ns, uint64_t events,
		     uint64_t handshakes);
	/* A code whose text was never seen: the text probe is wanted. May be NULL. */
	void (*text_unknown)(void *arg, uint64_t code);
	void *arg;
};

struct joiner_config {
	int64_t realtime_offset_ns; /* CLOCK_REALTIME − CLOCK_MONOTONIC */
	/* The libcrypto this program runs with writes the same texts as the target's. */
	bool same_openssl;
};

struct joiner_counts {
	uint64_t pending; /* handshakes that still run */
	uint64_t events_lost, handshakes_lost;
	uint64_t untracked; /* handshakes on connections older than the trace */
	uint64_t stale_codes;
};

struct joiner *joiner_new(const struct joiner_config *config, const struct joiner_sink *sink);
void joiner_free(struct joiner *joiner); /* NULL-safe; writes nothing */

/* One event; `event` was judged by event_check(). Its time may run deadlines first. */
void joiner_event(struct joiner *joiner, const struct event *event);

/* Time passes (CLOCK_MONOTONIC). Every event before `now_ns` was given: take the time, then read the
 * ring, then call this. */
void joiner_advance(struct joiner *joiner, uint64_t now_ns);

/* The run ends: what was held is written, what still shakes hands is pending. */
void joiner_finish(struct joiner *joiner, uint64_t now_ns);

void joiner_counts(const struct joiner *joiner, struct joiner_counts *ret);

/* 0, or -EBADMSG: too short for its kind, lengths that point outside, a kind that is not known is
 * -ENOTSUP and may be skipped. `len` is what there is; the event's own size must fit in it. */
int event_check(const void *bytes, size_t len);

#endif
