/* SPDX-License-Identifier: BSD-2-Clause */
/* Listeners, processes, losses and ends. */
#include "unit/scenes.h"

TestSuite(joiner_life, .init = set_up, .fini = tear_down);

/* ---- bytes before their socket ------------------------------------------------------- */

/* `listen … deferred`: the hello comes to the listening socket, the child exists later. */
Test(joiner_life, deferred_hello)
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
Test(joiner_life, deferred_hello_of_another_connection)
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
Test(joiner_life, fast_open)
{
	stage_hello(stage, 1);
	stage_first(stage, 1, SSL_A, -1);
	stage_open(stage, 1);
	stage_again(stage, SSL_A, 1);
	assert_one(OUTCOME_ESTABLISHED);
	assert_parts_add_up(record_at(0));
}

/* ---- listeners ----------------------------------------------------------------------- */

/* A connection that said nothing, on a port of which nobody knows yet that it is TLS. */
Test(joiner_life, silent_connection_before_the_listener_proves_tls)
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

Test(joiner_life, silent_connection_on_a_listener_that_does_tls)
{
	establish(1, SSL_A);
	stage_open(stage, 2);
	stage_fin(stage, 2);
	stage_close_after_fin(stage, 2);
	cr_assert_eq(stage->record_count, 2);
	cr_assert_eq(record_at(1)->outcome, OUTCOME_ABORTED);
}

Test(joiner_life, plain_http_on_a_listener_that_does_tls)
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
Test(joiner_life, other_listeners_stay_silent)
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
Test(joiner_life, reuseport_listeners_are_one)
{
	stage_listen(stage, 11, 443);
	stage_open_on(stage, 1, 11);
	stage_pass(stage, 60 * SECOND);
	stage_close(stage, 1);
	establish(2, SSL_A);
	cr_assert_eq(stage->record_count, 2);
}

/* Kept for ten minutes, not for ever. */
Test(joiner_life, silent_connections_are_forgotten)
{
	stage_open(stage, 1);
	stage_close(stage, 1);
	stage_pass(stage, 601 * SECOND);
	establish(2, SSL_A);
	assert_one(OUTCOME_ESTABLISHED);
}

/* ---- processes ----------------------------------------------------------------------- */

Test(joiner_life, worker_dies)
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

Test(joiner_life, reload_succeeds)
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

Test(joiner_life, reload_fails)
{
	stage_signal(stage, MASTER, 1);
	stage_pass(stage, 4 * SECOND);
	cr_assert_eq(stage->reload_count, 0);
	stage_pass(stage, 2 * SECOND);
	cr_assert_eq(stage->reload_count, 1);
	cr_assert_not(stage->reloads[0].succeeded);
	cr_assert_eq(stage->reloads[0].new_count, 0);
}

Test(joiner_life, other_signals_are_no_reload)
{
	stage_signal(stage, MASTER, 10);
	stage_signal(stage, WORKER, 1);
	stage_pass(stage, 10 * SECOND);
	cr_assert_eq(stage->reload_count, 0);
}

/* What arrives interrupts any process of the host: strangers must not fill the table of nginx's. */
Test(joiner_life, strangers_are_no_processes)
{
	stage_listen(stage, 20, 80);
	for (uint32_t i = 0; i < 5000; i++) {
		uint64_t cookie = 100000 + i;

		stage_open_on(stage, cookie, 20);
		stage_close_of(stage, 20000 + i, cookie, ECONNRESET, TCP_STATE_ESTABLISHED,
			       TCP_STATE_CLOSE);
	}
	stage_pass(stage, 2 * SECOND);
	stage_process(stage, OTHER_WORKER, ROLE_WORKER);
	stage_open(stage, 1);
	stage_hello(stage, 1);
	stage_call_of(stage, OTHER_WORKER, 1, SSL_A, HANDSHAKE_FIRST, 1);
	stage_finish(stage);
	assert_one(OUTCOME_ESTABLISHED);
	cr_assert_eq(record_at(0)->worker_pid, OTHER_WORKER);
}

/* ---- losses -------------------------------------------------------------------------- */

/* Handshakes made = records with calls + handshakes lost, whatever was lost. */
Test(joiner_life, loss_of_a_handshakes_end)
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

Test(joiner_life, loss_of_a_first_call)
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

Test(joiner_life, loss_of_an_open)
{
	stage_lost(stage, EVENT_OPEN, 1, 0, 0);
	stage_hello(stage, 1);
	stage_first(stage, 1, SSL_A, 1);
	stage_pass(stage, 2 * SECOND);
	cr_assert_eq(stage->record_count, 0);
	cr_assert_eq(stage_counts(stage).handshakes_lost, 1);
}

/* Wire events carry no end: their loss alone costs facts, not handshakes… */
Test(joiner_life, loss_does_not_touch_what_is_over)
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

Test(joiner_life, losses_are_told_once)
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

/* ---- ends ---------------------------------------------------------------------------- */

Test(joiner_life, what_still_runs_is_pending)
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
Test(joiner_life, older_than_the_trace)
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

Test(joiner_life, cookie_zero_is_no_connection)
{
	stage_open(stage, 0);
	stage_hello(stage, 0);
	stage_first(stage, 0, SSL_A, 1);
	stage_close(stage, 0);
	stage_open(stage, 0);
	stage_finish(stage);
	cr_assert_eq(stage->record_count, 0);
}
