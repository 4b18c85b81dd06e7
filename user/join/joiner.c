/* SPDX-License-Identifier: BSD-2-Clause */
/* Each event to whoever it concerns. */
#include <stdlib.h>
#include <string.h>

#include "join/internal.h"

struct joiner *joiner_new(const struct joiner_config *config, const struct joiner_sink *sink)
{
	struct joiner *joiner = calloc(1, sizeof(*joiner));

	if (!joiner)
		return NULL;
	joiner->config = *config;
	joiner->sink = *sink;
	return joiner;
}

static void list_free(struct joiner *joiner, struct conn_list *list)
{
	while (list->head)
		conn_free(joiner, list->head);
}

void joiner_free(struct joiner *joiner)
{
	struct listener_group *group, *next_group;
	struct listener *listener, *next_listener;
	struct upstream *upstream, *next_upstream;
	struct early *early, *next_early;

	if (!joiner)
		return;
	list_free(joiner, &joiner->live);
	list_free(joiner, &joiner->held);
	list_free(joiner, &joiner->written);
	list_free(joiner, &joiner->silent);
	HASH_ITER(hh, joiner->listeners, listener, next_listener) {
		HASH_DELETE(hh, joiner->listeners, listener);
		free(listener);
	}
	HASH_ITER(hh, joiner->groups, group, next_group) {
		HASH_DELETE(hh, joiner->groups, group);
		free(group);
	}
	HASH_ITER(hh, joiner->upstreams, upstream, next_upstream) {
		HASH_DELETE(hh, joiner->upstreams, upstream);
		free(upstream);
	}
	DL_FOREACH_SAFE(joiner->early, early, next_early) {
		DL_DELETE(joiner->early, early);
		free(early);
	}
	thread_free_all(joiner);
	texts_free(joiner);
	free(joiner);
}

/* A connection whose OPEN was not seen: Fast Open has bytes and an SSL before it; what comes after a
 * close, or is older than the trace, never has one and is forgotten again. */
static struct conn *conn_get(struct joiner *joiner, uint64_t cookie)
{
	struct conn *conn = conn_find(joiner, cookie);

	if (conn)
		return conn;
	conn = conn_new(joiner, cookie);
	if (conn) {
		conn->deadline_ns = joiner->now_ns + EARLY_KEPT_NS;
		conn_move(conn, &joiner->held);
	}
	return conn;
}

static void on_open(struct joiner *joiner, const struct event *event)
{
	const struct event_open *open = &event->open;
	struct conn *conn = conn_get(joiner, event->header.cookie);

	if (!conn || conn->opened)
		return;
	if (conn->phase == PHASE_OPEN)
		conn_move(conn, &joiner->live);
	conn->opened = true;
	conn->open_ns = event->header.ts_ns;
	conn->active = open->flags & OPEN_ACTIVE;
	conn->tuple = open->tuple;
	conn->listener_cookie = open->listener_cookie;
	conn->connect_ns = open->connect_ns;
	conn->srtt_us = open->srtt_us;
	conn->remote_isn = open->remote_isn;
	if (open->owner)
		conn->tgid = open->owner;
	if (!conn->active && joiner->early)
		wire_early_claim(joiner, conn);
	if (conn->hs && conn->hs->calls && !conn->active)
		listener_proved(joiner, listener_group_of(joiner, conn));
	if (conn->phase == PHASE_HELD)
		finish_established(joiner, conn, conn->done_ns); /* Fast Open: it was waited for */
}

/* A connection that was never opened here has an SSL: Fast Open, or older than the trace. */
static struct conn *conn_of_first(struct joiner *joiner, const struct event *event, uint64_t ssl)
{
	struct conn *conn, *before;

	if (!event->header.cookie)
		return NULL;
	conn = conn_get(joiner, event->header.cookie);
	if (!conn)
		return NULL;
	before = conn_of_ssl(joiner, event->header.tgid, ssl);
	if (before && before != conn && before->phase == PHASE_OPEN) {
		/* its SSL was freed without an end that was seen */
		if (before->kernel_ended)
			finish_deadline(joiner, before);
		else if (joiner->losses_ns)
			conn_lost(joiner, before);
	}
	if (conn->phase == PHASE_WRITTEN && conn->done_ns)
		return conn;
	conn_bind(joiner, conn, event->header.tgid, ssl);
	if (conn->active)
		upstream_proved(joiner, conn);
	else if (conn->opened)
		listener_proved(joiner, listener_group_of(joiner, conn));
	return conn;
}

