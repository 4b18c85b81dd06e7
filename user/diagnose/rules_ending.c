/* SPDX-License-Identifier: BSD-2-Clause */
/* Nobody gave a reason: the connection's end is all there is. */
#include <errno.h>
#include <string.h>

#include "diagnose/rules.h"

/* SSL_R_UNEXPECTED_EOF_WHILE_READING of 3.x, where nginx does not set SSL_OP_IGNORE_UNEXPECTED_EOF;
 * SSL_R_NO_RENEGOTIATION. */
enum { UNEXPECTED_EOF = 294, NO_RENEGOTIATION = 339 };

/* A pending handshake that nginx drops younger than this ran into a limit, not into a timeout. */
#define YOUNG_US 1000000

bool rule_worker_exit(const struct facts *facts, struct verdict *verdict)
{
	const struct record *record = facts->record;
	const char *signal;
	char after[FACTS_TEXT];

	if (record->ending != END_WORKER_EXIT)
		return false;
	facts_say_after(facts, after);
	signal = sigdescr_np(record->worker_exit_signal);
	if (record->worker_exit_signal)
		return verdict_is(
			verdict, CAUSE_WORKER_EXITED,
			"worker %u was ended by signal %d (%s) while this handshake was pending%s",
			record->worker_pid, record->worker_exit_signal, signal ? signal : "unknown",
			after);
	return verdict_is(verdict, CAUSE_WORKER_EXITED,
			  "worker %u exited while this handshake was pending%s", record->worker_pid,
			  after);
}

/* How far the peer came before it fell silent. */
static const char *stage(const struct facts *facts)
{
	const struct record *record = facts->record;

	if (record->side == SIDE_UPSTREAM)
		return record->server_hello_seen ? "after its ServerHello"
						 : "after our ClientHello";
	if (!facts->bytes_came)
		return "without sending a byte";
	if (record->hello_incomplete)
		return "in the middle of its ClientHello";
	if (record->server_hello_seen)
		return "after the server's flight";
	return facts->hello ? "after its ClientHello" : "after its first bytes";
}

bool rule_timeout(const struct facts *facts, struct verdict *verdict)
{
	const struct record *record = facts->record;
	bool kernel = record->ending == END_KERNEL || record->sk_errno == ETIMEDOUT;
	char after[FACTS_TEXT], address[FACTS_TEXT];

	if (record->outcome != OUTCOME_TIMED_OUT && !(kernel && record->outcome == OUTCOME_ABORTED))
		return false;
	facts_say_after(facts, after);
	if (record->side == SIDE_UPSTREAM)
		return verdict_is(verdict, CAUSE_UPSTREAM_TIMEOUT,
				  "upstream %s was silent %s; %s gave up%s",
				  facts_say_address(&record->peer, address), stage(facts),
				  kernel ? "the kernel" : "nginx", after);
	return verdict_is(verdict, CAUSE_HANDSHAKE_TIMEOUT, "client fell silent %s; %s gave up%s",
			  stage(facts), kernel ? "the kernel" : "nginx", after);
}

/* nginx's own no_renegotiation is encrypted; what shows is the client that then ends with alert 40.
 */
bool rule_renegotiation(const struct facts *facts, struct verdict *verdict)
{
	if (facts->reason == NO_RENEGOTIATION)
		return verdict_is(verdict, CAUSE_RENEGOTIATION_REFUSED,
				  "the peer refused to renegotiate (warning no_renegotiation) in "
				  "mid-handshake");
	if (facts->alert_received == ALERT_NO_RENEGOTIATION)
		return verdict_is(verdict, CAUSE_RENEGOTIATION_REFUSED,
				  "the peer ended with alert no_renegotiation (100)");
	if (facts->record->side != SIDE_CLIENT || !facts->after_handshake ||
	    facts->alert_received != ALERT_HANDSHAKE_FAILURE ||
	    facts->record->tls.version >= TLS1_3)
		return false;
	return verdict_is(verdict, CAUSE_RENEGOTIATION_REFUSED,
			  "client asked to renegotiate after the handshake, nginx refused, and the "
			  "client ended "
			  "with handshake_failure (40)");
}

static bool upstream_closed(const struct facts *facts, struct verdict *verdict, bool reset)
{
	char address[FACTS_TEXT], after[FACTS_TEXT];

	return verdict_is(verdict, CAUSE_UPSTREAM_CLOSED_IN_HANDSHAKE,
			  "upstream %s %s the connection %s%s, without an alert",
			  facts_say_address(&facts->record->peer, address),
			  reset ? "reset" : "closed", stage(facts), facts_say_after(facts, after));
}

bool rule_peer_closed(const struct facts *facts, struct verdict *verdict)
{
	const struct record *record = facts->record;
	bool reset = record->ending == END_PEER_RESET || record->sk_errno == ECONNRESET;
	bool closed = record->ending == END_PEER_FIN || facts->reason == UNEXPECTED_EOF ||
		      facts->close_notify_received;
	char after[FACTS_TEXT];

	if ((!reset && !closed) || (facts->reason >= 0 && facts->reason != UNEXPECTED_EOF))
		return false;
	if (record->side == SIDE_UPSTREAM)
		return upstream_closed(facts, verdict, reset && !facts->close_notify_received);
	facts_say_after(facts, after);
	if (!facts->bytes_came)
		return verdict_is(verdict, CAUSE_CLIENT_CLOSED_BEFORE_HELLO,
				  "client %s the connection%s without sending a byte",
				  reset ? "reset" : "closed", after);
	/* close_notify comes before the FIN or the reset that follows it. */
	if (facts->close_notify_received)
		return verdict_is(verdict, CAUSE_CLIENT_CLOSED_WITH_NOTIFY,
				  "client said close_notify (0) in mid-handshake%s and left",
				  after);
	if (reset)
		return verdict_is(verdict, CAUSE_CLIENT_RESET_IN_HANDSHAKE,
				  "client reset the connection %s%s", stage(facts), after);
	return verdict_is(verdict, CAUSE_CLIENT_CLOSED_IN_HANDSHAKE,
			  "client closed the connection %s%s, without an alert", stage(facts),
			  after);
}

/* nginx closed first, without a code, an alert or a timeout. */
bool rule_local_close(const struct facts *facts, struct verdict *verdict)
{
	const struct record *record = facts->record;
	char after[FACTS_TEXT], address[FACTS_TEXT];

	if (record->outcome != OUTCOME_ABORTED || record->error_count || facts->alert_sent >= 0 ||
	    (record->ending != END_LOCAL_CLOSE && record->ending != END_LOCAL_RESET))
		return false;
	facts_say_after(facts, after);
	if (record->side == SIDE_UPSTREAM)
		return verdict_is(verdict, CAUSE_UPSTREAM_ABANDONED,
				  "nginx gave up the handshake with upstream %s%s, %s, without a "
				  "fault of the "
				  "upstream: most likely its own client left",
				  facts_say_address(&record->peer, address), after, stage(facts));
	if (record->latency.total_us < 0 || record->latency.total_us >= YOUNG_US)
		return false;
	return verdict_is(
		verdict, CAUSE_WORKER_CONNECTIONS_EXHAUSTED,
		"nginx itself closed this connection%s, with no error and too early for a timeout: "
		"most likely worker_connections ran out",
		after);
}
