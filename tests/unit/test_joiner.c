/* SPDX-License-Identifier: BSD-2-Clause */
/* How handshakes end, and what is then written: events as they were seen of real nginx. */
#include "unit/scenes.h"

TestSuite(joiner, .init = set_up, .fini = tear_down);

/* ---- established --------------------------------------------------------------------- */

Test(joiner, established_client)
{
	const struct record *record;
	uint64_t opened_ns = stage->now_ns;

	establish(1, SSL_A);
	assert_one(OUTCOME_ESTABLISHED);
	record = record_at(0);
	cr_assert_str_eq(record->id, "1");
	cr_assert_str_eq(record->previous, "");
	cr_assert_eq(record->side, SIDE_CLIENT);
	cr_assert_eq(record->worker_pid, WORKER);
	cr_assert_eq(record->time_ns, opened_ns + STAGE_OFFSET);
	cr_assert_eq(record->peer.port, 40000);
	cr_assert_eq(record->peer.address[3], 77);
	cr_assert_eq(record->local.port, 443);
	cr_assert_eq(record->handshake_calls, 2);
	cr_assert_eq(record->error_count, 0);
	cr_assert_eq(record->rtt_us, 400);
	cr_assert_str_eq(stage->snis[0], "www.example.com");
	cr_assert_eq(record->ja4[0], 't');
	stage_close(stage, 1);
	stage_finish(stage);
	cr_assert_eq(stage->record_count, 1);
	cr_assert_eq(stage_counts(stage).pending, 0);
}

Test(joiner, latency_of_a_client)
{
	const struct record_latency *latency;

	stage_open(stage, 1);
	stage_pass(stage, 3 * MS); /* the client takes its time */
	stage_hello(stage, 1);
	stage_pass(stage, 1 * MS); /* the worker is busy */
	stage_first(stage, 1, SSL_A, -1);
	stage_pass(stage, 7 * MS);
	stage_again(stage, SSL_A, 1);
	latency = &record_at(0)->latency;
	cr_assert_eq(latency->hello_wait_us, 3010);
	cr_assert_eq(latency->pickup_us, 1005); /* to SSL_set_fd, 5 µs before the call */
	cr_assert_eq(latency->crypto_us, 1000);
	cr_assert_eq(latency->tcp_connect_us, -1);
	cr_assert_eq(latency->total_us, 3010 + 1010 + 500 + 7010 + 500);
	assert_parts_add_up(record_at(0));
}

/* stream and mail: the first call finds nothing to read, and is no cryptography. */
Test(joiner, latency_of_a_call_before_the_hello)
{
	const struct record_latency *latency;

	stage_open(stage, 1);
	stage_first(stage, 1, SSL_A, -1);
	stage_pass(stage, 5 * MS);
	stage_hello(stage, 1);
	stage_again(stage, SSL_A, 1);
	latency = &record_at(0)->latency;
	cr_assert_eq(latency->hello_wait_us, 10 + 500 + 10 + 5000);
	cr_assert_eq(latency->pickup_us, 10);
	cr_assert_eq(latency->crypto_us, 500);
	assert_parts_add_up(record_at(0));
}

Test(joiner, latency_of_an_upstream)
{
	const struct record_latency *latency;

	establish_upstream(1, SSL_A);
	stage_pass(stage, 2 * SECOND);
	latency = &record_at(0)->latency;
	cr_assert_eq(latency->tcp_connect_us, 300);
	cr_assert_eq(latency->hello_wait_us, -1);
	cr_assert_eq(latency->pickup_us, -1);
	cr_assert_eq(latency->crypto_us, 1000);
	cr_assert_eq(latency->total_us, 20 + 500 + 2010 + 500);
	assert_parts_add_up(record_at(0));
}