/* nginx first looks at a hello: the first SSL_set_fd or call at or after its first byte. */
static void pickup_note(struct conn *conn, uint64_t set_fd_ns, uint64_t entry_ns, uint64_t return_ns)
{
	struct handshake *hs = conn->hs;
	uint64_t hello_ns = conn->first_in_ns;

	if (conn->active || hs->pickup_end_ns || !hello_ns)
		return;
	if (set_fd_ns >= hello_ns)
		hs->pickup_end_ns = set_fd_ns;
	else if (entry_ns >= hello_ns)
		hs->pickup_end_ns = entry_ns;
	else if (return_ns >= hello_ns && conn->last_out_ns >= entry_ns)
		hs->pickup_end_ns = hello_ns; /* it came while the call ran, and was answered */
}

/* Time inside OpenSSL counts from the pickup on: a call that found nothing to read is waiting. */
static void crypto_note(struct conn *conn, uint64_t entry_ns, uint64_t return_ns)
{
	struct handshake *hs = conn->hs;

	if (!conn->active && conn->first_in_ns) {
		if (!hs->pickup_end_ns)
			return;
		if (entry_ns < hs->pickup_end_ns)
			entry_ns = hs->pickup_end_ns;
	}
	if (!conn->active && !conn->first_in_ns && conn->opened)
		return;
	if (return_ns > entry_ns)
		hs->crypto_ns += return_ns - entry_ns;
}

static void call_note(struct conn *conn, struct thread *thread, const struct event *event)
{
	const struct event_handshake *call = &event->handshake;
	struct handshake *hs = conn->hs;
	uint64_t now_ns = event->header.ts_ns;

	hs->calls++;
	if (!hs->first_call_ns)
		hs->first_call_ns = call->entry_ns;
	pickup_note(conn, call->set_fd_ns, call->entry_ns, now_ns);
	crypto_note(conn, call->entry_ns, now_ns);
	hs->last_return_ns = now_ns;
	hs->last_failed = call->result < 1;
	codes_move(&hs->inside, &thread->inside);
	thread->last_code = NULL;
	if (thread->verify_ssl == call->ssl && thread->verify_result >= 0)
		conn->verify_code = thread->verify_result;
	thread->verify_result = -1;
	thread->last_cookie = conn->cookie;
	thread->session_removed = false;
	if (conn->kernel_ended && hs->last_failed &&
	    conn->deadline_ns > now_ns + SETTLE_CALL_NS)
		conn->deadline_ns = now_ns + SETTLE_CALL_NS;
}

static void on_call(struct joiner *joiner, const struct event *event)
{
	const struct event_handshake *call = &event->handshake;
	struct thread *thread = thread_get(joiner, event->header.tgid);
	bool early = event->header.kind == EVENT_EARLY_DATA;
	struct conn *conn;

	if (!thread)
		return;
	/* what was drained before may end the connection that had this SSL's address */
	if (call->flags & HANDSHAKE_FIRST)
		conn = event->header.cookie ? conn_get(joiner, event->header.cookie) : NULL;
	else
		conn = conn_of_ssl(joiner, event->header.tgid, call->ssl);
	thread_boundary(joiner, thread, call->entry_ns, conn);
	if (call->flags & HANDSHAKE_FIRST)
		conn = conn_of_first(joiner, event, call->ssl);
	else
		conn = conn_of_ssl(joiner, event->header.tgid, call->ssl);
	if (!conn || conn->phase != PHASE_OPEN || !conn_handshake(conn)) {
		codes_clear(&thread->inside);
		thread->last_code = NULL;
		return;
	}
	if (!early && call->flags & HANDSHAKE_IN_EARLY_DATA) {
		/* part of an SSL_read_early_data whose own return follows; what it returns is
		 * provisional */
		pickup_note(conn, call->set_fd_ns, call->entry_ns, event->header.ts_ns);
		return;
	}
	call_note(conn, thread, event);
	if (call->result != 1)
		return; /* of SSL_read_early_data, 2 means: now SSL_do_handshake */
	conn->hs->early_accepted = early;
	finish_established(joiner, conn, event->header.ts_ns);
}

