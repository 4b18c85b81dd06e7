/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A trace under way: the BPF programs loaded and attached, the ring read.
 *
 * Everything it put into the kernel hangs on descriptors: whatever way tlswhy ends, nothing stays.
 */
#ifndef TLSWHY_TRACE_SESSION_H
#define TLSWHY_TRACE_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/failure.h"
#include "bpf/abi.h"
#include "trace/library.h"
#include "trace/probes.h"
#include "trace/target.h"

struct session;

struct session_config {
	uint32_t ring_size; /* bytes, a power of two, at least a page */
	bool return_probes; /* proven safe here */
};

/* Called for every event, in order, with those that user space adds; it was judged by event_check().
 * Valid during the call. */
typedef void session_event_fn(void *arg, const struct event *event);

/* Loads and attaches to `target`, which must outlive the session. From the return of 0 on every new
 * connection is seen. -1 with *why: EXIT_HOST, EXIT_PERMISSION, EXIT_TARGET. */
int session_open(struct session **ret, struct target *target, const struct session_config *config,
		 session_event_fn *on_event, void *arg, struct failure *why);
void session_close(struct session *session); /* NULL-safe */

/* The ring: to be watched with EPOLLET, as it is readable whenever it holds anything; an edge comes when
 * the kernel side thinks that it should be read before the next tick. */
int session_fd(const struct session *session);

/* Reads what is in the ring, and does what is due: call when session_fd() is readable and at least
 * every 50 ms. */
void session_read(struct session *session);

/* A code whose text is not known was seen: read texts while that goes on. */
void session_want_texts(struct session *session);

/* The target has no process left. */
bool session_target_gone(const struct session *session);

const struct libraries *session_libraries(const struct session *session);
/* Names of what is attached ("SSL_do_handshake", "inet_sock_set_state" …), and of data that cannot be
 * had here; both end with NULL and live as long as the session. */
const char *const *session_probes(const struct session *session);
const char *const *session_missing(const struct session *session);

/* CLOCK_MONOTONIC. */
uint64_t session_now_ns(void);

#endif
