/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whose error codes these are.
 *
 * nginx drains OpenSSL's queue in ngx_ssl_error, right before it closes the connection that failed:
 * codes drained outside a call belong to the next socket that the thread closes. Not to the last
 * handshake: another connection's SSL_read may have failed. What SSL_shutdown left behind is drained
 * by ngx_ssl_clear_error before an innocent handshake: stale.
 */
#include <stdlib.h>
#include <string.h>

#include "diagnose/reasons.h"
#include "join/internal.h"

/* A reason of libssl from here on is an alert received: the number and this. */
enum { REASON_ALERT = 1000 };

struct thread *thread_find(struct joiner *joiner, uint32_t tgid)
{
	struct thread *thread;

	HASH_FIND(hh, joiner->threads, &tgid, sizeof(tgid), thread);
	return thread;
}

struct thread *thread_get(struct joiner *joiner, uint32_t tgid)
{
	struct thread *thread = thread_find(joiner, tgid);

	if (thread || HASH_COUNT(joiner->threads) >= LIMIT_PROCESSES)
		return thread;
	thread = calloc(1, sizeof(*thread));
	if (!thread)
		return NULL;
	thread->tgid = tgid;
	thread->shown_pid = tgid;
	thread->verify_result = -1;
	HASH_ADD(hh, joiner->threads, tgid, sizeof(thread->tgid), thread);
	return thread;
}

void thread_free_all(struct joiner *joiner)
{
	struct thread *thread, *next;

	HASH_ITER(hh, joiner->threads, thread, next) {
		HASH_DELETE(hh, joiner->threads, thread);
		codes_clear(&thread->codes);
		codes_clear(&thread->inside);
		free(thread);
	}
}

bool code_is_alert(uint64_t code)
{
	int reason = error_ssl_reason(code, NULL);

	return reason >= REASON_ALERT && reason < REASON_ALERT + 256;
}

void codes_clear(struct codes *codes)
{
	for (int i = 0; i < codes->count; i++)
		free(codes->at[i].data);
	codes->count = 0;
}

static struct code *codes_add(struct codes *codes, uint64_t code, uint64_t ts_ns)
{
	struct code *entry;

	if (codes->count >= LIMIT_THREAD_CODES)
		return NULL;
	entry = &codes->at[codes->count++];
	memset(entry, 0, sizeof(*entry));
	entry->code = code;
	entry->ts_ns = ts_ns;
	return entry;
}

void codes_move(struct codes *to, struct codes *from)
{
	int i;

	for (i = 0; i < from->count && to->count < LIMIT_THREAD_CODES; i++)
		to->at[to->count++] = from->at[i];
	for (; i < from->count; i++)
		free(from->at[i].data);
	from->count = 0;
}

/* The connection of the call that returned last, if it failed and these codes may be why. */
static struct conn *last_failed(struct joiner *joiner, const struct thread *thread)
{
	struct conn *conn = conn_find(joiner, thread->last_cookie);

	/* libssl threw a session away since: what went wrong then was no handshake, but an SSL_read or
	 * SSL_write of another connection (ssl3_read_bytes, ssl3_send_alert do so on a fatal alert) */
	if (!conn || thread->session_removed || conn->phase == PHASE_WRITTEN || !conn->hs)
		return NULL;
	return conn->hs->last_failed && thread->codes.at[0].ts_ns >= conn->hs->last_return_ns ?
		       conn :
		       NULL;
}

/* A connection that the kernel ended after its handshake, if there is just one: an SSL_read that
 * failed on what came before the reset. */
static struct conn *ended_only(struct joiner *joiner, const struct thread *thread)
{
	struct conn *conn, *found = NULL;

	DL_FOREACH(joiner->held.head, conn) {
		if (!conn->kernel_ended || !conn->ssl || conn->tgid != thread->tgid ||
		    !conn->done_ns || thread->codes.at[0].ts_ns < conn->end_ns)
			continue;
		if (found)
			return NULL;
		found = conn;
	}
	return found;
}

/* Whose codes these are where no close follows: nginx's close of a socket that the kernel ended
 * makes no event. */
