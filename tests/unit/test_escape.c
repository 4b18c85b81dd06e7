/* SPDX-License-Identifier: BSD-2-Clause */
#include <criterion/criterion.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>

#include "output/escape.h"

static void json_is(const char *bytes, size_t len, const char *expected)
{
	char out[512];
	size_t used = escape_json(out, (const uint8_t *)bytes, len);

	cr_assert_lt(used, sizeof(out));
	out[used] = '\0';
	cr_assert_str_eq(out, expected);
}

#define JSON_IS(bytes, expected) json_is(bytes, sizeof(bytes) - 1, expected)

Test(escape, json_plain_text_is_kept)
{
	JSON_IS("api.example.test", "api.example.test");
	JSON_IS("", "");
	JSON_IS("12345678", "12345678");
	JSON_IS("gr\xc3\xbc\xc3\x9f.test", "gr\xc3\xbc\xc3\x9f.test");
	JSON_IS("\xf0\x9f\x94\x92", "\xf0\x9f\x94\x92");
}

/* Long enough for the path that takes eight bytes at once, with the odd one at every place of it.
 */
Test(escape, json_finds_the_odd_byte_in_every_place)
{
	static const char odd[] = {'"', '\\', 0x1f, 0x7f, '\0', '\n'};
	static const char *const escaped[] = {"\\\"",	 "\\\\",    "\\u001f",
					      "\\u007f", "\\u0000", "\\u000a"};

	for (size_t which = 0; which < sizeof(odd); which++) {
		for (size_t at = 0; at < 16; at++) {
			char text[16], expected[64];

			memset(text, 'a', sizeof(text));
			text[at] = odd[which];
			snprintf(expected, sizeof(expected), "%.*s%s%.*s", (int)at,
				 "aaaaaaaaaaaaaaaa", escaped[which], (int)(15 - at),
				 "aaaaaaaaaaaaaaaa");
			json_is(text, sizeof(text), expected);
		}
	}
}

Test(escape, json_every_plain_byte_is_kept)
{
	for (int c = 0x20; c < 0x7f; c++) {
		char text[8], expected[9] = "";

		if (c == '"' || c == '\\')
			continue;
		memset(text, c, sizeof(text));
		memset(expected, c, sizeof(text));
		json_is(text, sizeof(text), expected);
	}
}

Test(escape, json_invalid_bytes)
{
	JSON_IS("\xff", "\\u00ff");
	JSON_IS("\x80", "\\u0080");
	JSON_IS("\xc0\xaf", "\\u00c0\\u00af");			     /* overlong */
	JSON_IS("\xe0\x80\xaf", "\\u00e0\\u0080\\u00af");	     /* overlong */
	JSON_IS("\xed\xa0\x80", "\\u00ed\\u00a0\\u0080");	     /* a surrogate */
	JSON_IS("\xf4\x90\x80\x80", "\\u00f4\\u0090\\u0080\\u0080"); /* beyond U+10FFFF */
	JSON_IS("a\xc3", "a\\u00c3");				     /* cut short */
	JSON_IS("a\xc3(", "a\\u00c3(");
}

Test(escape, json_dangerous_characters)
{
	JSON_IS("\xc2\x85", "\\u0085"); /* C1 */
	JSON_IS("\xe2\x80\xa8\xe2\x80\xa9", "\\u2028\\u2029");
	JSON_IS("\xe2\x80\xae", "\\u202e"); /* right-to-left override */
	JSON_IS("\xe2\x81\xa6", "\\u2066"); /* isolate */
	JSON_IS("\xe2\x80\x8b", "\\u200b"); /* zero width */
	JSON_IS("\xef\xbb\xbf", "\\ufeff");
	JSON_IS("\xf3\xa0\x80\x81", "\\udb40\\udc01"); /* a tag */
}

static void terminal_is(bool utf8, const char *bytes, size_t len, const char *expected)
{
	char out[512];
	size_t used = escape_terminal(out, sizeof(out), (const uint8_t *)bytes, len, utf8);

	cr_assert_str_eq(out, expected);
	cr_assert_eq(used, strlen(expected));
}

#define TERMINAL_IS(utf8, bytes, expected) terminal_is(utf8, bytes, sizeof(bytes) - 1, expected)

Test(escape, terminal_utf8)
{
	cr_assert(setlocale(LC_ALL, "C.UTF-8"));
	TERMINAL_IS(true, "shop.test", "shop.test");
	TERMINAL_IS(true, "gr\xc3\xbcn", "gr\xc3\xbcn");
	TERMINAL_IS(true, "\033[2J", "\\x1b[2J");
	TERMINAL_IS(true, "a\0b", "a\\x00b");
	TERMINAL_IS(true, "\x7f", "\\x7f");
	TERMINAL_IS(true,
		    "\xc2\x9b"
		    "31m",
		    "\\u{9b}31m"); /* C1's CSI */
	TERMINAL_IS(true, "\xe2\x80\xae", "\\u{202e}");
	TERMINAL_IS(true, "e\xcc\x81", "e\\u{301}"); /* a combining mark */
	TERMINAL_IS(true, "\xff\\", "\\xff\\\\");
}

Test(escape, terminal_ascii)
{
	cr_assert(setlocale(LC_ALL, "C"));
	TERMINAL_IS(false, "gr\xc3\xbcn", "gr\\xc3\\xbcn");
	TERMINAL_IS(false, "\xc2\x9b", "\\xc2\\x9b");
}

Test(escape, terminal_never_writes_a_control_byte)
{
	cr_assert(setlocale(LC_ALL, "C.UTF-8"));
	for (int first = 0; first < 256; first++) {
		for (int second = 0; second < 256; second++) {
			uint8_t bytes[2] = {(uint8_t)first, (uint8_t)second};
			char out[64];
			size_t len = escape_terminal(out, sizeof(out), bytes, 2, true);

			for (size_t i = 0; i < len; i++)
				cr_assert((uint8_t)out[i] >= 0x20 && out[i] != 0x7f);
			/* C1 as UTF-8 is c2 80 to c2 9f. */
			for (size_t i = 0; i + 1 < len; i++)
				cr_assert(!((uint8_t)out[i] == 0xc2 && (uint8_t)out[i + 1] < 0xa0));
		}
	}
}

Test(escape, terminal_cuts_between_characters)
{
	char out[6];

	cr_assert(setlocale(LC_ALL, "C.UTF-8"));
	cr_assert_eq(escape_terminal(out, sizeof(out),
				     (const uint8_t *)"ab\x01"
						      "c",
				     4, true),
		     2);
	cr_assert_str_eq(out, "ab");
	cr_assert_eq(escape_terminal(out, 4, (const uint8_t *)"ab\xc3\xbc", 4, true), 2);
	cr_assert_str_eq(out, "ab");
	cr_assert_eq(escape_terminal(out, 0, (const uint8_t *)"ab", 2, true), 0);
}

Test(escape, width_counts_columns)
{
	int width;

	cr_assert(setlocale(LC_ALL, "C.UTF-8"));
	cr_assert_eq(escape_width("abc"), 3);
	cr_assert_eq(escape_width("\xc3\xbc"), 1);
	cr_assert_eq(escape_width("\xe6\xbc\xa2"), 2); /* 漢 */
	cr_assert_eq(escape_fit("a\xe6\xbc\xa2"
				"b",
				2, &width),
		     1);
	cr_assert_eq(width, 1);
	cr_assert_eq(escape_fit("a\xe6\xbc\xa2"
				"b",
				3, &width),
		     4);
	cr_assert_eq(width, 3);
}
