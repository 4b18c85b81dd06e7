/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads numbers and length-prefixed vectors (RFC 8446 section 3.4) off the front of a span.
 *
 * Each function says whether the bytes were there; one that says no has taken nothing. For this
 * room's parsers only.
 */
#ifndef TLSWHY_TLS_READER_H
#define TLSWHY_TLS_READER_H

#include <stdbool.h>
#include <stdint.h>

#include "tls/span.h"

static inline struct span span_of(const uint8_t *at, size_t len)
{
	return (struct span){ .at = at, .len = len };
}

static inline bool read_bytes(struct span *from, size_t len, struct span *ret)
{
	if (from->len < len)
		return false;
	*ret = span_of(from->at, len);
	from->at += len;
	from->len -= len;
	return true;
}

/* A big-endian number of 1 to 4 bytes. */
static inline bool read_number(struct span *from, size_t width, uint32_t *ret)
{
	uint32_t number = 0;

	if (from->len < width)
		return false;
	for (size_t i = 0; i < width; i++)
		number = number << 8 | from->at[i];
	from->at += width;
	from->len -= width;
	*ret = number;
	return true;
}

static inline bool read_u8(struct span *from, uint8_t *ret)
{
	uint32_t number;

	if (!read_number(from, 1, &number))
		return false;
	*ret = (uint8_t)number;
	return true;
}

static inline bool read_u16(struct span *from, uint16_t *ret)
{
	uint32_t number;

	if (!read_number(from, 2, &number))
		return false;
	*ret = (uint16_t)number;
	return true;
}

/* opaque ret<0..2^(8*width)-1>: its length in `width` bytes, then that many. */
static inline bool read_vector(struct span *from, size_t width, struct span *ret)
{
	struct span rest = *from;
	uint32_t len;

	if (!read_number(&rest, width, &len) || !read_bytes(&rest, len, ret))
		return false;
	*from = rest;
	return true;
}

#endif
