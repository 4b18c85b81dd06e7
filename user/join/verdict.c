/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nginx's own verdict on a peer's certificate, after OpenSSL called the handshake a success.
 *
 * Client: ngx_http_process_request (stream, mail: their handshake handlers) asks SSL_get_verify_result,
 * then for the certificate, and where it refuses, throws the session away with
 * SSL_CTX_remove_session before it does anything else on that thread. libssl throws sessions away
 * too, on a fatal alert outside a handshake: then its code is drained next.
 * Upstream: asked only with proxy_ssl_verify; ngx_ssl_check_host follows.
 */
#include "join/internal.h"

static bool is_alert(const struct event *event)
{
	return event->header.kind == EVENT_ERROR && code_is_alert(event->error.code);
}

void verdict_settle(struct joiner *joiner, struct thread *thread, const struct event *next)
{
	struct conn *conn = conn_of_ssl(joiner, thread->tgid, thread->judged_ssl);
	bool refused = thread->refused && !(next && is_alert(next));

	thread->judged_ssl = 0;
	thread->refused = false;
	if (!conn || conn->active)
		return;
	if (refused)
		finish_rejected(joiner, conn);
	else
		finish_release(joiner, conn);
}

static void asked_of_client(struct joiner *joiner, struct thread *thread, struct conn *conn,
			    const struct event *event)
{
	struct listener_group *group = listener_group_of(joiner, conn);

	if (group)
		group->verifies = true;
	thread->judged_ssl = event->verify.ssl;
	thread->judged_ns = event->header.ts_ns;
}

static void asked(struct joiner *joiner, struct thread *thread, const struct event *event)
{
	struct conn *conn = conn_of_ssl(joiner, thread->tgid, event->verify.ssl);

	if (!conn)
		return;
	if (event->verify.result || conn->verify_code < 0)
		conn->verify_code = event->verify.result;
	if (!conn->active)
		asked_of_client(joiner, thread, conn, event);
	else if (event->verify.result)
		finish_rejected(joiner, conn);
}

static void name_checked(struct joiner *joiner, struct thread *thread, const struct event *event)
{
	struct conn *conn = conn_of_ssl(joiner, thread->tgid, event->verify.ssl);

	if (!conn || !conn->active || event->verify.result == 1)
		return;
	conn->name_check_failed = true;
	finish_rejected(joiner, conn);
}

void verdict_event(struct joiner *joiner, const struct event *event)
{
	struct thread *thread = thread_get(joiner, event->header.tgid);

	if (!thread)
		return;
	switch (event->header.kind) {
	case EVENT_VERIFY:
		thread->verify_ssl = event->verify.ssl;
		thread->verify_result = event->verify.result;
		break;
	case EVENT_VERIFY_RESULT:
		asked(joiner, thread, event);
		break;
	case EVENT_CHECK_HOST:
		name_checked(joiner, thread, event);
		break;
	case EVENT_SESSION_REMOVED:
		/* it names no SSL: of the one that was asked about, unless an alert's code follows; a
		 * second one is another's */
		if (thread->refused)
			verdict_settle(joiner, thread, NULL);
		thread->session_removed = true;
		thread->refused = thread->judged_ssl != 0;
		break;
	}
}