static struct conn *ended_owner(struct joiner *joiner, const struct thread *thread)
{
	struct conn *conn = last_failed(joiner, thread);

	return conn && conn->kernel_ended ? conn : ended_only(joiner, thread);
}

/* Whose they are where `closing` is closed now. */
static struct conn *closed_owner(struct joiner *joiner, const struct thread *thread,
				 struct conn *closing, uint64_t ts_ns)
{
	struct conn *last = last_failed(joiner, thread);

	if (last == closing)
		return closing; /* however long a loaded host took between the two */
	if (last && last->kernel_ended &&
	    thread->codes.at[0].ts_ns - last->hs->last_return_ns <= CODE_FRESH_NS)
		return last;
	return ts_ns - thread->codes.at[0].ts_ns <= CODE_FRESH_NS ? closing : NULL;
}

static void codes_give(struct joiner *joiner, struct codes *codes, struct conn *owner)
{
	struct handshake *hs = conn_handshake(owner);

	if (!hs) {
		codes_clear(codes);
		return;
	}
	codes_move(&hs->queue, codes);
	finish_codes(joiner, owner);
}

void thread_boundary(struct joiner *joiner, struct thread *thread, uint64_t entry_ns,
		     struct conn *next)
{
	struct conn *owner;

	if (!thread->codes.count || thread->codes.at[0].ts_ns >= entry_ns)
		return;
	thread->last_code = NULL;
	owner = ended_owner(joiner, thread);
	if (owner) {
		codes_give(joiner, &thread->codes, owner);
		return;
	}
	joiner->counts.stale_codes += thread->codes.count;
	if (next && next->phase == PHASE_OPEN && conn_handshake(next)) {
		codes_move(&next->hs->stale, &thread->codes);
		memcpy(next->hs->stale_of, thread->last_closed_id, sizeof(next->hs->stale_of));
	} else {
		codes_clear(&thread->codes);
	}
}

/* Codes that no close follows: the kernel ended their socket. Else the close is late: a loaded host
 * may take a worker off its CPU right between the two. */
void thread_advance(struct joiner *joiner, struct thread *thread)
{
	uint64_t age_ns = thread->codes.count ? joiner->now_ns - thread->codes.at[0].ts_ns : 0;

	if (age_ns > SETTLE_NS || (age_ns > CODE_FRESH_NS && ended_owner(joiner, thread)))
		thread_boundary(joiner, thread, joiner->now_ns, NULL);
}

void thread_closed(struct joiner *joiner, struct thread *thread, struct conn *conn, uint64_t ts_ns)
{
	struct conn *owner;

	/* before the codes: they may be the end of it */
	conn_id(conn, conn->records ? conn->records - 1 : 0, thread->last_closed_id);
	if (!thread->codes.count)
		return;
	thread->last_code = NULL;
	owner = closed_owner(joiner, thread, conn, ts_ns);
	if (owner) {
		codes_give(joiner, &thread->codes, owner);
	} else {
		joiner->counts.stale_codes += thread->codes.count;
		codes_clear(&thread->codes);
	}
}

void thread_code(struct joiner *joiner, const struct event *event)
{
	struct thread *thread = thread_get(joiner, event->header.tgid);
	struct codes *codes;

	if (!thread)
		return;
	codes = event->error.flags & ERROR_IN_CALL ? &thread->inside : &thread->codes;
	thread->last_code = codes_add(codes, event->error.code, event->header.ts_ns);
	if (!text_of(joiner, event->error.code) && joiner->sink.text_unknown)
		joiner->sink.text_unknown(joiner->sink.arg, event->error.code);
}

void thread_code_text(struct joiner *joiner, const struct event *event)
{
	const struct event_error_text *text = &event->error_text;
	struct thread *thread = thread_get(joiner, event->header.tgid);

	text_learn(joiner, text->code, text->text, text->text_len);
	if (!thread || !thread->last_code || thread->last_code->code != text->code)
		return;
	if (text->data_len && !thread->last_code->data)
		thread->last_code->data = strndup(text->data, text->data_len);
}
