/* SPDX-License-Identifier: BSD-2-Clause */
#include <criterion/criterion.h>
#include <string.h>

#include "tls/preface.h"

struct sample {
	const char *bytes;
	size_t len;
	enum preface preface;
};

#define BYTES(text) text, sizeof(text) - 1

static void check(const struct sample *samples, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		enum preface got = preface_of((const uint8_t *)samples[i].bytes, samples[i].len);

		cr_assert_eq(got, samples[i].preface, "sample %zu \"%.16s\": %d, not %d", i,
			     samples[i].bytes, got, samples[i].preface);
	}
}

Test(preface, tls_and_its_beginnings)
{
	static const struct sample samples[] = {
		{BYTES(""), PREFACE_NONE},
		{BYTES("\x16"), PREFACE_TLS},
		{BYTES("\x16\x03"), PREFACE_TLS},
		{BYTES("\x16\x03\x01\x02\x00\x01"), PREFACE_TLS},
		{BYTES("\x15\x03\x03\x00\x02\x02\x28"), PREFACE_TLS},
		{BYTES("\x16\x09\x01\x02\x00"), PREFACE_BINARY},
		{BYTES("\x80\x2b\x01\x03\x01"), PREFACE_SSLV2},
		{BYTES("\x80\x2b"), PREFACE_BINARY},
		{BYTES("\x80\x2b\x02\x03\x01"), PREFACE_BINARY},
	};

	check(samples, sizeof(samples) / sizeof(samples[0]));
}

Test(preface, http)
{
	static const struct sample samples[] = {
		{BYTES("GET / HTTP/1.1\r\n"), PREFACE_HTTP},
		{BYTES("GET"), PREFACE_HTTP},
		{BYTES("POST "), PREFACE_HTTP},
		{BYTES("PRI * HTTP/2.0\r\n\r\nSM"), PREFACE_HTTP},
		{BYTES("CONNECT a:443 HTTP/1.1\r\n"), PREFACE_HTTP},
		{BYTES("HTTP/1.1 400 Bad Request"), PREFACE_HTTP_ANSWER},
		{BYTES("HTTP/1.0"), PREFACE_HTTP_ANSWER},
		{BYTES("GETTING"), PREFACE_TEXT},
		{BYTES("get / HTTP/1.1"), PREFACE_TEXT},
	};

	check(samples, sizeof(samples) / sizeof(samples[0]));
}

Test(preface, other_protocols)
{
	static const struct sample samples[] = {
		{BYTES("PROXY TCP4 127.0.0.1"), PREFACE_PROXY_V1},
		{BYTES("PROXY"), PREFACE_PROXY_V1},
		{BYTES("\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"), PREFACE_PROXY_V2},
		{BYTES("\r\n\r\n\0"), PREFACE_PROXY_V2},
		{BYTES("\r\n\r\n"), PREFACE_TEXT},
		{BYTES("\r\n\r\n\0\r\nQUOT\n"), PREFACE_BINARY},
		{BYTES("SSH-2.0-OpenSSH"), PREFACE_SSH},
		{BYTES("EHLO client"), PREFACE_SMTP},
		{BYTES("HELO"), PREFACE_SMTP},
		{BYTES("220 mail ESMTP"), PREFACE_SMTP},
		{BYTES("220-mail ESMTP"), PREFACE_SMTP},
		{BYTES("220"), PREFACE_SMTP},
		{BYTES("2200"), PREFACE_TEXT},
		{BYTES("+OK POP3 ready"), PREFACE_POP3},
		{BYTES("* OK IMAP4"), PREFACE_IMAP},
		{BYTES("*"), PREFACE_IMAP},
		{BYTES("\x03\x00\x00\x13\x0e\xe0"), PREFACE_RDP},
	};

	check(samples, sizeof(samples) / sizeof(samples[0]));
}

Test(preface, unknown_ones)
{
	static const struct sample samples[] = {
		{BYTES("hello there\r\n"), PREFACE_TEXT},
		{BYTES("\t"), PREFACE_TEXT},
		{BYTES("text\0text"), PREFACE_BINARY},
		{BYTES("\x03"), PREFACE_BINARY},
		{BYTES("caf\xc3\xa9"), PREFACE_BINARY},
		{BYTES("\x1b[2J"), PREFACE_BINARY},
		/* Only the first sixteen bytes are judged. */
		{BYTES("0123456789abcdef\0"), PREFACE_TEXT},
	};

	check(samples, sizeof(samples) / sizeof(samples[0]));
}

Test(preface, described_for_a_sentence)
{
	cr_assert_str_eq(preface_describe(PREFACE_HTTP), "an HTTP request");
	cr_assert_str_eq(preface_describe(PREFACE_SSH), "an SSH banner");
	for (int i = PREFACE_NONE; i <= PREFACE_BINARY; i++) {
		const char *text = preface_describe((enum preface)i);

		cr_assert_not_null(text);
		for (int j = PREFACE_NONE; j < i; j++)
			cr_assert_str_neq(text, preface_describe((enum preface)j));
	}
	cr_assert_not_null(preface_describe((enum preface)99));
}