Test(joiner, two_interleaved_in_one_worker)
{
	stage_open(stage, 1);
	stage_open(stage, 2);
	stage_hello(stage, 1);
	stage_hex(stage, 2, WIRE_IN, hello_curl);
	stage_first(stage, 1, SSL_A, -1);
	stage_first(stage, 2, SSL_B, -1);
	stage_again(stage, SSL_B, 1);
	stage_again(stage, SSL_A, -1);
	stage_code(stage, ERROR_ALERT(48));
	stage_close(stage, 1);
	cr_assert_eq(stage->record_count, 2);
	cr_assert_str_eq(record_at(0)->id, "2");
	cr_assert_eq(record_at(0)->outcome, OUTCOME_ESTABLISHED);
	cr_assert_eq(record_at(0)->handshake_calls, 2);
	cr_assert_str_eq(stage->snis[0], "curl.example");
	cr_assert_str_eq(record_at(1)->id, "1");
	cr_assert_eq(record_at(1)->outcome, OUTCOME_FAILED);
	cr_assert_str_eq(stage->snis[1], "www.example.com");
}

/* nginx frees an SSL and gets the same address for the next one. */
Test(joiner, ssl_address_is_used_again)
{
	for (uint64_t cookie = 1; cookie <= 5; cookie++) {
		establish(cookie, SSL_A);
		stage_close(stage, cookie);
	}
	cr_assert_eq(stage->record_count, 5);
	for (int i = 0; i < 5; i++) {
		cr_assert_eq(record_at(i)->outcome, OUTCOME_ESTABLISHED);
		cr_assert_eq(record_at(i)->handshake_calls, 2);
		cr_assert_eq(record_at(i)->peer.port, 40000 + i);
	}
}

/* The same while the first one is still open, as after its SSL was freed early. */
Test(joiner, ssl_address_is_used_again_before_the_close)
{
	establish(1, SSL_A);
	stage_open(stage, 2);
	stage_hello(stage, 2);
	stage_first(stage, 2, SSL_A, -1);
	stage_close(stage, 1);
	stage_again(stage, SSL_A, 1);
	cr_assert_eq(stage->record_count, 2);
	cr_assert_str_eq(record_at(1)->id, "2");
	cr_assert_eq(record_at(1)->outcome, OUTCOME_ESTABLISHED);
}

Test(joiner, same_ssl_address_in_two_workers)
{
	stage_process(stage, OTHER_WORKER, ROLE_WORKER);
	stage_open(stage, 1);
	stage_open(stage, 2);
	stage_hello(stage, 1);
	stage_hello(stage, 2);
	stage_call_of(stage, WORKER, 1, SSL_A, HANDSHAKE_FIRST, -1);
	stage_call_of(stage, OTHER_WORKER, 2, SSL_A, HANDSHAKE_FIRST, -1);
	stage_call_of(stage, WORKER, 0, SSL_A, 0, 1);
	cr_assert_eq(stage->record_count, 1);
	cr_assert_str_eq(record_at(0)->id, "1");
	stage_call_of(stage, OTHER_WORKER, 0, SSL_A, 0, 1);
	cr_assert_eq(stage->record_count, 2);
	cr_assert_eq(record_at(1)->worker_pid, OTHER_WORKER);
}

/* ---- failed -------------------------------------------------------------------------- */

Test(joiner, failed_with_codes)
{
	const struct record *record;

	stage_open(stage, 1);
	stage_hello(stage, 1);
	stage_first(stage, 1, SSL_A, -1);
	stage_alert_out(stage, 1, 70);
	stage_code(stage, ERROR_UNSUPPORTED_PROTOCOL);
	stage_code(stage, UINT64_C(0x0a000139));
	cr_assert_eq(stage->record_count, 0);
	stage_close(stage, 1);
	assert_one(OUTCOME_FAILED);
	record = record_at(0);
	cr_assert_eq(record->error_count, 2);
	cr_assert_eq(record->errors[0].code, ERROR_UNSUPPORTED_PROTOCOL);
	cr_assert_eq(record->errors[1].code, 0x0a000139);
	cr_assert_eq(record->alert_count, 1);
	cr_assert_eq(record->alerts[0].number, 70);
	cr_assert_eq(record->alerts[0].direction, ALERT_SENT);
	cr_assert_eq(record->handshake_calls, 1);
	assert_parts_add_up(record);
}

