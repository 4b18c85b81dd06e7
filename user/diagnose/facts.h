/* SPDX-License-Identifier: BSD-2-Clause */
/* What the rules ask of a record, worked out once. */
#ifndef TLSWHY_DIAGNOSE_FACTS_H
#define TLSWHY_DIAGNOSE_FACTS_H

#include <stdbool.h>
#include <stdint.h>

#include "join/record.h"

#define TLS1_1 0x0302
#define TLS1_2 0x0303
#define TLS1_3 0x0304

/* Alert numbers that decide something (IANA TLS Alerts). */
enum {
	ALERT_CLOSE_NOTIFY = 0,
	ALERT_BAD_RECORD_MAC = 20,
	ALERT_HANDSHAKE_FAILURE = 40,
	ALERT_NO_CERTIFICATE = 41,
	ALERT_BAD_CERTIFICATE = 42,
	ALERT_UNSUPPORTED_CERTIFICATE = 43,
	ALERT_CERTIFICATE_REVOKED = 44,
	ALERT_CERTIFICATE_EXPIRED = 45,
	ALERT_CERTIFICATE_UNKNOWN = 46,
	ALERT_UNKNOWN_CA = 48,
	ALERT_ACCESS_DENIED = 49,
	ALERT_DECODE_ERROR = 50,
	ALERT_PROTOCOL_VERSION = 70,
	ALERT_INSUFFICIENT_SECURITY = 71,
	ALERT_INTERNAL_ERROR = 80,
	ALERT_INAPPROPRIATE_FALLBACK = 86,
	ALERT_USER_CANCELED = 90,
	ALERT_NO_RENEGOTIATION = 100,
	ALERT_MISSING_EXTENSION = 109,
	ALERT_UNRECOGNIZED_NAME = 112,
	ALERT_CERTIFICATE_REQUIRED = 116,
	ALERT_NO_APPLICATION_PROTOCOL = 120,
	ALERT_ECH_REQUIRED = 121,
};

/* Key types, of a certificate or of what a cipher or signature scheme needs. */
enum { KEY_RSA = 1, KEY_ECDSA = 2, KEY_OTHER = 4 };

struct facts {
	const struct record *record;
	const struct client_hello *hello; /* NULL: none seen */
	int reason;			  /* of the first code that libssl raised; -1: none did */
	bool foreign_code;		  /* codes there are, none of them libssl's */
	int alert_sent, alert_received;	  /* the first fatal one; -1: none */
	bool close_notify_received;
	uint16_t min_version, max_version; /* offered; 0 without a hello */
	bool bytes_came;		   /* anything from the peer */
	bool after_handshake; /* a second record: the handshake itself is told by the first */
	bool tls_spoken;      /* both sides spoke TLS: what came before it does not matter */
};

void facts_gather(struct facts *facts, const struct record *record);

/* Of the offered ciphers up to TLS 1.2: KEY_* they authenticate with; 0 where none is offered. */
unsigned facts_cipher_keys(const struct facts *facts);
/* Of the offered signature schemes: KEY_*. */
unsigned facts_signature_keys(const struct facts *facts);
/* Every cipher up to TLS 1.2 that is offered needs an elliptic curve; false where none is offered.
 */
bool facts_only_ecdhe(const struct facts *facts);
bool facts_offers_cipher(const struct facts *facts, uint16_t cipher);
bool facts_offers_group(const struct facts *facts, uint16_t group);

/* Words for a sentence, written into buf and returned. All are printable ASCII. */
#define FACTS_TEXT 200
const char *facts_say_sni(const struct facts *facts, char buf[static FACTS_TEXT]);
const char *facts_say_version(uint16_t version, char buf[static FACTS_TEXT]);
const char *facts_say_versions(const struct facts *facts, char buf[static FACTS_TEXT]);
const char *facts_say_ciphers(const struct facts *facts, char buf[static FACTS_TEXT]);
const char *facts_say_groups(const struct facts *facts, char buf[static FACTS_TEXT]);
const char *facts_say_signatures(const struct facts *facts, char buf[static FACTS_TEXT]);
const char *facts_say_alpn(const struct facts *facts, char buf[static FACTS_TEXT]);
const char *facts_say_alert(int alert, char buf[static FACTS_TEXT]);
const char *facts_say_first_bytes(const struct facts *facts, char buf[static FACTS_TEXT]);
const char *facts_say_error(const struct record_error *error, char buf[static FACTS_TEXT]);
const char *facts_say_address(const struct endpoint *endpoint, char buf[static FACTS_TEXT]);
/* " (at 12.3 ms)", or "" where the time is not known. */
const char *facts_say_after(const struct facts *facts, char buf[static FACTS_TEXT]);

#endif
