/* SPDX-License-Identifier: BSD-2-Clause */
/* Which records are written: --side, --failed, --sni, --peer, --cause, --outcome, --tls-version. */
#ifndef TLSWHY_OUTPUT_FILTER_H
#define TLSWHY_OUTPUT_FILTER_H

#include <stdbool.h>

#include "base/failure.h"
#include "join/record.h"

enum filter_field {
	FILTER_SIDE,	    /* a name */
	FILTER_SNI,	    /* a glob; no SNI is the empty string */
	FILTER_PEER,	    /* a network; the address that a PROXY header names counts too */
	FILTER_CAUSE,	    /* a glob; no cause matches none */
	FILTER_OUTCOME,	    /* a name */
	FILTER_TLS_VERSION, /* a name; nothing negotiated matches none */
	FILTER_FIELDS,
};

/* One value of one option. */
struct filter_rule {
	enum filter_field field;
	bool exclude;	  /* written with ! in front */
	const char *glob; /* borrowed from the command line */
	struct {
		uint16_t family; /* AF_INET, AF_INET6 */
		uint8_t address[16];
		uint8_t prefix_len;
	} network;
	int number; /* enum side, enum outcome or a version */
};

/* A zeroed filter passes everything. */
struct filter {
	bool failed; /* no established records */
	struct filter_rule *rules;
	int rule_count;
};

/* Adds `value` as the user typed it; it must outlive the filter. 0, or -1 with *why (EXIT_USAGE,
 * "--outcome: …: one of …"). */
int filter_add(struct filter *filter, enum filter_field field, const char *value,
	       struct failure *why);

/* Several values of one field are alternatives, different fields must all hold; what matches a
 * value with ! is out. The record's cause is diagnosed. */
bool filter_pass(const struct filter *filter, const struct record *record);

void filter_clear(struct filter *filter);

#endif