/* A code wins over the peer's FIN, which often comes before the call that fails. */
Test(joiner, failed_although_the_peer_left)
{
	stage_open(stage, 1);
	stage_hello(stage, 1);
	stage_first(stage, 1, SSL_A, -1);
	stage_fin(stage, 1);
	stage_again(stage, SSL_A, -1);
	stage_code(stage, ERROR_ALERT(48));
	stage_close_after_fin(stage, 1);
	assert_one(OUTCOME_FAILED);
	cr_assert_eq(record_at(0)->alert_count, 1);
	cr_assert_eq(record_at(0)->alerts[0].number, 48);
	cr_assert_eq(record_at(0)->alerts[0].direction, ALERT_RECEIVED);
	cr_assert_eq(record_at(0)->alerts[0].from, ALERT_FROM_ERROR);
}

/* ssl_reject_handshake: no code, but an alert and the end. */
Test(joiner, failed_with_an_alert_alone)
{
	stage_open(stage, 1);
	stage_hello(stage, 1);
	stage_first(stage, 1, SSL_A, -1);
	stage_alert_out(stage, 1, 112);
	stage_close(stage, 1);
	assert_one(OUTCOME_FAILED);
	cr_assert_eq(record_at(0)->error_count, 0);
	cr_assert_eq(record_at(0)->alerts[0].number, 112);
}

/* The reset arrives first, nginx reads what came before it, and says why it fails. */
Test(joiner, failed_after_a_reset)
{
	stage_open(stage, 1);
	stage_hello(stage, 1);
	stage_first(stage, 1, SSL_A, -1);
	stage_reset(stage, 1);
	cr_assert_eq(stage->record_count, 0);
	stage_again(stage, SSL_A, -1);
	stage_code(stage, ERROR_ALERT(40));
	stage_pass(stage, 100 * MS); /* its close makes no event: the kernel had closed it */
	assert_one(OUTCOME_FAILED);
	cr_assert_eq(record_at(0)->errors[0].code, ERROR_ALERT(40));
	cr_assert_eq(record_at(0)->reset, RESET_BY_PEER);
}

/* Codes that a callback drained while the call ran do not decide, but are kept. */
Test(joiner, codes_of_a_callback)
{
	stage_open(stage, 1);
	stage_hello(stage, 1);
	stage_code_of(stage, WORKER, UINT64_C(0x80000002), SSL_A);
	stage_first(stage, 1, SSL_A, -1);
	stage_code(stage, UINT64_C(0x0a000179));
	stage_close(stage, 1);
	assert_one(OUTCOME_FAILED);
	cr_assert_eq(record_at(0)->error_count, 1);
	cr_assert_eq(record_at(0)->errors[0].code, 0x0a000179);
	cr_assert_eq(record_at(0)->evidence_error_count, 1);
	cr_assert_eq(record_at(0)->evidence_errors[0].code, 0x80000002);
}

Test(joiner, text_of_a_code_is_learned_once)
{
	struct event *event;

	stage_open(stage, 1);
	stage_hello(stage, 1);
	stage_first(stage, 1, SSL_A, -1);
	stage_code(stage, UINT64_C(0x7f000001));
	event = EVENT_OF(&stage->any, EVENT_ERROR_TEXT, error_text, stage->now_ns, WORKER, 0);
	event->error_text.code = UINT64_C(0x7f000001);
	event->error_text.text_len = 10;
	memcpy(event->error_text.text, "error:mine", 10);
	stage_play(stage, event);
	stage_close(stage, 1);
	assert_one(OUTCOME_FAILED);
	cr_assert_eq(record_at(0)->error_count, 1);
	cr_assert_not_null(record_at(0)->errors[0].text);
}

/* ---- aborted, timed out -------------------------------------------------------------- */