static void on_set_fd(struct joiner *joiner, const struct event *event)
{
	conn_of_first(joiner, event, event->set_fd.ssl);
}

static void on_wire(struct joiner *joiner, const struct event *event)
{
	struct conn *conn = conn_get(joiner, event->header.cookie);

	if (conn)
		wire_bytes(joiner, conn, event->header.ts_ns, &event->wire);
}

static void on_peer_fin(struct joiner *joiner, const struct event *event)
{
	struct conn *conn = conn_find(joiner, event->header.cookie);

	if (conn)
		conn->peer_fin = true;
}

static void on_close(struct joiner *joiner, const struct event *event)
{
	struct conn *conn = conn_find(joiner, event->header.cookie);

	if (!conn && finish_is_failed_connect(event))
		conn = conn_new(joiner, event->header.cookie);
	if (conn)
		finish_closed(joiner, conn, event);
}

static uint64_t delta(uint64_t now, uint64_t before)
{
	return now > before ? now - before : 0;
}

/* Handshakes that ended unseen are those whose first call was lost, and those given up since. */
static void lost_tell(struct joiner *joiner, const char *where, uint64_t events, uint64_t since_ns)
{
	uint64_t handshakes = joiner->counts.handshakes_lost - joiner->handshakes_told;

	joiner->handshakes_told = joiner->counts.handshakes_lost;
	if ((events || handshakes) && joiner->sink.lost)
		joiner->sink.lost(joiner->sink.arg, where,
				  since_ns + joiner->config.realtime_offset_ns, events, handshakes);
}

static void on_lost(struct joiner *joiner, const struct event *event)
{
	const struct event_lost *lost = &event->lost;
	uint64_t events = 0, maps, since = joiner->lost_said_ns;
	struct conn *conn, *next;

	for (int i = 0; i < LOST_KINDS; i++)
		events += delta(lost->by_kind[i], joiner->lost.by_kind[i]);
	maps = delta(lost->map_full, joiner->lost.map_full);
	joiner->counts.events_lost += events + maps;
	joiner->counts.handshakes_lost +=
		delta(lost->first_handshakes, joiner->lost.first_handshakes);
	joiner->lost = *lost;
	joiner->lost_said_ns = event->header.ts_ns;
	if (!since)
		since = event->header.ts_ns;
	if (events) {
		joiner->losses_ns = event->header.ts_ns;
		/* whatever shook hands meanwhile may have ended unseen, and its SSL be another's */
		DL_FOREACH_SAFE(joiner->live.head, conn, next) {
			if (finish_is_handshaking(conn))
				conn_lost(joiner, conn);
		}
		lost_tell(joiner, "ring", events, since);
	}
	if (maps)
		lost_tell(joiner, "map", maps, since);
}

static void dispatch(struct joiner *joiner, const struct event *event)
{
	struct conn *conn;

	switch (event->header.kind) {
	case EVENT_LISTENER:
		listener_add(joiner, event->header.cookie, &event->listener.tuple);
		break;
	case EVENT_OPEN:
		on_open(joiner, event);
		break;
	case EVENT_PEER_FIN:
		on_peer_fin(joiner, event);
		break;
	case EVENT_CLOSE:
		on_close(joiner, event);
		break;
	case EVENT_RETRANSMIT:
		conn = conn_find(joiner, event->header.cookie);
		if (conn)
			conn->retransmits++;
		break;
	case EVENT_WIRE:
		on_wire(joiner, event);
		break;
	case EVENT_WIRE_EARLY:
		wire_early(joiner, event);
		break;
	case EVENT_SET_FD:
		on_set_fd(joiner, event);
		break;
	case EVENT_HANDSHAKE:
	case EVENT_EARLY_DATA:
		on_call(joiner, event);
		break;
	case EVENT_ERROR:
		thread_code(joiner, event);
		break;
	case EVENT_ERROR_TEXT:
		thread_code_text(joiner, event);
		break;
	case EVENT_VERIFY:
	case EVENT_VERIFY_RESULT:
	case EVENT_CHECK_HOST:
	case EVENT_SESSION_REMOVED:
		verdict_event(joiner, event);
		break;
	case EVENT_LOST:
		on_lost(joiner, event);
		break;
	case EVENT_FORK:
	case EVENT_EXEC:
	case EVENT_EXIT:
	case EVENT_SIGNAL:
	case EVENT_PROCESS:
		process_event(joiner, event);
		break;
	}
}

