/* SPDX-License-Identifier: BSD-2-Clause */
/* What a failed handshake is called, what that means and what to do about it. */
#ifndef TLSWHY_DIAGNOSE_CAUSES_H
#define TLSWHY_DIAGNOSE_CAUSES_H

#include <stddef.h>
#include <stdint.h>

#include "join/record.h"

enum { CAUSE_CLIENT = 1, CAUSE_UPSTREAM = 2, CAUSE_BOTH = 3 };

enum cause_number {
	CAUSE_NONE,
#define CAUSE(symbol, id, sides, directive, upstream_directive, meaning, fix, upstream_fix)        \
	CAUSE_##symbol,
#include "diagnose/causes.def"
#undef CAUSE
	CAUSE_COUNT,
};

struct cause {
	const char *id;
	uint8_t sides;				    /* CAUSE_CLIENT, CAUSE_UPSTREAM */
	const char *meaning;			    /* one line, no connection's facts */
	const char *directive, *upstream_directive; /* first to check; NULL: none */
	const char *fix, *upstream_fix;		    /* templates: see causes.def */
};

/* NULL for CAUSE_NONE and beyond the last. */
const struct cause *cause_at(enum cause_number number);
/* By id, as a person types it; NULL: unknown. */
const struct cause *cause_find(const char *id);

const char *cause_directive(const struct cause *cause, enum side side);
const char *cause_fix(const struct cause *cause, enum side side);

#endif
