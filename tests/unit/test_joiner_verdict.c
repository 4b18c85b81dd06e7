/* SPDX-License-Identifier: BSD-2-Clause */
/* What is said after OpenSSL called the handshake a success, or before it may. */
#include "unit/scenes.h"

TestSuite(joiner_verdict, .init = set_up, .fini = tear_down);

/* ---- upstream ------------------------------------------------------------------------ */

/* TLS 1.3: the server's answer to our certificate comes after our Finished. */
Test(joiner_verdict, upstream_refuses_after_success)
{
	establish_upstream(1, SSL_A);
	cr_assert_eq(stage->record_count, 0, "it is held");
	stage_code(stage, ERROR_ALERT(116));
	stage_close(stage, 1);
	assert_one(OUTCOME_FAILED);
	cr_assert_eq(record_at(0)->side, SIDE_UPSTREAM);
	cr_assert_str_eq(record_at(0)->previous, "");
	cr_assert_eq(record_at(0)->handshake_calls, 2);
	cr_assert_eq(record_at(0)->alerts[0].number, 116);
	cr_assert_eq(record_at(0)->alerts[0].direction, ALERT_RECEIVED);
}

/* A reset ends it while its record is held: nothing more comes for it, and it is written once. */
Test(joiner_verdict, upstream_held_and_reset)
{
	establish_upstream(1, SSL_A);
	stage_close_of(stage, STRANGER, 1, ECONNRESET, TCP_STATE_ESTABLISHED, TCP_STATE_CLOSE);
	stage_code(stage, ERROR_ALERT(116));
	stage_pass(stage, 3 * SECOND);
	stage_finish(stage);
	assert_one(OUTCOME_FAILED);
}

/* SSL_shutdown that fails on data still to come is no failed handshake (SSL_R 291). */
Test(joiner_verdict, code_of_data_while_held)
{
	establish_upstream(1, SSL_A);
	stage_code(stage, UINT64_C(0x0a000123));
	stage_close(stage, 1);
	assert_one(OUTCOME_ESTABLISHED);
	cr_assert_eq(record_at(0)->error_count, 0);
}

Test(joiner_verdict, upstream_is_held_no_longer_than_needed)
{
	establish_upstream(1, SSL_A);
	stage_pass(stage, 40 * MS);
	cr_assert_eq(stage->record_count, 0);
	stage_pass(stage, 20 * MS);
	assert_one(OUTCOME_ESTABLISHED);
	stage_close(stage, 1);
	cr_assert_eq(stage->record_count, 1);
}

Test(joiner_verdict, upstream_held_is_written_at_its_close)
{
	establish_upstream(1, SSL_A);
	stage_close(stage, 1);
	assert_one(OUTCOME_ESTABLISHED);
}

Test(joiner_verdict, upstream_held_is_written_at_the_end)
{
	establish_upstream(1, SSL_A);
	stage_finish(stage);
	assert_one(OUTCOME_ESTABLISHED);
}

Test(joiner_verdict, upstream_certificate_refused)
{
	establish_upstream(1, SSL_A);
	stage_verify(stage, EVENT_VERIFY_RESULT, SSL_A, 20);
	assert_one(OUTCOME_REJECTED);
	cr_assert(record_at(0)->verify.judged);
	cr_assert_eq(record_at(0)->verify.code, 20);
	stage_close(stage, 1);
	cr_assert_eq(stage->record_count, 1);
}

Test(joiner_verdict, upstream_name_refused)
{
	establish_upstream(1, SSL_A);
	stage_verify(stage, EVENT_VERIFY_RESULT, SSL_A, 0);
	stage_verify(stage, EVENT_CHECK_HOST, SSL_A, 0);
	assert_one(OUTCOME_REJECTED);
	cr_assert(record_at(0)->name_check_failed);
	cr_assert_eq(record_at(0)->verify.code, 0);
}

Test(joiner_verdict, upstream_accepted)
{
	establish_upstream(1, SSL_A);
	stage_verify(stage, EVENT_VERIFY_RESULT, SSL_A, 0);
	stage_verify(stage, EVENT_CHECK_HOST, SSL_A, 1);
	stage_pass(stage, 2 * SECOND);
	assert_one(OUTCOME_ESTABLISHED);
	cr_assert(record_at(0)->verify.judged);
}

/* Without proxy_ssl_verify a bad certificate is seen and ignored. */
Test(joiner_verdict, upstream_certificate_ignored)
{
	stage_connected(stage, 1);
	stage_hex(stage, 1, WIRE_OUT, hello_openssl);
	stage_first(stage, 1, SSL_A, -1);
	stage_verify(stage, EVENT_VERIFY, SSL_A, 19);
	stage_again(stage, SSL_A, 1);
	stage_pass(stage, 2 * SECOND);
	assert_one(OUTCOME_ESTABLISHED);
	cr_assert_eq(record_at(0)->verify.code, 19);
}

/* ---- client certificates ------------------------------------------------------------- */

