/* SPDX-License-Identifier: BSD-2-Clause */
#include "output/summary.h"

#include <inttypes.h>
#include <string.h>

/* Causes listed for a person; the rest is one line. */
#define SUMMARY_PRINTED 12

static void count_cause(struct summary *summary, const char *id)
{
	int at = 0;

	/* Ids are static strings of one table: equal texts are usually the same pointer. */
	while (at < summary->cause_count && summary->causes[at].id != id &&
	       strcmp(summary->causes[at].id, id))
		at++;
	if (at == SUMMARY_CAUSES_MAX) {
		at--;
		summary->causes[at].id = "other";
	} else if (at == summary->cause_count) {
		summary->causes[at].id = id;
		summary->causes[at].count = 0;
		summary->cause_count++;
	}
	summary->causes[at].count++;
}

void summary_add(struct summary *summary, const struct record *record)
{
	summary->records++;
	if (!record->previous[0]) {
		summary->connections++;
		if (record->handshake_calls)
			summary->handshakes++;
	}
	summary->outcomes[record->outcome]++;
	summary->sides[record->side]++;
	if (record->cause.id)
		count_cause(summary, record->cause.id);
}

/* The most frequent cause not yet in `done`; -1: none left. */
static int next_cause(const struct summary *summary, const bool *done)
{
	int best = -1;

	for (int i = 0; i < summary->cause_count; i++) {
		if (done[i])
			continue;
		if (best < 0 || summary->causes[i].count > summary->causes[best].count)
			best = i;
	}
	return best;
}

static void print_causes(const struct summary *summary, FILE *out)
{
	bool done[SUMMARY_CAUSES_MAX] = {false};
	uint64_t rest = 0;

	for (int printed = 0; printed < summary->cause_count; printed++) {
		int at = next_cause(summary, done);

		done[at] = true;
		if (printed < SUMMARY_PRINTED)
			fprintf(out, "  %8" PRIu64 "  %s\n", summary->causes[at].count,
				summary->causes[at].id);
		else
			rest += summary->causes[at].count;
	}
	if (rest)
		fprintf(out, "  %8" PRIu64 "  of %d other causes\n", rest,
			summary->cause_count - SUMMARY_PRINTED);
}

void summary_print(const struct summary *summary, FILE *out)
{
	uint64_t good = summary->outcomes[OUTCOME_ESTABLISHED];

	fprintf(out,
		"tlswhy: %" PRIu64 " connections in %.1f s: %" PRIu64 " handshakes, %" PRIu64
		" established",
		summary->connections, summary->duration_s, summary->handshakes, good);
	for (int i = 0; i < OUTCOME_COUNT; i++)
		if (i != OUTCOME_ESTABLISHED && summary->outcomes[i])
			fprintf(out, ", %" PRIu64 " %s", summary->outcomes[i], outcome_name(i));
	if (summary->pending)
		fprintf(out, ", %" PRIu64 " still pending", summary->pending);
	fprintf(out, "\n");
	if (summary->sides[SIDE_UPSTREAM])
		fprintf(out, "tlswhy: %" PRIu64 " to client, %" PRIu64 " to upstream\n",
			summary->sides[SIDE_CLIENT], summary->sides[SIDE_UPSTREAM]);
	print_causes(summary, out);
	if (summary->written != summary->records)
		fprintf(out, "tlswhy: %" PRIu64 " of %" PRIu64 " records passed the filters\n",
			summary->written, summary->records);
	fprintf(out, "tlswhy: lost %" PRIu64 " events", summary->events_lost);
	if (summary->handshakes_lost)
		fprintf(out, ", %" PRIu64 " of them the end of a handshake",
			summary->handshakes_lost);
	fprintf(out, "\n");
}
