/* SPDX-License-Identifier: BSD-2-Clause */
/* How connections end, and what is then written: events as they were seen of real nginx. */
#include "unit/stage.h"

#define SSL_A UINT64_C(0x55550000a000)
#define SSL_B UINT64_C(0x55550000b000)

static struct stage *stage;

static void set_up(void)
{
	stage = stage_new();
}

static void tear_down(void)
{
	stage_free(stage);
}

TestSuite(joiner, .init = set_up, .fini = tear_down);

static const struct record *record_at(int i)
{
	cr_assert_gt(stage->record_count, i, "there are %d records", stage->record_count);
	return &stage->records[i];
}

static void assert_one(enum outcome outcome)
{
	cr_assert_eq(stage->record_count, 1, "there are %d records", stage->record_count);
	cr_assert_str_eq(outcome_name(stage->records[0].outcome), outcome_name(outcome));
}

static void assert_parts_add_up(const struct record *record)
{
	const struct record_latency *latency = &record->latency;
	int64_t sum = latency->crypto_us < 0 ? 0 : latency->crypto_us;

	sum += latency->hello_wait_us < 0 ? 0 : latency->hello_wait_us;
	sum += latency->pickup_us < 0 ? 0 : latency->pickup_us;
	sum += latency->peer_wait_us < 0 ? 0 : latency->peer_wait_us;
	cr_assert_eq(sum, latency->total_us);
}

/* A whole successful handshake of a client. */
static void establish(uint64_t cookie, uint64_t ssl)
{
	stage_open(stage, cookie);
	stage_hello(stage, cookie);
	stage_first(stage, cookie, ssl, -1);
	stage_pass(stage, 2 * MS);
	stage_again(stage, ssl, 1);
}

/* And of an upstream: TLS 1.2, so that names are in clear. */
static void establish_upstream(uint64_t cookie, uint64_t ssl)
{
	stage_connected(stage, cookie);
	stage_hex(stage, cookie, WIRE_OUT, hello_openssl);
	stage_first(stage, cookie, ssl, -1);
	stage_pass(stage, 2 * MS);
	stage_again(stage, ssl, 1);
}

/* ---- established ------------------------------------------------------------------------------- */

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

/* ---- failed ------------------------------------------------------------------------------------ */

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

/* ---- aborted, timed out ------------------------------------------------------------------------ */

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

/* ---- whose codes ------------------------------------------------------------------------------- */