Test(joiner, timed_out_while_it_wants_to_read)
{
	stage_open(stage, 1);
	stage_hello(stage, 1);
	stage_first(stage, 1, SSL_A, -1);
	stage_pass(stage, 60 * SECOND);
	cr_assert_eq(stage->record_count, 0);
	stage_close(stage, 1);
	assert_one(OUTCOME_TIMED_OUT);
	cr_assert_geq(record_at(0)->latency.total_us, 60 * 1000000);
	assert_parts_add_up(record_at(0));
}

/* nginx closed without a reason that is seen, and too soon for a timeout. */
Test(joiner, dropped_is_aborted)
{
	stage_open(stage, 1);
	stage_hello(stage, 1);
	stage_first(stage, 1, SSL_A, -1);
	stage_pass(stage, 2 * MS);
	stage_close(stage, 1);
	assert_one(OUTCOME_ABORTED);
	cr_assert_eq(record_at(0)->ending, END_LOCAL_CLOSE);
}

Test(joiner, peer_left)
{
	stage_open(stage, 1);
	stage_hello(stage, 1);
	stage_first(stage, 1, SSL_A, -1);
	stage_pass(stage, 5 * SECOND);
	stage_fin(stage, 1);
	stage_again(stage, SSL_A, -1);
	stage_close_after_fin(stage, 1);
	assert_one(OUTCOME_ABORTED);
	cr_assert_eq(record_at(0)->ending, END_PEER_FIN);
	cr_assert_eq(record_at(0)->reset, RESET_NONE);
	cr_assert_eq(record_at(0)->error_count, 0);
}

Test(joiner, peer_reset)
{
	stage_open(stage, 1);
	stage_hello(stage, 1);
	stage_first(stage, 1, SSL_A, -1);
	stage_reset(stage, 1);
	stage_pass(stage, 3 * SECOND); /* nothing more is said */
	assert_one(OUTCOME_ABORTED);
	cr_assert_eq(record_at(0)->reset, RESET_BY_PEER);
	cr_assert_eq(record_at(0)->sk_errno, ECONNRESET);
}

Test(joiner, upstream_refused_after_it_did_tls)
{
	struct event *event;

	establish_upstream(1, SSL_A);
	stage_close(stage, 1);
	event = EVENT_OF(&stage->any, EVENT_CLOSE, close, stage->now_ns, WORKER, 2);
	event->close.flags = CLOSE_ACTIVE;
	event->close.sk_err = ECONNREFUSED;
	event->close.old_state = TCP_STATE_SYN_SENT;
	event->close.new_state = TCP_STATE_CLOSE;
	event->close.connect_ns = stage->now_ns - 100 * US;
	event->close.owner = WORKER;
	event->close.tuple = event_tuple_of(8443, 200);
	stage_play(stage, event);
	event->header.cookie = 3; /* another one, which never did TLS */
	event->close.tuple.remote_port = 3306;
	stage_play(stage, event);
	cr_assert_eq(stage->record_count, 2);
	cr_assert_str_eq(record_at(1)->id, "2");
	cr_assert_eq(record_at(1)->outcome, OUTCOME_ABORTED);
	cr_assert_eq(record_at(1)->side, SIDE_UPSTREAM);
	cr_assert_eq(record_at(1)->sk_errno, ECONNREFUSED);
	cr_assert_eq(record_at(1)->ending, END_CONNECT_FAILED);
	cr_assert_eq(record_at(1)->worker_pid, WORKER);
	cr_assert_eq(record_at(1)->handshake_calls, 0);
}

/* Its SYN was never answered, and nginx gave up. */
Test(joiner, upstream_that_never_answered)
{
	struct event *event;

	establish_upstream(1, SSL_A);
	stage_close(stage, 1);
	stage_pass(stage, 60 * SECOND);
	event = EVENT_OF(&stage->any, EVENT_CLOSE, close, stage->now_ns, WORKER, 2);
	event->close.flags = CLOSE_ACTIVE;
	event->close.old_state = TCP_STATE_SYN_SENT;
	event->close.new_state = TCP_STATE_CLOSE;
	event->close.connect_ns = stage->now_ns - 60 * SECOND;
	event->close.owner = WORKER;
	event->close.tuple = event_tuple_of(8443, 200);
	stage_play(stage, event);
	cr_assert_eq(stage->record_count, 2);
	cr_assert_eq(record_at(1)->outcome, OUTCOME_TIMED_OUT);
	cr_assert_eq(record_at(1)->sk_errno, 0);
}

