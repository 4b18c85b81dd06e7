/* SPDX-License-Identifier: BSD-2-Clause */
/* Failing records of each kind, and what every verdict on them must hold. */
#ifndef TLSWHY_TESTS_FIXTURE_DIAGNOSE_H
#define TLSWHY_TESTS_FIXTURE_DIAGNOSE_H

#include <criterion/criterion.h>

#include "diagnose/diagnose.h"
#include "fixture_record.h"

#define SSL3(reason) (20u << 23 | (reason))

static inline const char *evidence_of(const struct record *record, const char *start)
{
	for (int i = 0; i < record->cause.evidence_count; i++)
		if (!strncmp(record->cause.evidence[i], start, strlen(start)))
			return record->cause.evidence[i] + strlen(start);
	return NULL;
}

/* Diagnoses, and checks cause, rule and a part of the summary; what every verdict must have, too.
 */
static inline void expect(struct record *record, const char *cause, const char *rule,
			  const char *part)
{
	diagnose_record(record);
	cr_assert(record->cause.id);
	cr_assert_str_eq(record->cause.id, cause, "%s instead of %s: %s", record->cause.id, cause,
			 record->cause.summary);
	cr_assert_str_eq(evidence_of(record, "rule: "), rule);
	cr_assert(strstr(record->cause.summary, part), "\"%s\" is not in \"%s\"", part,
		  record->cause.summary);
	cr_assert(record->cause.fix[0]);
	cr_assert_not(strchr(record->cause.fix, '{'), "%s", record->cause.fix);
	cr_assert_lt(strlen(record->cause.fix) + 1, sizeof(record->cause.fix), "cut: %s", cause);
	for (const char *c = record->cause.summary; *c; c++)
		cr_assert(*c >= 0x20 && *c < 0x7f);
}

static inline void expect_directive(const struct record *record, const char *directive)
{
	cr_assert(record->cause.directive);
	cr_assert_str_eq(record->cause.directive, directive);
}

/* A client's hello that offers TLS 1.2 alone. */
static inline struct client_hello hello_12(void)
{
	struct client_hello hello = fixture_hello();

	hello.has_versions = false;
	hello.versions = (struct code_list){0};
	return hello;
}

static inline struct record silent(enum outcome outcome, enum ending ending, enum preface preface)
{
	struct record record = fixture_failed(NULL, 0, NULL);

	record.outcome = outcome;
	record.ending = ending;
	record.preface = preface;
	record.handshake_calls = 0;
	return record;
}

static inline struct record upstream(const struct client_hello *hello, unsigned reason)
{
	struct record record = fixture_failed(hello, reason ? SSL3(reason) : 0, NULL);

	record.side = SIDE_UPSTREAM;
	record.peer = fixture_ipv4(10, 0, 3, 2, 8443);
	return record;
}

static inline struct record upstream_alert(const struct client_hello *hello, uint8_t alert)
{
	struct record record = upstream(hello, 1000u + alert);

	fixture_alert(&record, ALERT_RECEIVED, alert);
	return record;
}

static inline struct record client_alert(const struct client_hello *hello, uint8_t alert)
{
	struct record record = fixture_failed(hello, SSL3(1000u + alert), NULL);

	fixture_alert(&record, ALERT_RECEIVED, alert);
	return record;
}

#endif