/* The first request asks; SSL_CTX_remove_session is the refusal. */
Test(joiner_verdict, client_certificate_refused)
{
	establish(1, SSL_A);
	assert_one(OUTCOME_ESTABLISHED); /* nobody knew yet that this listener verifies */
	stage_verify(stage, EVENT_VERIFY_RESULT, SSL_A, 18);
	stage_verify(stage, EVENT_SESSION_REMOVED, 0, 0);
	stage_pass(stage, 60 * MS); /* HTTP/2: the connection stays open */
	cr_assert_eq(stage->record_count, 2);
	cr_assert_eq(record_at(1)->outcome, OUTCOME_REJECTED);
	cr_assert_str_eq(record_at(1)->previous, "1");
	cr_assert_eq(record_at(1)->verify.code, 18);
	cr_assert_eq(record_at(1)->handshake_calls, 0);
	stage_close(stage, 1);
	cr_assert_eq(stage->record_count, 2);
}

/* Once a listener is known to verify, one record says it. */
Test(joiner_verdict, client_certificate_refused_on_a_verifying_listener)
{
	establish(1, SSL_A);
	stage_verify(stage, EVENT_VERIFY_RESULT, SSL_A, 0);
	stage_pass(stage, 60 * MS);
	stage_close(stage, 1);
	assert_one(OUTCOME_ESTABLISHED);
	establish(2, SSL_A);
	cr_assert_eq(stage->record_count, 1, "it is held until the first request is judged");
	stage_verify(stage, EVENT_VERIFY_RESULT, SSL_A, 18);
	stage_verify(stage, EVENT_SESSION_REMOVED, 0, 0);
	stage_close(stage, 2);
	cr_assert_eq(stage->record_count, 2);
	cr_assert_eq(record_at(1)->outcome, OUTCOME_REJECTED);
	cr_assert_str_eq(record_at(1)->previous, "");
	cr_assert_eq(record_at(1)->handshake_calls, 2);
}

/* libssl throws a session away too, when the client sends a fatal alert: its code is drained next.
 */
Test(joiner_verdict, session_removed_for_an_alert)
{
	establish(1, SSL_A);
	stage_verify(stage, EVENT_VERIFY_RESULT, SSL_A, 0);
	stage_verify(stage, EVENT_SESSION_REMOVED, 0, 0);
	stage_code(stage, ERROR_ALERT(48));
	stage_close(stage, 1);
	cr_assert_eq(stage->record_count, 2);
	cr_assert_eq(record_at(1)->outcome, OUTCOME_FAILED);
	cr_assert_str_eq(record_at(1)->previous, "1");
}

/* Both in a row: the first is nginx's refusal, the second another connection's alert. */
Test(joiner_verdict, session_removed_twice)
{
	establish(1, SSL_A);
	establish(2, SSL_B);
	stage_verify(stage, EVENT_VERIFY_RESULT, SSL_A, 0);
	stage_verify(stage, EVENT_SESSION_REMOVED, 0, 0);
	stage_verify(stage, EVENT_SESSION_REMOVED, 0, 0);
	stage_code(stage, ERROR_ALERT(48));
	stage_close(stage, 2);
	stage_close(stage, 1);
	cr_assert_eq(stage->record_count, 4);
	cr_assert_eq(record_at(2)->outcome, OUTCOME_REJECTED);
	cr_assert_str_eq(record_at(2)->previous, "1");
	cr_assert_eq(record_at(3)->outcome, OUTCOME_FAILED);
	cr_assert_str_eq(record_at(3)->previous, "2");
}

/* optional_no_ca: asked, not zero, and accepted. */
Test(joiner_verdict, client_certificate_accepted)
{
	establish(1, SSL_A);
	stage_verify(stage, EVENT_VERIFY_RESULT, SSL_A, 18);
	stage_pass(stage, 60 * MS);
	establish(2, SSL_B);
	stage_verify(stage, EVENT_VERIFY_RESULT, SSL_B, 18);
	stage_pass(stage, 60 * MS);
	cr_assert_eq(stage->record_count, 2);
	cr_assert_eq(record_at(0)->outcome, OUTCOME_ESTABLISHED);
	cr_assert_eq(record_at(1)->outcome, OUTCOME_ESTABLISHED);
	cr_assert_eq(record_at(1)->verify.code, 18);
}

/* ---- early data ---------------------------------------------------------------------- */

static void early_data_call(uint64_t ssl, int result)
{
	struct event *event =
		EVENT_OF(&stage->any, EVENT_EARLY_DATA, handshake, stage->now_ns, WORKER, 0);

	event->handshake.ssl = ssl;
	event->handshake.entry_ns = stage->now_ns - 700 * US;
	event->handshake.result = result;
	stage_play(stage, event);
}

/* SSL_do_handshake nested in SSL_read_early_data returns 1 before the client's Finished. */
Test(joiner_verdict, nested_success_is_provisional)
{
	stage_open(stage, 1);
	stage_hello(stage, 1);
	stage_call_of(stage, WORKER, 1, SSL_A, HANDSHAKE_FIRST | HANDSHAKE_IN_EARLY_DATA, 1);
	cr_assert_eq(stage->record_count, 0);
	early_data_call(SSL_A, 2);
	cr_assert_eq(stage->record_count, 0);
	stage_again(stage, SSL_A, -1);
	stage_again(stage, SSL_A, 1);
	assert_one(OUTCOME_ESTABLISHED);
	cr_assert_eq(record_at(0)->handshake_calls, 3);
}

Test(joiner_verdict, early_data_accepted)
{
	stage_open(stage, 1);
	stage_hello(stage, 1);
	stage_call_of(stage, WORKER, 1, SSL_A, HANDSHAKE_FIRST | HANDSHAKE_IN_EARLY_DATA, 1);
	early_data_call(SSL_A, 1);
	assert_one(OUTCOME_ESTABLISHED);
}
