/* SPDX-License-Identifier: BSD-2-Clause */
#include "join/record.h"

const char *side_name(enum side side)
{
	return side == SIDE_UPSTREAM ? "upstream" : "client";
}

const char *outcome_name(enum outcome outcome)
{
	static const char *const names[OUTCOME_COUNT] = {
		[OUTCOME_ESTABLISHED] = "established",
		[OUTCOME_FAILED] = "failed",
		[OUTCOME_ABORTED] = "aborted",
		[OUTCOME_TIMED_OUT] = "timed_out",
		[OUTCOME_REJECTED] = "rejected",
	};

	return names[outcome];
}
