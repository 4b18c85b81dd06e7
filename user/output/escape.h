/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Untrusted text made harmless: for a terminal and for JSON.
 *
 * Dangerous is what a reader would not see as what it is: control characters (C0, DEL, C1), line
 * and paragraph separators, bidirectional overrides (Unicode TR 36 section 2.6), zero-width and tag
 * characters, and every byte that is not UTF-8.
 */
#ifndef TLSWHY_OUTPUT_ESCAPE_H
#define TLSWHY_OUTPUT_ESCAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One character of UTF-8 at bytes: its length, and the code point in ret_code; 0: not UTF-8 (RFC
 * 3629: overlong forms and surrogates neither). */
size_t escape_decode(const uint8_t *bytes, size_t len, uint32_t *ret_code);

bool escape_is_dangerous(uint32_t code);

/* JSON: `out` needs six bytes for each of `len`. Returns how many were written, without quotes and
 * without a NUL. An invalid byte b is written \u00XX. */
size_t escape_json(char *out, const uint8_t *bytes, size_t len);

/* For a terminal: NUL-terminated, cut between characters where size is short. Dangerous bytes as
 * \xNN, other dangerous characters as \u{N}, a backslash doubled; with utf8 false everything beyond
 * ASCII is written as bytes. Returns the length. */
size_t escape_terminal(char *out, size_t size, const uint8_t *bytes, size_t len, bool utf8);

/* Columns that a text of escape_terminal, or of our own words, takes. */
int escape_width(const char *text);

/* The longest start of text that fits into `columns`: its length in bytes, and its width. */
size_t escape_fit(const char *text, int columns, int *ret_width);

#endif
