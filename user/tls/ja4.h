/* SPDX-License-Identifier: BSD-2-Clause */
/* JA4 fingerprint of a ClientHello over TCP or QUIC (FoxIO's JA4, BSD-licensed part of JA4+). */
#ifndef TLSWHY_TLS_JA4_H
#define TLSWHY_TLS_JA4_H

#include "tls/hello.h"

#define JA4_SIZE 37 /* t13d1516h2_8daaf6152771_e5627efa2ab1 and a NUL */

/* transport: 't' or 'q'. Writes a NUL-terminated fingerprint. */
void ja4_fingerprint(const struct client_hello *hello, char transport, char out[static JA4_SIZE]);

#endif