/* ---- whose codes --------------------------------------------------------------------- */

/* SSL_read of an established one fails: its code is not the last handshake's. */
Test(joiner, codes_belong_to_the_next_close)
{
	establish(1, SSL_A);
	stage_open(stage, 2);
	stage_hello(stage, 2);
	stage_first(stage, 2, SSL_B, -1);
	stage_code(stage,
		   ERROR_ALERT(48)); /* the client refused our certificate after its Finished */
	stage_close(stage, 1);
	cr_assert_eq(stage->record_count, 2);
	cr_assert_str_eq(record_at(1)->id, "1.1");
	cr_assert_str_eq(record_at(1)->previous, "1");
	cr_assert_eq(record_at(1)->outcome, OUTCOME_FAILED);
	cr_assert_eq(record_at(1)->handshake_calls, 0);
	cr_assert_eq(record_at(1)->errors[0].code, ERROR_ALERT(48));
	cr_assert_str_eq(stage->snis[1], "www.example.com");
	stage_again(stage, SSL_B, 1);
	cr_assert_eq(stage->record_count, 3);
	cr_assert_str_eq(record_at(2)->id, "2");
	cr_assert_eq(record_at(2)->outcome, OUTCOME_ESTABLISHED);
	cr_assert_eq(record_at(2)->error_count, 0);
}

/* What goes wrong with data says nothing of the handshake: no second record. */
Test(joiner, codes_of_data)
{
	establish(1, SSL_A);
	stage_code(stage, UINT64_C(0x0a000119)); /* decryption failed or bad record mac */
	stage_close(stage, 1);
	assert_one(OUTCOME_ESTABLISHED);
}

/* SSL_shutdown left an alert queued; the next handshake drains it and is innocent. */
Test(joiner, stale_codes)
{
	establish(1, SSL_A);
	stage_close(stage, 1);
	stage_open(stage, 2);
	stage_hello(stage, 2);
	stage_code(stage, ERROR_ALERT(48));
	stage_first(stage, 2, SSL_A, -1);
	stage_again(stage, SSL_A, 1);
	cr_assert_eq(stage->record_count, 2);
	cr_assert_eq(record_at(1)->outcome, OUTCOME_ESTABLISHED);
	cr_assert_eq(record_at(1)->error_count, 0);
	cr_assert_eq(record_at(1)->stale_error_count, 1);
	cr_assert_eq(record_at(1)->stale_errors[0].code, ERROR_ALERT(48));
	cr_assert_str_eq(record_at(1)->stale_of, "1");
	cr_assert_eq(stage_counts(stage).stale_codes, 1);
}

/* Drained long before a close: not its reason. */
Test(joiner, old_codes_decide_nothing)
{
	stage_open(stage, 1);
	stage_hello(stage, 1);
	stage_first(stage, 1, SSL_A, -1);
	stage_code(stage, ERROR_ALERT(48));
	stage_pass(stage, 20 * SECOND);
	stage_close(stage, 1);
	assert_one(OUTCOME_TIMED_OUT);
	cr_assert_eq(stage_counts(stage).stale_codes, 1);
}

/* A code that another worker drained is that worker's. */
Test(joiner, codes_of_another_worker)
{
	stage_process(stage, OTHER_WORKER, ROLE_WORKER);
	stage_open(stage, 1);
	stage_hello(stage, 1);
	stage_first(stage, 1, SSL_A, -1);
	stage_code_of(stage, OTHER_WORKER, ERROR_ALERT(48), 0);
	stage_pass(stage, 1 * MS);
	stage_close(stage, 1);
	assert_one(OUTCOME_ABORTED);
	cr_assert_eq(record_at(0)->error_count, 0);
}
