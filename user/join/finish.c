/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * When a record is written, and with which outcome.
 *
 * A code wins over everything: the peer's FIN often precedes the call that fails. What only looks
 * like an end because an event was lost is counted as lost instead.
 */
#include <errno.h>

#include "join/internal.h"

/* include/net/tcp_states.h */
enum { STATE_SYN_SENT = 2, STATE_CLOSE = 7, STATE_CLOSE_WAIT = 8 };

bool finish_is_handshaking(const struct conn *conn)
{
	return conn->phase == PHASE_OPEN && conn->hs && conn->hs->calls;
}

bool finish_is_failed_connect(const struct event *event)
{
	return event->close.old_state == STATE_SYN_SENT &&
	       event->header.size >= EVENT_CONNECT_FAILED_SIZE;
}

static uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* Did a loss of events happen while this connection was under way? */
static bool uncertain(const struct joiner *joiner, const struct conn *conn)
{
	return joiner->losses_ns && conn->open_ns <= joiner->losses_ns;
}

static uint64_t last_sign(const struct conn *conn)
{
	uint64_t sign = later(later(conn->last_in_ns, conn->last_out_ns), conn->open_ns);

	return conn->hs ? later(sign, conn->hs->last_return_ns) : sign;
}

static bool ended_by_peer(const struct conn *conn)
{
	return conn->ending == END_PEER_FIN || conn->ending == END_PEER_RESET;
}

static enum outcome outcome_unfinished(const struct conn *conn)
{
	const struct handshake *hs = conn->hs;

	if (hs->queue.count || hs->sent_alert_ns)
		return OUTCOME_FAILED;
	if (ended_by_peer(conn) || conn->ending == END_WORKER_EXIT || conn->ending == END_KERNEL)
		return OUTCOME_ABORTED;
	return conn->end_ns - last_sign(conn) >= SILENCE_NS ? OUTCOME_TIMED_OUT : OUTCOME_ABORTED;
}

/* No OpenSSL call was made for it: TCP and the wire alone tell. */
static enum outcome outcome_silent(const struct conn *conn)
{
	bool bytes = conn->first_len > 0;
	bool waited = conn->end_ns - last_sign(conn) >= SILENCE_NS;

	if (conn->ending == END_WORKER_EXIT)
		return OUTCOME_ABORTED;
	if (conn->ending == END_CONNECT_FAILED)
		return conn->sk_err ? OUTCOME_ABORTED : OUTCOME_TIMED_OUT;
	if (bytes && conn->local_spoke)
		return OUTCOME_REJECTED; /* nginx answered in clear: 400 */
	if (ended_by_peer(conn) || conn->ending == END_KERNEL)
		return OUTCOME_ABORTED;
	/* half a request line, or a PROXY header and nothing after it, may also wait for its timeout */
	if (bytes && !waited)
		return OUTCOME_REJECTED;
	return waited ? OUTCOME_TIMED_OUT : OUTCOME_ABORTED;
}

static uint64_t end_of_unfinished(const struct conn *conn)
{
	const struct handshake *hs = conn->hs;

	if (hs->queue.count || hs->sent_alert_ns)
		return later(hs->last_return_ns, hs->sent_alert_ns);
	return conn->end_ns;
}

/* Writes the record of a handshake that did not succeed, and forgets the connection. */
static void decide(struct joiner *joiner, struct conn *conn)
{
	bool proven = conn->hs->queue.count > 0 || conn->hs->sent_alert_ns;

	if (!conn->opened) {
		/* established before the trace began, or its OPEN event was lost */
		if (joiner->losses_ns)
			joiner->counts.handshakes_lost++;
		else
			joiner->counts.untracked++;
	} else if (!proven && uncertain(joiner, conn)) {
		joiner->counts.handshakes_lost++;
	} else {
		report_write(joiner, conn, outcome_unfinished(conn), end_of_unfinished(conn));
	}
	conn_free(joiner, conn);
}

void finish_silent(struct joiner *joiner, struct conn *conn)
{
	report_write(joiner, conn, outcome_silent(conn), conn->end_ns);
	conn_free(joiner, conn);
}

/* Another process accepted it: one that is not traced, or that does TLS without our OpenSSL. */
static bool of_others(const struct joiner *joiner, const struct conn *conn)
{
	if (conn->hs && conn->hs->server_hello_seen)
		return true;
	return joiner->siblings && !conn->tgid;
}

