/* SPDX-License-Identifier: BSD-2-Clause */
#include "diagnose/causes.h"

#include <string.h>

static const struct cause causes[CAUSE_COUNT] = {
#define CAUSE(symbol, id, sides, directive, upstream_directive, meaning, fix, upstream_fix)        \
	[CAUSE_##symbol] = {id, sides, meaning, directive, upstream_directive, fix, upstream_fix},
#include "diagnose/causes.def"
#undef CAUSE
};

const struct cause *cause_at(enum cause_number number)
{
	if (number <= CAUSE_NONE || number >= CAUSE_COUNT)
		return NULL;
	return &causes[number];
}

const struct cause *cause_find(const char *id)
{
	for (int i = CAUSE_NONE + 1; i < CAUSE_COUNT; i++)
		if (!strcmp(causes[i].id, id))
			return &causes[i];
	return NULL;
}

const char *cause_directive(const struct cause *cause, enum side side)
{
	if (side == SIDE_UPSTREAM && cause->upstream_directive)
		return cause->upstream_directive;
	return cause->directive;
}

const char *cause_fix(const struct cause *cause, enum side side)
{
	if (side == SIDE_UPSTREAM && cause->upstream_fix)
		return cause->upstream_fix;
	return cause->fix;
}
