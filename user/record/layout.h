/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bytes of a recording:
 *
 *   struct layout_preamble   32 bytes
 *   facts                    facts_len bytes of "key=value\n"; filled up with "\n" to 8 bytes
 *   events                   struct event, header.size bytes each, until the end of the file
 *
 * In the byte order of the machine that wrote it. Every event is a multiple of 8 bytes long, so
 * that a reader can use it where it lies. In a value \n is "\\n" and \ is "\\\\"; a key that the
 * reader does not know is skipped, so that a newer tlswhy may add facts without a new format.
 */
#ifndef TLSWHY_RECORD_LAYOUT_H
#define TLSWHY_RECORD_LAYOUT_H

#include <stdint.h>

#define LAYOUT_MAGIC "tlswhy\r\n" /* \r\n: a transfer in text mode shows at once */
#define LAYOUT_MAGIC_LEN 8
#define LAYOUT_BYTE_ORDER UINT32_C(0x01020304)
#define LAYOUT_FORMAT UINT32_C(1)

struct layout_preamble {
	char magic[LAYOUT_MAGIC_LEN];
	uint32_t byte_order;
	uint32_t format;
	int64_t realtime_offset_ns;
	uint32_t facts_len;
	uint32_t reserved; /* 0 */
};

_Static_assert(sizeof(struct layout_preamble) == 32, "the preamble's size is in every recording");

/* A handful of paths (PATH_MAX each) and names of probes. */
#define LAYOUT_FACTS_MAX (256 * 1024)

#endif