/* SSL_read of an established one fails: its code is not the last handshake's. */
Test(joiner, codes_belong_to_the_next_close)
{
	establish(1, SSL_A);
	stage_open(stage, 2);
	stage_hello(stage, 2);
	stage_first(stage, 2, SSL_B, -1);
	stage_code(stage, ERROR_ALERT(48)); /* the client refused our certificate after its Finished */
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

/* ---- upstream ---------------------------------------------------------------------------------- */

/* TLS 1.3: the server's answer to our certificate comes after our Finished. */
Test(joiner, upstream_refuses_after_success)
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

Test(joiner, upstream_is_held_no_longer_than_needed)
{
	establish_upstream(1, SSL_A);
	stage_pass(stage, 40 * MS);
	cr_assert_eq(stage->record_count, 0);
	stage_pass(stage, 20 * MS);
	assert_one(OUTCOME_ESTABLISHED);
	stage_close(stage, 1);
	cr_assert_eq(stage->record_count, 1);
}

Test(joiner, upstream_held_is_written_at_its_close)
{
	establish_upstream(1, SSL_A);
	stage_close(stage, 1);
	assert_one(OUTCOME_ESTABLISHED);
}

Test(joiner, upstream_held_is_written_at_the_end)
{
	establish_upstream(1, SSL_A);
	stage_finish(stage);
	assert_one(OUTCOME_ESTABLISHED);
}

Test(joiner, upstream_certificate_refused)
{
	establish_upstream(1, SSL_A);
	stage_verify(stage, EVENT_VERIFY_RESULT, SSL_A, 20);
	assert_one(OUTCOME_REJECTED);
	cr_assert(record_at(0)->verify.judged);
	cr_assert_eq(record_at(0)->verify.code, 20);
	stage_close(stage, 1);
	cr_assert_eq(stage->record_count, 1);
}

Test(joiner, upstream_name_refused)
{
	establish_upstream(1, SSL_A);
	stage_verify(stage, EVENT_VERIFY_RESULT, SSL_A, 0);
	stage_verify(stage, EVENT_CHECK_HOST, SSL_A, 0);
	assert_one(OUTCOME_REJECTED);
	cr_assert(record_at(0)->name_check_failed);
	cr_assert_eq(record_at(0)->verify.code, 0);
}

Test(joiner, upstream_accepted)
{
	establish_upstream(1, SSL_A);
	stage_verify(stage, EVENT_VERIFY_RESULT, SSL_A, 0);
	stage_verify(stage, EVENT_CHECK_HOST, SSL_A, 1);
	stage_pass(stage, 2 * SECOND);
	assert_one(OUTCOME_ESTABLISHED);
	cr_assert(record_at(0)->verify.judged);
}

/* Without proxy_ssl_verify a bad certificate is seen and ignored. */
Test(joiner, upstream_certificate_ignored)
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

/* ---- client certificates ----------------------------------------------------------------------- */

/* The first request asks; SSL_CTX_remove_session is the refusal. */
Test(joiner, client_certificate_refused)
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
Test(joiner, client_certificate_refused_on_a_verifying_listener)
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

/* libssl throws a session away too, when the client sends a fatal alert: its code is drained next. */
Test(joiner, session_removed_for_an_alert)
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

/* optional_no_ca: asked, not zero, and accepted. */
Test(joiner, client_certificate_accepted)
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

/* ---- early data -------------------------------------------------------------------------------- */

static void early_data_call(uint64_t ssl, int result)
{
	struct event *event = EVENT_OF(&stage->any, EVENT_EARLY_DATA, handshake, stage->now_ns,
				       WORKER, 0);

	event->handshake.ssl = ssl;
	event->handshake.entry_ns = stage->now_ns - 700 * US;
	event->handshake.result = result;
	stage_play(stage, event);
}

/* SSL_do_handshake nested in SSL_read_early_data returns 1 before the client's Finished. */
Test(joiner, nested_success_is_provisional)
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

Test(joiner, early_data_accepted)
{
	stage_open(stage, 1);
	stage_hello(stage, 1);
	stage_call_of(stage, WORKER, 1, SSL_A, HANDSHAKE_FIRST | HANDSHAKE_IN_EARLY_DATA, 1);
	early_data_call(SSL_A, 1);
	assert_one(OUTCOME_ESTABLISHED);
}

/* ---- bytes before their socket ----------------------------------------------------------------- */

/* `listen … deferred`: the hello comes to the listening socket, the child exists later. */
Test(joiner, deferred_hello)
{
	struct hello_bytes hello = hello_bytes(hello_openssl);
	struct event_tuple tuple = event_tuple_of(stage->port, 77);
	struct event_tuple stranger = event_tuple_of(stage->port, 78);

	stage_play(stage, event_early_of(&stage->any, stage->now_ns, LISTENER, &stranger, 5000,
					 WIRE_START, hello.at, hello.len));
	stage_play(stage, event_early_of(&stage->any, stage->now_ns, LISTENER, &tuple, 5000,
					 WIRE_START, hello.at, hello.len));
	stage_open(stage, 1);
	stage_first(stage, 1, SSL_A, -1);
	stage_again(stage, SSL_A, 1);
	assert_one(OUTCOME_ESTABLISHED);
	cr_assert_str_eq(stage->snis[0], "www.example.com");
	assert_parts_add_up(record_at(0));
}

/* An old SYN's bytes, or another connection of the same port: the sequence number tells. */
Test(joiner, deferred_hello_of_another_connection)
{
	struct hello_bytes hello = hello_bytes(hello_openssl);
	struct event_tuple tuple = event_tuple_of(stage->port, 77);

	stage_play(stage, event_early_of(&stage->any, stage->now_ns, LISTENER, &tuple, 4000,
					 WIRE_START, hello.at, hello.len));
	stage_open(stage, 1);
	stage_first(stage, 1, SSL_A, -1);
	stage_again(stage, SSL_A, 1);
	assert_one(OUTCOME_ESTABLISHED);
	cr_assert_str_eq(stage->snis[0], "");
}

/* Fast Open: bytes and OpenSSL may precede ESTABLISHED. */
Test(joiner, fast_open)
{
	stage_hello(stage, 1);
	stage_first(stage, 1, SSL_A, -1);
	stage_open(stage, 1);
	stage_again(stage, SSL_A, 1);
	assert_one(OUTCOME_ESTABLISHED);
	assert_parts_add_up(record_at(0));
}

/* ---- listeners --------------------------------------------------------------------------------- */

/* A connection that said nothing, on a port of which nobody knows yet that it is TLS. */
Test(joiner, silent_connection_before_the_listener_proves_tls)
{
	stage_open(stage, 1);
	stage_pass(stage, 60 * SECOND);
	stage_close(stage, 1);
	cr_assert_eq(stage->record_count, 0);
	establish(2, SSL_A);
	cr_assert_eq(stage->record_count, 2);
	cr_assert_str_eq(record_at(0)->id, "1");
	cr_assert_eq(record_at(0)->outcome, OUTCOME_TIMED_OUT);
	cr_assert_eq(record_at(0)->handshake_calls, 0);
	cr_assert_eq(record_at(1)->outcome, OUTCOME_ESTABLISHED);
}

Test(joiner, silent_connection_on_a_listener_that_does_tls)
{
	establish(1, SSL_A);
	stage_open(stage, 2);
	stage_fin(stage, 2);
	stage_close_after_fin(stage, 2);
	cr_assert_eq(stage->record_count, 2);
	cr_assert_eq(record_at(1)->outcome, OUTCOME_ABORTED);
}

Test(joiner, plain_http_on_a_listener_that_does_tls)
{
	static const char answer[] = "HTTP/1.1";

	establish(1, SSL_A);
	stage_open(stage, 2);
	stage_wire(stage, 2, WIRE_IN, 0, WIRE_NOT_TLS, "GET", 3);
	stage_wire(stage, 2, WIRE_OUT, 0, WIRE_NOT_TLS, answer, 8);
	stage_close(stage, 2);
	cr_assert_eq(stage->record_count, 2);
	cr_assert_eq(record_at(1)->outcome, OUTCOME_REJECTED);
	cr_assert_eq(record_at(1)->preface, PREFACE_HTTP);
}

/* Port 80 of the same nginx: never a record. */
Test(joiner, other_listeners_stay_silent)
{
	stage_listen(stage, 20, 80);
	establish(1, SSL_A);
	for (uint64_t cookie = 2; cookie < 10; cookie++) {
		stage_open_on(stage, cookie, 20);
		stage_wire(stage, cookie, WIRE_IN, 0, WIRE_NOT_TLS, "GET", 3);
		stage_wire(stage, cookie, WIRE_OUT, 0, WIRE_NOT_TLS, "HTTP/1.1", 8);
		stage_close(stage, cookie);
	}
	stage_finish(stage);
	assert_one(OUTCOME_ESTABLISHED);
}

/* With reuseport each worker has a socket: one proof is enough for all of the address. */
Test(joiner, reuseport_listeners_are_one)
{
	stage_listen(stage, 11, 443);
	stage_open_on(stage, 1, 11);
	stage_pass(stage, 60 * SECOND);
	stage_close(stage, 1);
	establish(2, SSL_A);
	cr_assert_eq(stage->record_count, 2);
}

/* Kept for ten minutes, not for ever. */
Test(joiner, silent_connections_are_forgotten)
{
	stage_open(stage, 1);
	stage_close(stage, 1);
	stage_pass(stage, 601 * SECOND);
	establish(2, SSL_A);
	assert_one(OUTCOME_ESTABLISHED);
}

/* ---- processes --------------------------------------------------------------------------------- */

Test(joiner, worker_dies)
{
	stage_open(stage, 1);
	stage_hello(stage, 1);
	stage_first(stage, 1, SSL_A, -1);
	stage_pass(stage, 5 * SECOND);
	stage_exit(stage, WORKER, 9);
	cr_assert_eq(stage->exit_count, 1);
	cr_assert_eq(stage->exits[0].pid, WORKER);
	cr_assert_eq(stage->exits[0].signal, 9);
	cr_assert_eq(stage->exits[0].pending, 1);
	stage_close(stage, 1); /* the kernel closes its files */
	assert_one(OUTCOME_ABORTED);
	cr_assert_eq(record_at(0)->ending, END_WORKER_EXIT);
	cr_assert_eq(record_at(0)->worker_exit_signal, 9);
}

Test(joiner, reload_succeeds)
{
	stage_signal(stage, MASTER, 1);
	stage_fork(stage, MASTER, OTHER_WORKER);
	stage_process(stage, OTHER_WORKER, ROLE_WORKER);
	stage_pass(stage, 2 * SECOND);
	cr_assert_eq(stage->reload_count, 1);
	cr_assert(stage->reloads[0].succeeded);
	cr_assert_eq(stage->reloads[0].old_count, 1);
	cr_assert_eq(stage->old_first, WORKER);
	cr_assert_eq(stage->reloads[0].new_count, 1);
	cr_assert_eq(stage->new_first, OTHER_WORKER);
	stage_pass(stage, 10 * SECOND);
	cr_assert_eq(stage->reload_count, 1);
}

Test(joiner, reload_fails)
{
	stage_signal(stage, MASTER, 1);
	stage_pass(stage, 4 * SECOND);
	cr_assert_eq(stage->reload_count, 0);
	stage_pass(stage, 2 * SECOND);
	cr_assert_eq(stage->reload_count, 1);
	cr_assert_not(stage->reloads[0].succeeded);
	cr_assert_eq(stage->reloads[0].new_count, 0);
}

Test(joiner, other_signals_are_no_reload)
{
	stage_signal(stage, MASTER, 10);
	stage_signal(stage, WORKER, 1);
	stage_pass(stage, 10 * SECOND);
	cr_assert_eq(stage->reload_count, 0);
}

/* What arrives interrupts any process of the host: strangers must not fill the table of nginx's. */
Test(joiner, strangers_are_no_processes)
{
	for (uint32_t i = 0; i < 5000; i++) {
		uint64_t cookie = 100000 + i;

		stage_open(stage, cookie);
		stage_close_of(stage, 20000 + i, cookie, ECONNRESET, TCP_STATE_ESTABLISHED,
			       TCP_STATE_CLOSE);
	}
	stage_pass(stage, 2 * SECOND);
	stage_process(stage, OTHER_WORKER, ROLE_WORKER);
	stage_open(stage, 1);
	stage_hello(stage, 1);
	stage_call_of(stage, OTHER_WORKER, 1, SSL_A, HANDSHAKE_FIRST, 1);
	stage_finish(stage);
	cr_assert_gt(stage->record_count, 0, "the new worker's handshake was not seen");
}

/* ---- losses ------------------------------------------------------------------------------------ */

/* Handshakes made = records with calls + handshakes lost, whatever was lost. */
Test(joiner, loss_of_a_handshakes_end)
{
	stage_open(stage, 1);
	stage_hello(stage, 1);
	stage_first(stage, 1, SSL_A, -1);
	stage_lost(stage, EVENT_HANDSHAKE, 1, 0, 0); /* its return of 1 */
	stage_close(stage, 1);
	stage_finish(stage);
	cr_assert_eq(stage->record_count, 0);
	cr_assert_eq(stage_counts(stage).handshakes_lost, 1);
	cr_assert_eq(stage_counts(stage).events_lost, 1);
	cr_assert_eq(stage_counts(stage).pending, 0);
	cr_assert_geq(stage->loss_count, 1);
	cr_assert_str_eq(stage->losses[0].where, "ring");
}

Test(joiner, loss_of_a_first_call)
{
	stage_open(stage, 1);
	stage_hello(stage, 1);
	stage_lost(stage, EVENT_HANDSHAKE, 1, 1, 0);
	stage_again(stage, SSL_A, 1); /* whose it is, nobody knows */
	stage_close(stage, 1);
	establish(2, SSL_A);
	stage_finish(stage);
	cr_assert_eq(stage_counts(stage).handshakes_lost, 1);
	assert_one(OUTCOME_ESTABLISHED);
}

Test(joiner, loss_of_an_open)
{
	stage_lost(stage, EVENT_OPEN, 1, 0, 0);
	stage_hello(stage, 1);
	stage_first(stage, 1, SSL_A, 1);
	stage_pass(stage, 2 * SECOND);
	cr_assert_eq(stage->record_count, 0);
	cr_assert_eq(stage_counts(stage).handshakes_lost, 1);
}

/* Wire events carry no end: their loss alone costs facts, not handshakes… */
Test(joiner, loss_does_not_touch_what_is_over)
{
	establish(1, SSL_A);
	stage_lost(stage, EVENT_WIRE, 5, 0, 0);
	stage_close(stage, 1);
	establish(2, SSL_A);
	stage_close(stage, 2);
	stage_finish(stage);
	cr_assert_eq(stage->record_count, 2);
	cr_assert_eq(stage_counts(stage).handshakes_lost, 0);
	cr_assert_eq(stage_counts(stage).events_lost, 5);
}

Test(joiner, losses_are_told_once)
{
	uint64_t events = 0, handshakes = 0;

	stage_lost(stage, EVENT_HANDSHAKE, 3, 2, 0);
	stage_lost(stage, EVENT_HANDSHAKE, 3, 2, 0);
	stage_lost(stage, EVENT_HANDSHAKE, 10, 4, 6);
	stage_finish(stage);
	for (int i = 0; i < stage->loss_count; i++) {
		events += stage->losses[i].events;
		handshakes += stage->losses[i].handshakes;
	}
	cr_assert_eq(events, 16);
	cr_assert_eq(handshakes, 4);
	cr_assert_eq(stage_counts(stage).events_lost, 16);
	cr_assert_eq(stage_counts(stage).handshakes_lost, 4);
}

/* ---- ends -------------------------------------------------------------------------------------- */

Test(joiner, what_still_runs_is_pending)
{
	stage_open(stage, 1);
	stage_hello(stage, 1);
	stage_first(stage, 1, SSL_A, -1);
	stage_open(stage, 2); /* no call yet: no handshake */
	stage_finish(stage);
	cr_assert_eq(stage->record_count, 0);
	cr_assert_eq(stage_counts(stage).pending, 1);
}

/* Connections older than the trace are no records. */
Test(joiner, older_than_the_trace)
{
	stage_again(stage, SSL_A, -1);
	stage_again(stage, SSL_A, 1);
	stage_first(stage, 1, SSL_B, 1);
	stage_pass(stage, 2 * SECOND);
	stage_finish(stage);
	cr_assert_eq(stage->record_count, 0);
	cr_assert_eq(stage_counts(stage).untracked, 1);
	cr_assert_eq(stage_counts(stage).handshakes_lost, 0);
}

Test(joiner, cookie_zero_is_no_connection)
{
	stage_open(stage, 0);
	stage_hello(stage, 0);
	stage_first(stage, 0, SSL_A, 1);
	stage_close(stage, 0);
	stage_open(stage, 0);
	stage_finish(stage);
	cr_assert_eq(stage->record_count, 0);
}
