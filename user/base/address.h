/* SPDX-License-Identifier: BSD-2-Clause */
/* IP addresses as text, without a C library's socket header: replay formats two for each record. */
#ifndef TLSWHY_BASE_ADDRESS_H
#define TLSWHY_BASE_ADDRESS_H

#include <stddef.h>
#include <stdint.h>

#define ADDRESS_TEXT 40 /* eight groups of four and a NUL */

/* family: AF_INET (four bytes) or AF_INET6 (sixteen), else the text is empty. IPv6 as RFC 5952
 * wants it. NUL-terminated; returns its length. */
size_t address_text(uint16_t family, const uint8_t *address, char out[static ADDRESS_TEXT]);

/* Cut in place to its network: IPv4 to /24, IPv4-mapped IPv6 (RFC 4291 section 2.5.5.2) to the IPv4
 * /24 in it, IPv6 to /48. Any other family is left alone. */
void anonymize_address(uint8_t address[static 16], uint16_t family);

#endif
