/* SPDX-License-Identifier: BSD-2-Clause */
/* What a reason or an alert says by itself, when no rule saw more. */
#include "diagnose/reasons.h"
#include "diagnose/rules.h"

/* SSL_R_* */
enum {
	BAD_SIGNATURE = 123,
	PACKET_LENGTH_TOO_LONG = 198,
	NO_PROTOCOLS_AVAILABLE = 191,
	INSUFFICIENT_SECURITY = 241,
	WRONG_VERSION_NUMBER = 267,
	RECORD_LAYER_FAILURE = 313,
	WRONG_SIGNATURE_TYPE = 370,
	CERT_CB_ERROR = 377,
	WRONG_CERTIFICATE_TYPE = 383,
};

static const char *who(const struct facts *facts)
{
	return facts->record->side == SIDE_CLIENT ? "client" : "upstream";
}

bool rule_decrypt(const struct facts *facts, struct verdict *verdict)
{
	const struct reason *reason =
		facts->reason >= 0 ? reason_find((unsigned)facts->reason) : NULL;

	/* A provider may leave only its own code: the alert says that a record did not decrypt. */
	if (facts->reason == RECORD_LAYER_FAILURE ||
	    (facts->reason < 0 && facts->alert_sent == ALERT_BAD_RECORD_MAC))
		return verdict_is(verdict, CAUSE_DECRYPT_FAILED,
				  "an encrypted record of the %s could not be read", who(facts));
	if (!reason || (reason->client_cause != CAUSE_DECRYPT_FAILED &&
			reason->upstream_cause != CAUSE_DECRYPT_FAILED))
		return false;
	if (facts->reason == BAD_SIGNATURE)
		return verdict_is(verdict, CAUSE_DECRYPT_FAILED,
				  "the %s's signature over the handshake does not verify",
				  who(facts));
	return verdict_is(verdict, CAUSE_DECRYPT_FAILED,
			  "what the %s sent encrypted does not decrypt or verify (%s)", who(facts),
			  reason->text);
}

bool rule_internal(const struct facts *facts, struct verdict *verdict)
{
	const struct record *record = facts->record;
	const struct record_error *first = &record->errors[0];
	char error[FACTS_TEXT];

	if (!facts->foreign_code && facts->reason != CERT_CB_ERROR &&
	    facts->reason != NO_PROTOCOLS_AVAILABLE)
		return false;
	/* What a certificate callback drained names the file. */
	if (record->evidence_error_count)
		first = &record->evidence_errors[0];
	verdict_is(verdict, CAUSE_SERVER_INTERNAL, "nginx's own side failed: %s",
		   facts_say_error(first, error));
	if (facts->reason == NO_PROTOCOLS_AVAILABLE)
		verdict_directive(verdict, record->side == SIDE_CLIENT ? "ssl_protocols"
								       : "proxy_ssl_protocols");
	return true;
}

bool rule_internal_alert(const struct facts *facts, struct verdict *verdict)
{
	const struct record *record = facts->record;
	char error[FACTS_TEXT];

	if (facts->alert_sent != ALERT_INTERNAL_ERROR)
		return false;
	if (!record->error_count)
		return verdict_is(verdict, CAUSE_SERVER_INTERNAL,
				  "nginx sent alert internal_error (80) and logged no code");
	return verdict_is(verdict, CAUSE_SERVER_INTERNAL,
			  "nginx sent alert internal_error (80): %s",
			  facts_say_error(&record->errors[0], error));
}

/* Reasons whose row leaves the cause to other evidence, and nothing else fitted. */
static enum cause_number left_over(const struct facts *facts)
{
	bool client = facts->record->side == SIDE_CLIENT;

	switch (facts->reason) {
	case PACKET_LENGTH_TOO_LONG:
	case WRONG_VERSION_NUMBER:
		return client ? CAUSE_MALFORMED_HELLO : CAUSE_UPSTREAM_MALFORMED;
	case WRONG_SIGNATURE_TYPE:
		return client ? CAUSE_MALFORMED_HELLO : CAUSE_UPSTREAM_NO_SHARED_CIPHER;
	case WRONG_CERTIFICATE_TYPE:
		return client ? CAUSE_NONE : CAUSE_UPSTREAM_NO_SHARED_CIPHER;
	case INSUFFICIENT_SECURITY:
		return client ? CAUSE_SERVER_INTERNAL : CAUSE_UPSTREAM_CERTIFICATE_WEAK;
	default:
		return CAUSE_NONE;
	}
}

bool rule_reason(const struct facts *facts, struct verdict *verdict)
{
	const struct record *record = facts->record;
	const struct reason *reason =
		facts->reason >= 0 ? reason_find((unsigned)facts->reason) : NULL;
	enum cause_number cause;
	char address[FACTS_TEXT];

	if (!reason)
		return false;
	cause = record->side == SIDE_CLIENT ? reason->client_cause : reason->upstream_cause;
	if (!cause)
		cause = left_over(facts);
	if (!cause)
		return false;
	return verdict_is(verdict, cause, "%s (%s %s): OpenSSL refused the handshake with \"%s\"",
			  cause_at(cause)->meaning, who(facts),
			  facts_say_address(&record->peer, address), reason->text);
}