/* What OpenSSL does next on a thread, or the close of the socket, settles what was asked before. */
static void verdict_next(struct joiner *joiner, const struct event *event)
{
	uint32_t kind = event->header.kind;
	struct thread *thread;

	if (kind != EVENT_CLOSE && (kind < EVENT_SET_FD || kind > EVENT_CHECK_HOST))
		return;
	thread = thread_find(joiner, event->header.tgid);
	if (thread && thread->judged_ssl)
		verdict_settle(joiner, thread, event);
}

static bool drives_clock(uint32_t kind)
{
	return kind != EVENT_LOST && kind != EVENT_PROCESS && kind != EVENT_LISTENER;
}

void joiner_event(struct joiner *joiner, const struct event *event)
{
	/* the ring's order is causal, its times may differ by what a CPU was interrupted for; what
	 * user space adds comes between events that are older, and must not run their deadlines */
	if (event->header.ts_ns > joiner->now_ns && drives_clock(event->header.kind))
		joiner->now_ns = event->header.ts_ns;
	if (joiner->now_ns - joiner->advanced_ns >= ADVANCE_NS)
		joiner_advance(joiner, joiner->now_ns);
	verdict_next(joiner, event);
	dispatch(joiner, event);
}

static void threads_advance(struct joiner *joiner)
{
	struct thread *thread, *next;

	HASH_ITER(hh, joiner->threads, thread, next) {
		thread_advance(joiner, thread);
		if (thread->judged_ssl && joiner->now_ns - thread->judged_ns > SETTLE_CALL_NS)
			verdict_settle(joiner, thread, NULL);
		if (thread->exited && joiner->now_ns - thread->exit_ns > SETTLE_NS) {
			HASH_DELETE(hh, joiner->threads, thread);
			codes_clear(&thread->codes);
			codes_clear(&thread->inside);
			free(thread);
		}
	}
}

void joiner_advance(struct joiner *joiner, uint64_t now_ns)
{
	struct conn *conn, *next;

	if (now_ns > joiner->now_ns)
		joiner->now_ns = now_ns;
	joiner->advanced_ns = joiner->now_ns;
	threads_advance(joiner);
	DL_FOREACH_SAFE(joiner->held.head, conn, next) {
		if (conn->deadline_ns <= joiner->now_ns)
			finish_deadline(joiner, conn);
	}
	while (joiner->silent.head && joiner->silent.head->deadline_ns <= joiner->now_ns)
		conn_free(joiner, joiner->silent.head);
	wire_early_expire(joiner);
	process_advance(joiner);
	if (joiner->counts.handshakes_lost > joiner->handshakes_told)
		lost_tell(joiner, "ring", 0, joiner->lost_said_ns);
}

void joiner_finish(struct joiner *joiner, uint64_t now_ns)
{
	struct conn *conn, *next;

	joiner_advance(joiner, now_ns);
	DL_FOREACH_SAFE(joiner->held.head, conn, next)
		finish_deadline(joiner, conn);
	DL_FOREACH_SAFE(joiner->live.head, conn, next) {
		if (!finish_is_handshaking(conn))
			continue;
		if (joiner->losses_ns && conn->open_ns <= joiner->losses_ns)
			conn_lost(joiner, conn);
		else if (conn->opened)
			joiner->counts.pending++;
		else
			joiner->counts.untracked++;
	}
	if (joiner->counts.handshakes_lost > joiner->handshakes_told)
		lost_tell(joiner, "ring", 0, joiner->lost_said_ns);
}

void joiner_counts(const struct joiner *joiner, struct joiner_counts *ret)
{
	*ret = joiner->counts;
}
