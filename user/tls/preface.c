/* SPDX-License-Identifier: BSD-2-Clause */
#include "tls/preface.h"

#include <stdbool.h>
#include <string.h>

#define PREFACE_JUDGED 16 /* a version 2 PROXY header's fixed part; every other sign is shorter */

/* haproxy's proxy-protocol.txt section 2.2, of which the first five bytes are nothing else's. */
static const uint8_t proxy_v2_signature[12] = "\r\n\r\n\0\r\nQUIT\n";
#define PROXY_V2_TELLING 5

/* What comes first in text: a whole word, so that it ends with the bytes, a space or a line. */
static const struct {
	const char *word;
	enum preface preface;
} words[] = {
	{"GET", PREFACE_HTTP},	   {"HEAD", PREFACE_HTTP},     {"POST", PREFACE_HTTP},
	{"PUT", PREFACE_HTTP},	   {"DELETE", PREFACE_HTTP},   {"OPTIONS", PREFACE_HTTP},
	{"CONNECT", PREFACE_HTTP}, {"TRACE", PREFACE_HTTP},    {"PATCH", PREFACE_HTTP},
	{"PRI", PREFACE_HTTP},	   {"PROPFIND", PREFACE_HTTP}, {"PROPPATCH", PREFACE_HTTP},
	{"MKCOL", PREFACE_HTTP},   {"COPY", PREFACE_HTTP},     {"MOVE", PREFACE_HTTP},
	{"LOCK", PREFACE_HTTP},	   {"UNLOCK", PREFACE_HTTP},   {"REPORT", PREFACE_HTTP},
	{"SEARCH", PREFACE_HTTP},  {"PURGE", PREFACE_HTTP},    {"PROXY", PREFACE_PROXY_V1},
	{"HELO", PREFACE_SMTP},	   {"EHLO", PREFACE_SMTP},     {"220", PREFACE_SMTP},
	{"+OK", PREFACE_POP3},	   {"*", PREFACE_IMAP},
};

/* What comes first in text, whatever follows. */
static const struct {
	const char *beginning;
	enum preface preface;
} beginnings[] = {
	{"HTTP/", PREFACE_HTTP_ANSWER},
	{"SSH-", PREFACE_SSH},
	{"220-", PREFACE_SMTP}, /* RFC 5321 section 4.2.1: a greeting of several lines */
};

static bool is_text(const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		bool printable = bytes[i] >= 0x20 && bytes[i] <= 0x7e;

		if (!printable && bytes[i] != '\t' && bytes[i] != '\r' && bytes[i] != '\n')
			return false;
	}
	return true;
}

static bool begins(const uint8_t *bytes, size_t len, const char *text)
{
	size_t n = strlen(text);

	return len >= n && !memcmp(bytes, text, n);
}

static bool begins_with_word(const uint8_t *bytes, size_t len, const char *word)
{
	size_t n = strlen(word);

	return begins(bytes, len, word) &&
	       (len == n || bytes[n] == ' ' || bytes[n] == '\r' || bytes[n] == '\n');
}

static enum preface preface_of_text(const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (begins_with_word(bytes, len, words[i].word))
			return words[i].preface;
	for (size_t i = 0; i < sizeof(beginnings) / sizeof(beginnings[0]); i++)
		if (begins(bytes, len, beginnings[i].beginning))
			return beginnings[i].preface;
	return PREFACE_TEXT;
}

static bool is_proxy_v2(const uint8_t *bytes, size_t len)
{
	size_t n = len < sizeof(proxy_v2_signature) ? len : sizeof(proxy_v2_signature);

	return n >= PROXY_V2_TELLING && !memcmp(bytes, proxy_v2_signature, n);
}

enum preface preface_of(const uint8_t *bytes, size_t len)
{
	if (!len)
		return PREFACE_NONE;
	if (len > PREFACE_JUDGED)
		len = PREFACE_JUDGED;
	/* Content types 20 to 23, then a major version of 3. */
	if (bytes[0] >= 20 && bytes[0] <= 23 && (len < 2 || bytes[1] == 3))
		return PREFACE_TLS;
	if ((bytes[0] & 0x80) && len >= 3 && bytes[2] == 1)
		return PREFACE_SSLV2;
	if (is_proxy_v2(bytes, len))
		return PREFACE_PROXY_V2;
	if (len >= 2 && bytes[0] == 3 && bytes[1] == 0)
		return PREFACE_RDP;
	return is_text(bytes, len) ? preface_of_text(bytes, len) : PREFACE_BINARY;
}

const char *preface_describe(enum preface preface)
{
	static const char *const descriptions[] = {
		[PREFACE_NONE] = "nothing",
		[PREFACE_TLS] = "a TLS record",
		[PREFACE_SSLV2] = "an SSLv2-style hello",
		[PREFACE_HTTP] = "an HTTP request",
		[PREFACE_HTTP_ANSWER] = "an HTTP response",
		[PREFACE_PROXY_V1] = "a PROXY protocol header",
		[PREFACE_PROXY_V2] = "a PROXY protocol header (version 2)",
		[PREFACE_SSH] = "an SSH banner",
		[PREFACE_SMTP] = "an SMTP greeting",
		[PREFACE_POP3] = "a POP3 greeting",
		[PREFACE_IMAP] = "an IMAP greeting",
		[PREFACE_RDP] = "an RDP connection request",
		[PREFACE_TEXT] = "text of an unknown protocol",
		[PREFACE_BINARY] = "bytes of an unknown protocol",
	};

	if ((unsigned int)preface >= sizeof(descriptions) / sizeof(descriptions[0]))
		preface = PREFACE_BINARY;
	return descriptions[preface];
}
