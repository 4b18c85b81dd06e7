/* SPDX-License-Identifier: BSD-2-Clause */
/* The PROXY protocol, versions 1 and 2 (haproxy's proxy-protocol.txt, sections 2.1 and 2.2). */
#ifndef TLSWHY_TLS_PROXY_H
#define TLSWHY_TLS_PROXY_H

#include <stdbool.h>
#include <stdint.h>

#include "tls/span.h"

struct proxy_header {
	uint8_t version; /* 1 or 2 */
	bool known; /* false: UNKNOWN, LOCAL or AF_UNSPEC; the addresses below are then unset */
	uint16_t family; /* AF_INET, AF_INET6 */
	uint8_t source[16], destination[16]; /* IPv4 in the first four bytes */
	uint16_t source_port, destination_port;
	size_t len; /* of the header, its end included */
};

/* 0; -ENOENT: these bytes are not the beginning of a PROXY header; -EAGAIN: a good beginning, cut
 * short; -EBADMSG: a PROXY header that is broken. */
int proxy_header_parse(struct proxy_header *header, const uint8_t *bytes, size_t len);

/* Cuts the addresses in a header's own bytes to /24 and /48, in place, its length unchanged. */
void proxy_header_anonymize(uint8_t *bytes, size_t len);

#endif
