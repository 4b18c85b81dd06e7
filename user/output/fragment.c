/* SPDX-License-Identifier: BSD-2-Clause */
#include "output/fragment.h"

#include <netinet/in.h>
#include <stdlib.h>

#include "base/address.h"
#include "output/escape.h"

void fragment_free(struct fragment *fragment)
{
	free(fragment->at);
	*fragment = (struct fragment){0};
}

bool fragment_grow(struct fragment *fragment, size_t more)
{
	size_t room = fragment->room ? fragment->room : 4096;
	char *at;

	while (room - fragment->len < more)
		room *= 2;
	at = realloc(fragment->at, room);
	if (!at) {
		fragment->failed = true;
		return false;
	}
	fragment->at = at;
	fragment->room = room;
	return true;
}

void fragment_unsigned(struct fragment *fragment, uint64_t value)
{
	char digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	fragment_raw(fragment, digits + at, sizeof(digits) - at);
}

void fragment_signed(struct fragment *fragment, int64_t value)
{
	if (value < 0)
		fragment_literal(fragment, "-");
	fragment_unsigned(fragment, value < 0 ? -(uint64_t)value : (uint64_t)value);
}

void fragment_measured(struct fragment *fragment, int64_t value)
{
	if (value < 0)
		fragment_literal(fragment, "null");
	else
		fragment_unsigned(fragment, (uint64_t)value);
}

void fragment_string(struct fragment *fragment, const void *bytes, size_t len)
{
	if (!fragment_reserve(fragment, 6 * len + 2))
		return;
	fragment->at[fragment->len++] = '"';
	fragment->len += escape_json(fragment->at + fragment->len, bytes, len);
	fragment->at[fragment->len++] = '"';
}

void fragment_text(struct fragment *fragment, const char *text)
{
	if (text)
		fragment_string(fragment, text, strlen(text));
	else
		fragment_literal(fragment, "null");
}

void fragment_name(struct fragment *fragment, const char *name)
{
	fragment_literal(fragment, "\"");
	fragment_raw(fragment, name, strlen(name));
	fragment_literal(fragment, "\"");
}

static char *put_digits(char *out, unsigned value, int digits)
{
	for (int i = digits - 1; i >= 0; i--) {
		out[i] = (char)('0' + value % 10);
		value /= 10;
	}
	return out + digits;
}

void fragment_seconds(struct fragment *fragment, double seconds)
{
	uint64_t ms = seconds > 0 ? (uint64_t)(seconds * 1000 + 0.5) : 0;
	char decimals[4] = ".";

	fragment_unsigned(fragment, ms / 1000);
	put_digits(decimals + 1, (unsigned)(ms % 1000), 3);
	fragment_raw(fragment, decimals, sizeof(decimals));
}

/* Howard Hinnant's civil_from_days: the Gregorian calendar without a C library's time zone. */
static char *put_date(char *out, uint64_t days)
{
	uint64_t shifted = days + 719468, era = shifted / 146097;
	unsigned of_era = (unsigned)(shifted % 146097);
	unsigned year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	unsigned of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	unsigned shifted_month = (5 * of_year + 2) / 153;
	unsigned month = shifted_month < 10 ? shifted_month + 3 : shifted_month - 9;

	out = put_digits(out, (unsigned)(year_of_era + era * 400 + (month <= 2)), 4);
	*out++ = '-';
	out = put_digits(out, month, 2);
	*out++ = '-';
	return put_digits(out, of_year - (153 * shifted_month + 2) / 5 + 1, 2);
}

void fragment_time(struct fragment *fragment, uint64_t time_ns)
{
	uint64_t us = time_ns / 1000, seconds = us / 1000000;
	unsigned of_day = (unsigned)(seconds % 86400);
	char text[32], *out = text;

	*out++ = '"';
	out = put_date(out, seconds / 86400);
	*out++ = 'T';
	out = put_digits(out, of_day / 3600, 2);
	*out++ = ':';
	out = put_digits(out, of_day / 60 % 60, 2);
	*out++ = ':';
	out = put_digits(out, of_day % 60, 2);
	*out++ = '.';
	out = put_digits(out, (unsigned)(us % 1000000), 6);
	*out++ = 'Z';
	*out++ = '"';
	fragment_raw(fragment, text, (size_t)(out - text));
}

void fragment_endpoint(struct fragment *fragment, const struct endpoint *endpoint)
{
	char text[ADDRESS_TEXT];

	if (endpoint->family != AF_INET && endpoint->family != AF_INET6) {
		fragment_literal(fragment, "null");
		return;
	}
	fragment_literal(fragment, "{\"address\":\"");
	fragment_raw(fragment, text, address_text(endpoint->family, endpoint->address, text));
	fragment_literal(fragment, "\",\"port\":");
	fragment_unsigned(fragment, endpoint->port);
	fragment_literal(fragment, "}");
}
