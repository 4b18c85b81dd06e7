/* SPDX-License-Identifier: BSD-2-Clause */
/* What a rule says of a record: its cause, in words, with the facts that decided. */
#ifndef TLSWHY_DIAGNOSE_VERDICT_H
#define TLSWHY_DIAGNOSE_VERDICT_H

#include <stdbool.h>

#include "diagnose/causes.h"
#include "diagnose/facts.h"

struct verdict {
	struct record_cause *cause;
	const struct facts *facts;
};

/* Names the cause and writes its summary; directive and fix come from the cause's row. Returns
 * true, so that a rule can `return verdict_is(…)`. */
bool verdict_is(struct verdict *verdict, enum cause_number number, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Another directive than the row's, where the record tells. */
void verdict_directive(struct verdict *verdict, const char *directive);

/* One more fact; beyond the room there is, dropped. */
void verdict_fact(struct verdict *verdict, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
