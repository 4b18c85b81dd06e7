/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A piece of JSON text, written by hand and given to yajl_gen_number(), which copies it verbatim.
 *
 * yajl_gen costs 36 ns for a key and its value, 77 ns where it formats the number: too much for the
 * eighty of a record. It keeps the outline of each line; what is inside is made here.
 */
#ifndef TLSWHY_OUTPUT_FRAGMENT_H
#define TLSWHY_OUTPUT_FRAGMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "join/record.h"

struct fragment {
	char *at;
	size_t len, room;
	bool failed; /* no memory: the text is cut and must not be used */
};

/* A zeroed fragment is empty. */
void fragment_free(struct fragment *fragment);

/* Makes room for `more` bytes; false and failed: no memory. */
bool fragment_grow(struct fragment *fragment, size_t more);

static inline bool fragment_reserve(struct fragment *fragment, size_t more)
{
	return fragment->room - fragment->len >= more || fragment_grow(fragment, more);
}

static inline void fragment_raw(struct fragment *fragment, const char *text, size_t len)
{
	if (!len || !fragment_reserve(fragment, len))
		return;
	memcpy(fragment->at + fragment->len, text, len);
	fragment->len += len;
}

/* Text of a string literal. */
#define fragment_literal(fragment, text) fragment_raw(fragment, text, sizeof(text) - 1)

/* Drops a comma at the end, where a list has just been written. */
static inline void fragment_trim_comma(struct fragment *fragment)
{
	if (fragment->len && fragment->at[fragment->len - 1] == ',')
		fragment->len--;
}

void fragment_unsigned(struct fragment *fragment, uint64_t value);
/* A number of seconds with three decimals, whatever the locale says of commas. */
void fragment_seconds(struct fragment *fragment, double seconds);
void fragment_signed(struct fragment *fragment, int64_t value);
/* null when negative: not measured. */
void fragment_measured(struct fragment *fragment, int64_t value);

/* A quoted string, escaped. */
void fragment_string(struct fragment *fragment, const void *bytes, size_t len);
/* The same; null for NULL. */
void fragment_text(struct fragment *fragment, const char *text);
/* A name out of our own tables: quoted and known to need no escape. */
void fragment_name(struct fragment *fragment, const char *name);

/* RFC 3339 in UTC with microseconds, quoted. */
void fragment_time(struct fragment *fragment, uint64_t time_ns);
/* {"address":…,"port":…}; null for an unknown family. */
void fragment_endpoint(struct fragment *fragment, const struct endpoint *endpoint);

#endif
