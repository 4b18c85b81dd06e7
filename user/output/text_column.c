/* SPDX-License-Identifier: BSD-2-Clause */
#include "output/text_column.h"

#include <inttypes.h>
#include <netinet/in.h>
#include <string.h>
#include <time.h>

#include "base/address.h"
#include "output/escape.h"

/* 23 columns hold any IPv4 peer with its arrow and port, 49 any IPv6 one. */
const struct text_layout *text_layout_for(int width)
{
	static const struct text_layout unlimited = {0, 23, 24, true};
	static const struct text_layout layouts[] = {
		{200, 49, 56, true}, {160, 40, 32, true}, {120, 23, 20, true},
		{80, 23, 14, false}, {0, 21, 0, false},
	};
	const struct text_layout *layout = layouts;

	if (!width)
		return &unlimited;
	while (width < layout->min_width)
		layout++;
	return layout;
}

void text_line_begin(struct text_line *line, const struct text_style *style)
{
	line->style = style;
	line->len = 0;
	line->columns = 0;
	line->coloured = false;
}

static void append(struct text_line *line, const char *text, size_t len)
{
	/* The colour's end and the newline always fit. */
	if (line->len + len + 16 > sizeof(line->at))
		return;
	memcpy(line->at + line->len, text, len);
	line->len += len;
}

static void pad(struct text_line *line, int columns)
{
	for (; columns > 0; columns--) {
		append(line, " ", 1);
		line->columns++;
	}
}

/* Columns left before the terminal's edge. */
static int room(const struct text_line *line)
{
	int left = line->style->width - line->columns;

	return line->style->width ? (left > 0 ? left : 0) : 1 << 20;
}

/* Writes text cut to `width` columns, the cut marked; returns the columns used. */
static int append_cut(struct text_line *line, const char *text, int width)
{
	const char *mark = line->style->utf8 ? "…" : "~";
	int used;
	size_t len = escape_fit(text, width, &used);

	if (!text[len] || width < 1) {
		append(line, text, len);
		line->columns += used;
		return used;
	}
	len = escape_fit(text, width - 1, &used);
	append(line, text, len);
	append(line, mark, strlen(mark));
	line->columns += used + 1;
	return used + 1;
}

static void separate(struct text_line *line)
{
	if (line->columns && room(line))
		pad(line, 1);
}

void text_line_column(struct text_line *line, const char *text, int width)
{
	bool limited = line->style->width > 0;
	int limit, used;

	separate(line);
	limit = width && limited ? width : room(line);
	if (limit > room(line))
		limit = room(line);
	used = append_cut(line, text, limit);
	if (width > used)
		pad(line, width - used < room(line) ? width - used : room(line));
}

void text_line_right(struct text_line *line, const char *text, int width)
{
	int used = escape_width(text);

	separate(line);
	if (width > used)
		pad(line, width - used < room(line) ? width - used : room(line));
	append_cut(line, text, room(line));
}

void text_line_colour(struct text_line *line, enum text_colour colour)
{
	/* ECMA-48 SGR. */
	static const char *const sequences[] = {
		[TEXT_PLAIN] = "\033[0m",  [TEXT_DIM] = "\033[2m",     [TEXT_RED] = "\033[31m",
		[TEXT_GREEN] = "\033[32m", [TEXT_YELLOW] = "\033[33m",
	};

	if (!line->style->colour)
		return;
	append(line, sequences[colour], strlen(sequences[colour]));
	line->coloured = colour != TEXT_PLAIN;
}

void text_line_end(struct text_line *line, FILE *out)
{
	while (line->len && line->at[line->len - 1] == ' ')
		line->len--;
	if (line->coloured)
		text_line_colour(line, TEXT_PLAIN);
	line->at[line->len++] = '\n';
	fwrite(line->at, 1, line->len, out);
}

/* Where to break: the last blank that fits, else where the columns end. */
static size_t wrap_at(const char *text, int columns)
{
	int width;
	size_t fit = escape_fit(text, columns, &width), at = fit;

	if (!text[fit])
		return fit;
	while (at > 0 && text[at] != ' ')
		at--;
	if (at)
		return at;
	return fit ? fit : 1;
}

void text_wrap(FILE *out, const struct text_style *style, const char *text, int indent)
{
	int columns = style->width - indent;

	if (style->width && columns < 20) {
		indent = 2;
		columns = style->width > 22 ? style->width - indent : 20;
	}
	while (*text) {
		size_t len = style->width ? wrap_at(text, columns) : strlen(text);

		fprintf(out, "%s%*s%.*s%s\n", style->colour ? "\033[2m" : "", indent, "", (int)len,
			text, style->colour ? "\033[0m" : "");
		text += len;
		while (*text == ' ')
			text++;
	}
}

const char *text_time(uint64_t time_ns, char buf[static TEXT_COLUMN_MAX])
{
	time_t seconds = (time_t)(time_ns / 1000000000);
	struct tm tm;

	if (!localtime_r(&seconds, &tm))
		memset(&tm, 0, sizeof(tm));
	snprintf(buf, TEXT_COLUMN_MAX, "%02d:%02d:%02d.%03u", tm.tm_hour, tm.tm_min, tm.tm_sec,
		 (unsigned)(time_ns / 1000000 % 1000));
	return buf;
}

const char *text_duration(int64_t us, char buf[static TEXT_COLUMN_MAX])
{
	if (us < 0)
		snprintf(buf, TEXT_COLUMN_MAX, "-");
	else if (us < 1000000)
		snprintf(buf, TEXT_COLUMN_MAX, "%" PRId64 ".%" PRId64 " ms", us / 1000,
			 us % 1000 / 100);
	else
		snprintf(buf, TEXT_COLUMN_MAX, "%" PRId64 ".%" PRId64 " s", us / 1000000,
			 us % 1000000 / 100000);
	return buf;
}

const char *text_peer(const struct record *record, int width, bool utf8,
		      char buf[static TEXT_COLUMN_MAX])
{
	const struct endpoint *peer = &record->peer;
	const char *arrow = "";
	char address[ADDRESS_TEXT];

	if (record->proxied_peer.family)
		peer = &record->proxied_peer;
	if (record->side == SIDE_UPSTREAM)
		arrow = utf8 ? "→ " : "> ";
	if (!address_text(peer->family, peer->address, address)) {
		snprintf(buf, TEXT_COLUMN_MAX, "%s-", arrow);
		return buf;
	}
	snprintf(buf, TEXT_COLUMN_MAX, peer->family == AF_INET6 ? "%s[%s]:%u" : "%s%s:%u", arrow,
		 address, peer->port);
	/* A client's port is of little use; an upstream's says which server it is. */
	if (record->side == SIDE_CLIENT && escape_width(buf) > width)
		snprintf(buf, TEXT_COLUMN_MAX, "%s", address);
	return buf;
}
