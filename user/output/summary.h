/* SPDX-License-Identifier: BSD-2-Clause */
/* The counts of a run: the last line of NDJSON, and what stderr says at the end. */
#ifndef TLSWHY_OUTPUT_SUMMARY_H
#define TLSWHY_OUTPUT_SUMMARY_H

#include <stdint.h>
#include <stdio.h>

#include "join/record.h"

/* Causes are few and their ids static strings; one more than this is counted as "other". */
#define SUMMARY_CAUSES_MAX 96

struct summary {
	uint64_t connections; /* records without previous */
	uint64_t handshakes; /* those of them with handshake_calls ≥ 1 */
	uint64_t records; /* connection records, all */
	uint64_t written; /* that passed the filters */
	uint64_t pending;
	uint64_t outcomes[OUTCOME_COUNT];
	uint64_t sides[2];
	struct {
		const char *id;
		uint64_t count;
	} causes[SUMMARY_CAUSES_MAX];
	int cause_count;
	uint64_t events_lost, handshakes_lost;
	double duration_s;
};

void summary_add(struct summary *summary, const struct record *record);
/* Some lines for a person. */
void summary_print(const struct summary *summary, FILE *out);

#endif
