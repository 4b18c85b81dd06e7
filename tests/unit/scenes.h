/* SPDX-License-Identifier: BSD-2-Clause */
/* One stage for each test of the joiner, and what most of them play on it. */
#ifndef TLSWHY_TESTS_UNIT_SCENES_H
#define TLSWHY_TESTS_UNIT_SCENES_H

#include "unit/stage.h"

#define SSL_A UINT64_C(0x55550000a000)
#define SSL_B UINT64_C(0x55550000b000)

static struct stage *stage;

static inline void set_up(void)
{
	stage = stage_new();
}

static inline void tear_down(void)
{
	stage_free(stage);
}

static inline const struct record *record_at(int i)
{
	cr_assert_gt(stage->record_count, i, "there are %d records", stage->record_count);
	return &stage->records[i];
}

static inline void assert_one(enum outcome outcome)
{
	cr_assert_eq(stage->record_count, 1, "there are %d records", stage->record_count);
	cr_assert_str_eq(outcome_name(stage->records[0].outcome), outcome_name(outcome));
}

static inline void assert_parts_add_up(const struct record *record)
{
	const struct record_latency *latency = &record->latency;
	int64_t sum = latency->crypto_us < 0 ? 0 : latency->crypto_us;

	sum += latency->hello_wait_us < 0 ? 0 : latency->hello_wait_us;
	sum += latency->pickup_us < 0 ? 0 : latency->pickup_us;
	sum += latency->peer_wait_us < 0 ? 0 : latency->peer_wait_us;
	cr_assert_eq(sum, latency->total_us);
}

/* A whole successful handshake of a client. */
static inline void establish(uint64_t cookie, uint64_t ssl)
{
	stage_open(stage, cookie);
	stage_hello(stage, cookie);
	stage_first(stage, cookie, ssl, -1);
	stage_pass(stage, 2 * MS);
	stage_again(stage, ssl, 1);
}

/* And of an upstream. */
static inline void establish_upstream(uint64_t cookie, uint64_t ssl)
{
	stage_connected(stage, cookie);
	stage_hex(stage, cookie, WIRE_OUT, hello_openssl);
	stage_first(stage, cookie, ssl, -1);
	stage_pass(stage, 2 * MS);
	stage_again(stage, ssl, 1);
}

#endif