/* An end without any SSL: a record where TLS is spoken, kept where that is not known yet. */
static void silent_ended(struct joiner *joiner, struct conn *conn)
{
	struct listener_group *group;
	bool dialogue, tls;

	if (conn->active) {
		/* whoever got bytes of ours was not to do TLS */
		dialogue = conn->local_spoke;
		tls = upstream_known(joiner, &conn->tuple);
	} else {
		group = listener_group_of(joiner, conn);
		dialogue = !conn->opened || conn->local_spoke_first || of_others(joiner, conn);
		tls = group && group->does_tls;
	}
	/* a loss may have hidden its SSL; that the events are missing was counted */
	if (dialogue || uncertain(joiner, conn)) {
		conn_free(joiner, conn);
	} else if (tls) {
		finish_silent(joiner, conn);
	} else {
		conn_forget_cookie(joiner, conn);
		conn_move(conn, &joiner->silent);
		conn->deadline_ns = conn->end_ns + SILENT_KEPT_NS;
		if (joiner->silent.count > LIMIT_SILENT)
			conn_free(joiner, joiner->silent.head);
	}
}

static void hold(struct joiner *joiner, struct conn *conn, uint64_t deadline_ns)
{
	conn->deadline_ns = deadline_ns;
	conn_move(conn, &joiner->held);
}

/* Does a code that came after the handshake speak of it? An alert does; what goes wrong with
 * data or with close_notify does not. */
static bool speaks_of_handshake(const struct conn *conn)
{
	const struct codes *queue = &conn->hs->queue;

	for (int i = 0; i < queue->count; i++) {
		if (code_is_alert(queue->at[i].code))
			return true;
	}
	return false;
}

/* False: there was nothing to write, and the connection is gone. */
static bool write_established(struct joiner *joiner, struct conn *conn)
{
	enum outcome outcome = OUTCOME_ESTABLISHED;

	if (!conn->opened) {
		if (joiner->losses_ns)
			joiner->counts.handshakes_lost++;
		else
			joiner->counts.untracked++;
		conn_free(joiner, conn);
		return false;
	}
	if (conn->rejected)
		outcome = OUTCOME_REJECTED;
	else if (conn->hs && speaks_of_handshake(conn))
		outcome = OUTCOME_FAILED;
	else if (conn->hs)
		codes_clear(&conn->hs->queue); /* of data, or of close_notify */
	report_write(joiner, conn, outcome, conn->done_ns);
	conn_move(conn, &joiner->written);
	return true;
}

/* How long to wait for what the other side says of a handshake that succeeded for us. */
static uint64_t hold_for(struct joiner *joiner, const struct conn *conn)
{
	const struct listener_group *group;
	uint64_t wait;

	if (!conn->opened)
		return HOLD_MAX_NS; /* Fast Open: ESTABLISHED is on its way */
	if (conn->active) {
		/* TLS 1.3: its answer to our certificate comes after our Finished; and nginx verifies
		 * in any version once the call has returned */
		wait = (uint64_t)conn->srtt_us * 4000;
		wait = wait > HOLD_UPSTREAM_NS ? wait : HOLD_UPSTREAM_NS;
		return wait < HOLD_MAX_NS ? wait : HOLD_MAX_NS;
	}
	group = listener_group_of(joiner, conn);
	return group && group->verifies ? HOLD_MAX_NS : 0;
}

void finish_established(struct joiner *joiner, struct conn *conn, uint64_t ts_ns)
{
	uint64_t wait;

	conn->done_ns = ts_ns;
	conn->phase = PHASE_HELD;
	wait = hold_for(joiner, conn);
	if (wait)
		hold(joiner, conn, ts_ns + wait);
	else if (write_established(joiner, conn) && conn->kernel_ended)
		hold(joiner, conn, ts_ns + SETTLE_NS);
}

/* It need not be held any longer. Where the kernel ended the connection no close is to come: it is
 * kept for a moment, for codes. */
void finish_release(struct joiner *joiner, struct conn *conn)
{
	if (conn->phase == PHASE_HELD && write_established(joiner, conn) && conn->kernel_ended)
		hold(joiner, conn, conn->end_ns + SETTLE_NS);
}

