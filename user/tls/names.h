/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * IANA's names of TLS code points: one table each, sorted by number.
 *
 * Each name_* function returns a static string, or NULL for a number that the table does not have.
 */
#ifndef TLSWHY_TLS_NAMES_H
#define TLSWHY_TLS_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

const char *name_version(uint16_t version); /* as nginx writes it: "TLSv1.3", "SSLv3" */
const char *name_cipher(uint16_t cipher); /* "TLS_AES_128_GCM_SHA256" */
const char *name_group(uint16_t group); /* "x25519", "secp256r1", "X25519MLKEM768" */
const char *name_signature_scheme(uint16_t scheme); /* "rsa_pss_rsae_sha256" */
const char *name_alert(uint8_t alert); /* "unknown_ca" */

/* OpenSSL's name of a cipher, as ssl_ciphers takes it: "ECDHE-RSA-AES128-GCM-SHA256". */
const char *name_cipher_openssl(uint16_t cipher);

/* RFC 8701: 0x?A?A with equal bytes. */
bool name_is_grease(uint16_t value);

/* The name, or "0xNNNN" written into buf (at least 8 bytes). Never NULL. */
const char *name_or_hex(const char *name, uint16_t value, char *buf, size_t size);

#endif
