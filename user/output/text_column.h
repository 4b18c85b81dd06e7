/* SPDX-License-Identifier: BSD-2-Clause */
/* Lines made of columns: padding, cutting, colour and wrapping by display width. */
#ifndef TLSWHY_OUTPUT_TEXT_COLUMN_H
#define TLSWHY_OUTPUT_TEXT_COLUMN_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "join/record.h"

struct text_style {
	int width; /* columns; 0: no limit */
	bool colour, utf8;
};

enum text_colour { TEXT_PLAIN, TEXT_DIM, TEXT_RED, TEXT_GREEN, TEXT_YELLOW };

#define TEXT_TIME_WIDTH 12    /* 12:04:31.204 */
#define TEXT_VERSION_WIDTH 15 /* TLSv1.3 resumed */
#define TEXT_DURATION_WIDTH 9 /* 999.9 ms */

/* The widest column's text: an SNI of 255 bytes (RFC 1035), each escaped to four. */
#define TEXT_COLUMN_MAX 1100

/* Widths of what differs between terminals; 0: left out. */
struct text_layout {
	int min_width; /* of the terminal */
	int peer, name;
	bool result; /* else a failure's cause begins its second line */
};

const struct text_layout *text_layout_for(int width);

struct text_line {
	const struct text_style *style;
	char at[4096];
	size_t len;
	int columns; /* written so far */
	bool coloured;
};

void text_line_begin(struct text_line *line, const struct text_style *style);
/* A column and the blank before it, padded or cut to width; width 0: the last one, as long as it
 * is. */
void text_line_column(struct text_line *line, const char *text, int width);
void text_line_right(struct text_line *line, const char *text, int width);
void text_line_colour(struct text_line *line, enum text_colour colour);
void text_line_end(struct text_line *line, FILE *out);

/* A text over as many lines as it needs, each indented. */
void text_wrap(FILE *out, const struct text_style *style, const char *text, int indent);

/* Each writes into buf and returns it. */
const char *text_time(uint64_t time_ns, char buf[static TEXT_COLUMN_MAX]); /* local time */
const char *text_duration(int64_t us, char buf[static TEXT_COLUMN_MAX]);
/* An upstream with an arrow before it. A client loses its port where the width is short of it. */
const char *text_peer(const struct record *record, int width, bool utf8,
		      char buf[static TEXT_COLUMN_MAX]);

#endif
