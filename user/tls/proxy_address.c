/* SPDX-License-Identifier: BSD-2-Clause */
#include "tls/proxy_address.h"

#include <string.h>

#define GROUPS 8 /* of an IPv6 address */
#define GROUP_LEN_MAX 4

/* A group of hex digits of an IPv6 address, or the dotted IPv4 that stands for its last two. */
struct group {
	size_t at, len; /* in the text */
	uint8_t index;	/* 0 to 7 */
	bool dotted;
};

struct address6 {
	struct group groups[GROUPS];
	size_t count;
	uint8_t bytes[16];
};

static int hex_value(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool proxy_address_parse4(struct span text, uint8_t address[static 4])
{
	size_t at = 0;

	for (int i = 0; i < 4; i++) {
		unsigned int value = 0;
		size_t digits = 0;

		if (i && (at >= text.len || text.at[at++] != '.'))
			return false;
		while (at < text.len && text.at[at] >= '0' && text.at[at] <= '9' && digits < 4) {
			value = value * 10 + (unsigned int)(text.at[at++] - '0');
			digits++;
		}
		if (!digits || digits > 3 || value > 255)
			return false;
		address[i] = (uint8_t)value;
	}
	return at == text.len;
}

static size_t group_len(struct span text, size_t at)
{
	size_t len = 0;

	while (at + len < text.len && text.at[at + len] != ':')
		len++;
	return len;
}

/* Writes the group's two bytes (four when dotted) at `to`; returns how many, 0 if it is none. */
static size_t group_parse(struct span text, struct group *group, uint8_t *to, size_t room)
{
	struct span own = {.at = text.at + group->at, .len = group->len};
	unsigned int value = 0;

	group->dotted = memchr(own.at, '.', own.len) != NULL;
	if (group->dotted)
		return room >= 4 && proxy_address_parse4(own, to) ? 4 : 0;
	if (!own.len || own.len > GROUP_LEN_MAX || room < 2)
		return 0;
	for (size_t i = 0; i < own.len; i++) {
		int digit = hex_value(own.at[i]);

		if (digit < 0)
			return 0;
		value = value << 4 | (unsigned int)digit;
	}
	to[0] = (uint8_t)(value >> 8);
	to[1] = (uint8_t)value;
	return 2;
}

/* Moves what stands behind "::" to the end. */
static void gap_open(struct address6 *address, size_t gap, size_t gap_group, size_t have)
{
	size_t shift = sizeof(address->bytes) - have;

	memmove(address->bytes + gap + shift, address->bytes + gap, have - gap);
	memset(address->bytes + gap, 0, shift);
	for (size_t i = gap_group; i < address->count; i++)
		address->groups[i].index = (uint8_t)(address->groups[i].index + shift / 2);
}

static bool address6_parse(struct span text, struct address6 *address)
{
	size_t at = 0, have = 0, gap = 0, gap_group = 0;
	bool has_gap = false;

	memset(address, 0, sizeof(*address));
	if (text.len >= 2 && text.at[0] == ':' && text.at[1] == ':') {
		has_gap = true;
		at = 2;
	}
	while (at < text.len) {
		struct group *group = &address->groups[address->count];
		size_t size;

		if (address->count == GROUPS)
			return false;
		*group = (struct group){
			.at = at, .len = group_len(text, at), .index = (uint8_t)(have / 2)};
		size = group_parse(text, group, address->bytes + have,
				   sizeof(address->bytes) - have);
		if (!size)
			return false;
		have += size;
		address->count++;
		at += group->len;
		if (at == text.len)
			break;
		if (group->dotted || ++at == text.len)
			return false;
		if (text.at[at] == ':') {
			if (has_gap)
				return false;
			has_gap = true;
			gap = have;
			gap_group = address->count;
			at++;
		}
	}
	/* "::" stands for at least one group. */
	if (has_gap ? have > sizeof(address->bytes) - 2 : have != sizeof(address->bytes))
		return false;
	if (has_gap)
		gap_open(address, gap, gap_group, have);
	return true;
}

bool proxy_address_parse6(struct span text, uint8_t address[static 16])
{
	struct address6 parsed;

	if (!address6_parse(text, &parsed))
		return false;
	memcpy(address, parsed.bytes, sizeof(parsed.bytes));
	return true;
}

void proxy_address_blank(uint8_t *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'z') ||
		    (text[i] >= 'A' && text[i] <= 'Z'))
			text[i] = '0';
}

static bool is_mapped(const uint8_t address[static 16])
{
	static const uint8_t prefix[12] = {[10] = 0xff, [11] = 0xff};

	return !memcmp(address, prefix, sizeof(prefix));
}

/* The digits behind the last dot. */
static void last_octet_cut(uint8_t *text, size_t len)
{
	while (len && text[len - 1] != '.')
		text[--len] = '0';
}

static void group_cut(uint8_t *text, const struct group *group, bool mapped)
{
	uint8_t *own = text + group->at;

	if (!mapped) {
		if (group->index >= 3)
			proxy_address_blank(own, group->len);
	} else if (group->dotted) {
		last_octet_cut(own, group->len);
	} else if (group->index == GROUPS - 1) {
		size_t keep = group->len > 2 ? group->len - 2 : 0;

		proxy_address_blank(own + keep, group->len - keep);
	}
}

void proxy_address_cut(uint8_t *text, size_t len)
{
	struct span span = {.at = text, .len = len};
	struct address6 parsed;
	uint8_t four[4];

	if (proxy_address_parse4(span, four)) {
		last_octet_cut(text, len);
	} else if (address6_parse(span, &parsed)) {
		for (size_t i = 0; i < parsed.count; i++)
			group_cut(text, &parsed.groups[i], is_mapped(parsed.bytes));
	} else {
		proxy_address_blank(text, len);
	}
}

void proxy_address_cut_bytes(uint8_t *address, size_t address_len, size_t have)
{
	size_t keep = address_len == 4 ? 3 : 6;

	if (address_len == 16 && have >= 12 && is_mapped(address))
		keep = 15;
	for (size_t i = keep; i < address_len && i < have; i++)
		address[i] = 0;
}
