/* SPDX-License-Identifier: BSD-2-Clause */
/* OpenSSL error codes: how they are packed, and what libssl's reasons mean. */
#ifndef TLSWHY_DIAGNOSE_REASONS_H
#define TLSWHY_DIAGNOSE_REASONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "diagnose/causes.h"

#define OPENSSL_LIB_SSL 20 /* ERR_LIB_SSL, in every version */

struct reason {
	uint16_t number;
	const char *text;  /* as OpenSSL 3.0 says it */
	uint8_t alerts[2]; /* that OpenSSL sends with it; 0 ends the list */
	enum cause_number client_cause, upstream_cause; /* CAUSE_NONE: not decided by the reason */
};

/* A libssl reason, without 3.x's flag bits; NULL: unknown. */
const struct reason *reason_find(unsigned number);

/* The alert OpenSSL sends when it raises this reason; -1: none, several or unknown. */
int reason_alert_sent(unsigned number);

struct error_parts {
	unsigned library; /* 0 for a system error of 3.x */
	unsigned reason;  /* ERR_GET_REASON: in 3.x with its flag bits 18 to 22 */
	bool system;	  /* the reason is an errno */
};

/* Unpacks by the version that the text betrays: 1.1.1 writes a function's name between library and
 * reason, 3.x nothing. text may be NULL; then the library byte of libssl decides, else 3.x. */
struct error_parts error_parts(uint64_t code, const char *text);

/* The part of ERR_error_string_n's text behind library and function, into text itself; NULL where
 * it has not that form. */
const char *error_reason_text(const char *text);

/* The number in reasons.def where this is libssl's, else -1. */
int error_ssl_reason(uint64_t code, const char *text);

#endif
