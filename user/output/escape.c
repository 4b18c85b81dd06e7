/* SPDX-License-Identifier: BSD-2-Clause */
#include "output/escape.h"

#include <stdio.h>
#include <string.h>
#include <wchar.h>

size_t escape_decode(const uint8_t *bytes, size_t len, uint32_t *ret_code)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t need;
	uint32_t code;

	if (!len)
		return 0;
	if (bytes[0] < 0x80) {
		*ret_code = bytes[0];
		return 1;
	}
	if (bytes[0] >= 0xc2 && bytes[0] <= 0xdf)
		need = 2;
	else if (bytes[0] >= 0xe0 && bytes[0] <= 0xef)
		need = 3;
	else if (bytes[0] >= 0xf0 && bytes[0] <= 0xf4)
		need = 4;
	else
		return 0;
	if (need > len)
		return 0;
	code = bytes[0] & (0x7fu >> need);
	for (size_t i = 1; i < need; i++) {
		if ((bytes[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (bytes[i] & 0x3f);
	}
	if (code < least[need] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
		return 0;
	*ret_code = code;
	return need;
}

bool escape_is_dangerous(uint32_t code)
{
	static const struct {
		uint32_t first, last;
	} ranges[] = {
		{0x0000, 0x001f}, {0x007f, 0x009f}, {0x00ad, 0x00ad}, /* soft hyphen */
		{0x061c, 0x061c},				      /* Arabic letter mark */
		{0x180e, 0x180e}, {0x200b, 0x200f}, {0x2028, 0x202e},
		{0x2060, 0x206f}, {0xfe00, 0xfe0f},			/* variation selectors */
		{0xfeff, 0xfeff}, {0xfff9, 0xfffb}, {0xe0000, 0xe0fff}, /* tags */
	};

	if (code >= 0x20 && code < 0x7f)
		return false;
	for (size_t i = 0; i < sizeof(ranges) / sizeof(*ranges); i++)
		if (code >= ranges[i].first && code <= ranges[i].last)
			return true;
	return false;
}

static char *put_unit(char *out, uint32_t unit)
{
	static const char digits[] = "0123456789abcdef";

	*out++ = '\\';
	*out++ = 'u';
	for (int shift = 12; shift >= 0; shift -= 4)
		*out++ = digits[unit >> shift & 15];
	return out;
}

static char *put_json_code(char *out, uint32_t code)
{
	if (code < 0x10000)
		return put_unit(out, code);
	/* RFC 8259 section 7: a surrogate pair. */
	out = put_unit(out, 0xd800 + ((code - 0x10000) >> 10));
	return put_unit(out, 0xdc00 + ((code - 0x10000) & 0x3ff));
}

/* Are eight bytes all printable ASCII other than '"' and '\\'? Bit 7 of a byte of each term tells;
 * Sean Anderson's hasless() and haszero(), which err only towards false. */
static bool eight_plain(uint64_t eight)
{
	const uint64_t ones = 0x0101010101010101u, tops = ones << 7;
	uint64_t quote = eight ^ ones * '"', backslash = eight ^ ones * '\\',
		 del = eight ^ ones * 0x7f;
	uint64_t bad =
		eight | (eight - ones * 0x20) | (quote - ones) | (backslash - ones) | (del - ones);

	return !(bad & tops);
}

size_t escape_json(char *out, const uint8_t *bytes, size_t len)
{
	char *end = out;

	for (size_t i = 0; i < len;) {
		uint32_t code = bytes[i];
		size_t used = 1;
		uint64_t eight;

		if (len - i >= sizeof(eight)) {
			memcpy(&eight, bytes + i, sizeof(eight));
			if (eight_plain(eight)) {
				memcpy(end, &eight, sizeof(eight));
				end += sizeof(eight);
				i += sizeof(eight);
				continue;
			}
		}
		if (code >= 0x20 && code < 0x7f) {
			if (code == '"' || code == '\\')
				*end++ = '\\';
			*end++ = (char)code;
		} else if (!(used = escape_decode(bytes + i, len - i, &code))) {
			end = put_unit(end, bytes[i]);
			used = 1;
		} else if (escape_is_dangerous(code)) {
			end = put_json_code(end, code);
		} else {
			memcpy(end, bytes + i, used);
			end += used;
		}
		i += used;
	}
	return (size_t)(end - out);
}

/* wcwidth asks the locale: in one that is not UTF-8 everything beyond ASCII is -1 and gets escaped.
 */
static int code_width(uint32_t code)
{
	return code >= 0x20 && code < 0x7f ? 1 : wcwidth((wchar_t)code);
}

/* One character of the input into piece: returns the bytes used. */
static size_t terminal_piece(char piece[static 16], const uint8_t *bytes, size_t len, bool utf8)
{
	uint32_t code;
	size_t used = escape_decode(bytes, len, &code);

	if (!used || (code >= 0x80 && !utf8) || code < 0x20 || code == 0x7f) {
		snprintf(piece, 16, "\\x%02x", bytes[0]);
		return 1;
	}
	/* A mark without a width stacks upon its neighbour, which then reads as another. */
	if (escape_is_dangerous(code) || code_width(code) <= 0)
		snprintf(piece, 16, "\\u{%x}", code);
	else if (code == '\\')
		strcpy(piece, "\\\\");
	else
		snprintf(piece, 16, "%.*s", (int)used, (const char *)bytes);
	return used;
}

size_t escape_terminal(char *out, size_t size, const uint8_t *bytes, size_t len, bool utf8)
{
	size_t written = 0;
	char piece[16];

	if (!size)
		return 0;
	for (size_t i = 0; i < len;) {
		size_t piece_len;

		if (bytes[i] >= 0x20 && bytes[i] < 0x7f && bytes[i] != '\\') {
			if (written + 1 >= size)
				break;
			out[written++] = (char)bytes[i++];
			continue;
		}
		i += terminal_piece(piece, bytes + i, len - i, utf8);
		piece_len = strlen(piece);
		if (written + piece_len >= size)
			break;
		memcpy(out + written, piece, piece_len);
		written += piece_len;
	}
	out[written] = '\0';
	return written;
}

size_t escape_fit(const char *text, int columns, int *ret_width)
{
	const uint8_t *bytes = (const uint8_t *)text;
	size_t len = strlen(text), at = 0;
	int width = 0;

	while (at < len) {
		uint32_t code;
		size_t used = escape_decode(bytes + at, len - at, &code);
		int columns_used = used ? code_width(code) : 1;

		if (columns_used < 0)
			columns_used = 1;
		if (width + columns_used > columns)
			break;
		width += columns_used;
		at += used ? used : 1;
	}
	*ret_width = width;
	return at;
}

int escape_width(const char *text)
{
	int width;

	escape_fit(text, 1 << 20, &width);
	return width;
}
