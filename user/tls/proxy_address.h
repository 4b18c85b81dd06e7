/* SPDX-License-Identifier: BSD-2-Clause */
/* Addresses as a PROXY header writes them: read, and cut to their network without a change of
 * length. Leading zeros are read, because cutting 192.0.2.17 leaves 192.0.2.00. */
#ifndef TLSWHY_TLS_PROXY_ADDRESS_H
#define TLSWHY_TLS_PROXY_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "tls/span.h"

bool proxy_address_parse4(struct span text, uint8_t address[static 4]);
bool proxy_address_parse6(struct span text, uint8_t address[static 16]); /* RFC 4291 section 2.2 */

/* To /24 or /48, an IPv4-mapped one to its IPv4 /24; text that is no address is blanked. */
void proxy_address_cut(uint8_t *text, size_t len);

/* The same in binary; `have` of its address_len bytes (4 or 16) are there. */
void proxy_address_cut_bytes(uint8_t *address, size_t address_len, size_t have);

/* Every letter and digit becomes 0. */
void proxy_address_blank(uint8_t *text, size_t len);

#endif
