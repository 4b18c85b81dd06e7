/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/address.h"

#include <netinet/in.h>
#include <string.h>

static char *put_decimal(char *out, unsigned value)
{
	if (value >= 100)
		*out++ = (char)('0' + value / 100);
	if (value >= 10)
		*out++ = (char)('0' + value / 10 % 10);
	*out++ = (char)('0' + value % 10);
	return out;
}

static char *put_group(char *out, unsigned value)
{
	static const char digits[] = "0123456789abcdef";

	if (value >= 0x1000)
		*out++ = digits[value >> 12];
	if (value >= 0x100)
		*out++ = digits[value >> 8 & 15];
	if (value >= 0x10)
		*out++ = digits[value >> 4 & 15];
	*out++ = digits[value & 15];
	return out;
}

/* RFC 5952 section 4.2: the longest run of zero groups, the first of equals, never a single one. */
static int longest_zeros(const unsigned groups[8], int *ret_len)
{
	int best = -1, best_len = 1;

	for (int i = 0; i < 8; i++) {
		int len = 0;

		while (i + len < 8 && !groups[i + len])
			len++;
		if (len > best_len) {
			best = i;
			best_len = len;
		}
		i += len;
	}
	*ret_len = best_len;
	return best;
}

static char *put_ipv6(char *out, const uint8_t *address)
{
	unsigned groups[8];
	int zeros, zeros_len;

	for (int i = 0; i < 8; i++)
		groups[i] = (unsigned)address[2 * i] << 8 | address[2 * i + 1];
	zeros = longest_zeros(groups, &zeros_len);
	for (int i = 0; i < 8; i++) {
		if (i == zeros) {
			*out++ = ':';
			*out++ = ':';
			i += zeros_len - 1;
			continue;
		}
		if (i > 0 && i != zeros + zeros_len)
			*out++ = ':';
		else if (i > 0 && zeros < 0)
			*out++ = ':';
		out = put_group(out, groups[i]);
	}
	return out;
}

size_t address_text(uint16_t family, const uint8_t *address, char out[static ADDRESS_TEXT])
{
	char *end = out;

	if (family == AF_INET) {
		for (int i = 0; i < 4; i++) {
			if (i > 0)
				*end++ = '.';
			end = put_decimal(end, address[i]);
		}
	} else if (family == AF_INET6) {
		end = put_ipv6(end, address);
	}
	*end = '\0';
	return (size_t)(end - out);
}

void anonymize_address(uint8_t address[static 16], uint16_t family)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	if (family == AF_INET)
		address[3] = 0;
	else if (family == AF_INET6 && !memcmp(address, mapped, sizeof(mapped)))
		address[15] = 0;
	else if (family == AF_INET6)
		memset(address + 6, 0, 10);
}
