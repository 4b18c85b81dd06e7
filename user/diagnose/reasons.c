/* SPDX-License-Identifier: BSD-2-Clause */
#include "diagnose/reasons.h"

#include <stdlib.h>
#include <string.h>

static const struct reason reasons[] = {
#define A0                                                                                         \
	{                                                                                          \
		0, 0                                                                               \
	}
#define A1(alert)                                                                                  \
	{                                                                                          \
		alert, 0                                                                           \
	}
#define A2(alert, other)                                                                           \
	{                                                                                          \
		alert, other                                                                       \
	}
#define AX                                                                                         \
	{                                                                                          \
		0, 0                                                                               \
	}
#define REASON(number, text, alerts, client, upstream)                                             \
	{number, text, alerts, CAUSE_##client, CAUSE_##upstream},
#include "diagnose/reasons.def"
#undef REASON
#undef A0
#undef A1
#undef A2
#undef AX
};

static int compare(const void *key, const void *row)
{
	unsigned number = *(const unsigned *)key, at = ((const struct reason *)row)->number;

	return (number > at) - (number < at);
}

const struct reason *reason_find(unsigned number)
{
	return bsearch(&number, reasons, sizeof(reasons) / sizeof(*reasons), sizeof(*reasons),
		       compare);
}

int reason_alert_sent(unsigned number)
{
	const struct reason *reason = reason_find(number);

	if (!reason || !reason->alerts[0] || reason->alerts[1])
		return -1;
	return reason->alerts[0];
}

/* "error:CODE:library:function:reason": the start of part n (from 0), NULL if there are fewer. */
static const char *text_part(const char *text, int n)
{
	for (; text && n > 0; n--) {
		text = strchr(text, ':');
		text = text ? text + 1 : NULL;
	}
	return text;
}

const char *error_reason_text(const char *text)
{
	if (!text || strncmp(text, "error:", 6))
		return NULL;
	return text_part(text, 4);
}

static bool packed_as_111(uint64_t code, const char *text)
{
	if (error_reason_text(text))
		return *text_part(text, 3) != ':';
	/* No text: 0x14 is 1.1.1's library byte of libssl, in 3.x it would be library 40 (UI). */
	return code >> 24 == OPENSSL_LIB_SSL;
}

struct error_parts error_parts(uint64_t code, const char *text)
{
	struct error_parts parts = {0};

	if (packed_as_111(code, text)) {
		/* ERR_PACK of 1.1.1: library 8 bits, function 12, reason 12; ERR_LIB_SYS is 2. */
		parts.library = code >> 24 & 0xff;
		parts.reason = code & 0xfff;
		parts.system = parts.library == 2;
	} else if (code & 0x80000000) {
		/* ERR_SYSTEM_FLAG. */
		parts.reason = code & 0x7fffffff;
		parts.system = true;
	} else {
		/* ERR_LIB_OFFSET, ERR_REASON_MASK. */
		parts.library = code >> 23 & 0xff;
		parts.reason = code & 0x7fffff;
	}
	return parts;
}

int error_ssl_reason(uint64_t code, const char *text)
{
	struct error_parts parts = error_parts(code, text);

	if (parts.system || parts.library != OPENSSL_LIB_SSL)
		return -1;
	return (int)(parts.reason & 0x3ffff); /* without ERR_RFLAGS */
}