static void ending_set(struct joiner *joiner, struct conn *conn, const struct event *event)
{
	const struct event_close *close = &event->close;
	struct thread *thread = thread_find(joiner, event->header.tgid);

	conn->end_ns = event->header.ts_ns;
	conn->sk_err = close->sk_err;
	if (close->sk_err) {
		conn->kernel_ended = true;
		conn->ending = close->sk_err == ECONNRESET || close->sk_err == EPIPE ? END_PEER_RESET :
										       END_KERNEL;
	} else if (thread && thread->exited) {
		conn->ending = END_WORKER_EXIT;
		conn->exit_signal = thread->exit_signal;
	} else if (conn->peer_fin || close->old_state == STATE_CLOSE_WAIT) {
		conn->ending = END_PEER_FIN;
	} else {
		conn->ending = close->new_state == STATE_CLOSE ? END_LOCAL_RESET : END_LOCAL_CLOSE;
	}
	if (finish_is_failed_connect(event)) {
		conn->ending = END_CONNECT_FAILED;
		conn->active = true;
		conn->kernel_ended = false;
		conn->tgid = close->owner;
		conn->connect_ns = conn->open_ns = close->connect_ns;
		conn->tuple = close->tuple;
	}
	if (!close->sk_err && !conn->tgid && thread && thread->role == ROLE_WORKER)
		conn->tgid = event->header.tgid;
}

void finish_closed(struct joiner *joiner, struct conn *conn, const struct event *event)
{
	struct thread *thread = thread_find(joiner, event->header.tgid);

	ending_set(joiner, conn, event);
	if (conn->kernel_ended) {
		/* nginx may still read what came before the reset, and say why it fails */
		uint64_t until = conn->end_ns + SETTLE_NS;

		if (conn->phase != PHASE_HELD || conn->deadline_ns > until)
			hold(joiner, conn, until);
		if (finish_is_handshaking(conn) && conn->hs->last_failed &&
		    conn->hs->queue.count)
			decide(joiner, conn);
		return;
	}
	if (thread && !thread->exited) {
		thread_closed(joiner, thread, conn, event->header.ts_ns);
		if (conn_find(joiner, event->header.cookie) != conn)
			return; /* its codes decided */
	}
	switch (conn->phase) {
	case PHASE_OPEN:
		if (finish_is_handshaking(conn))
			decide(joiner, conn);
		else
			silent_ended(joiner, conn);
		return;
	case PHASE_HELD:
		if (write_established(joiner, conn))
			conn_free(joiner, conn);
		return;
	case PHASE_WRITTEN:
		conn_free(joiner, conn);
		return;
	}
}

void finish_codes(struct joiner *joiner, struct conn *conn)
{
	uint64_t ts_ns;

	switch (conn->phase) {
	case PHASE_OPEN:
		if (conn->kernel_ended && finish_is_handshaking(conn))
			decide(joiner, conn);
		break;
	case PHASE_HELD:
		finish_release(joiner, conn);
		break;
	case PHASE_WRITTEN:
		ts_ns = conn->hs->queue.at[conn->hs->queue.count - 1].ts_ns;
		conn->hs->last_return_ns = ts_ns;
		if (speaks_of_handshake(conn))
			report_write(joiner, conn, OUTCOME_FAILED, ts_ns);
		conn_handshake_free(conn);
		break;
	}
}

void finish_rejected(struct joiner *joiner, struct conn *conn)
{
	if (conn->rejected)
		return;
	conn->rejected = true;
	if (conn->phase == PHASE_HELD)
		finish_release(joiner, conn);
	else if (conn->phase == PHASE_WRITTEN)
		report_write(joiner, conn, OUTCOME_REJECTED, joiner->now_ns);
}

void finish_deadline(struct joiner *joiner, struct conn *conn)
{
	bool ended;

	switch (conn->phase) {
	case PHASE_OPEN: /* settled: nginx had its time */
		if (finish_is_handshaking(conn))
			decide(joiner, conn);
		else
			silent_ended(joiner, conn);
		return;
	case PHASE_HELD:
		ended = conn->kernel_ended;
		if (write_established(joiner, conn) && ended)
			conn_free(joiner, conn);
		return;
	case PHASE_WRITTEN:
		conn_free(joiner, conn);
		return;
	}
}
