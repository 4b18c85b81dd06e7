/* SPDX-License-Identifier: BSD-2-Clause */
/* Certificates that the client, or nginx, refused. */
#include <string.h>

#include "diagnose/rules.h"
#include "diagnose/verify_codes.h"

/* RFC 8446 section 6.2: what each of these says of the certificate. */
bool rule_client_alert_certificate(const struct facts *facts, struct verdict *verdict)
{
	char sni[FACTS_TEXT], alert[FACTS_TEXT];

	facts_say_sni(facts, sni);
	facts_say_alert(facts->alert_received, alert);
	switch (facts->alert_received) {
	case ALERT_UNKNOWN_CA:
		return verdict_is(
			verdict, CAUSE_CLIENT_REJECTS_UNKNOWN_CA,
			"client asked for %s and does not trust the issuer of the certificate it "
			"was served (alert %s)",
			sni, alert);
	case ALERT_CERTIFICATE_EXPIRED:
		return verdict_is(
			verdict, CAUSE_CLIENT_REJECTS_EXPIRED_CERTIFICATE,
			"client asked for %s and holds the served certificate for expired or not "
			"yet valid (alert %s)",
			sni, alert);
	case ALERT_NO_CERTIFICATE:
	case ALERT_BAD_CERTIFICATE:
	case ALERT_UNSUPPORTED_CERTIFICATE:
	case ALERT_CERTIFICATE_REVOKED:
	case ALERT_CERTIFICATE_UNKNOWN:
	case ALERT_ACCESS_DENIED:
		return verdict_is(
			verdict, CAUSE_CLIENT_REJECTS_CERTIFICATE,
			"client asked for %s and refused the certificate it was served (alert %s)",
			sni, alert);
	default:
		return false;
	}
}

/* Alerts with a cause of their own. */
bool rule_client_alert_named(const struct facts *facts, struct verdict *verdict)
{
	char sni[FACTS_TEXT], version[FACTS_TEXT];

	switch (facts->alert_received) {
	case ALERT_ECH_REQUIRED:
		return verdict_is(verdict, CAUSE_ECH_REFUSED,
				  "client offered an encrypted ClientHello (outer name %s) and "
				  "ended because it "
				  "was not accepted",
				  facts_say_sni(facts, sni));
	case ALERT_INAPPROPRIATE_FALLBACK:
		return verdict_is(
			verdict, CAUSE_FALLBACK_REFUSED,
			"client ended with inappropriate_fallback (86) after offering at most %s",
			facts_say_version(facts->max_version, version));
	case ALERT_USER_CANCELED:
		return verdict_is(verdict, CAUSE_CLIENT_CLOSED_IN_HANDSHAKE,
				  "client said user_canceled (90) and left in mid-handshake");
	default:
		return false;
	}
}

bool rule_client_alert(const struct facts *facts, struct verdict *verdict)
{
	char alert[FACTS_TEXT], sni[FACTS_TEXT];

	if (facts->alert_received < 0)
		return false;
	return verdict_is(verdict, CAUSE_CLIENT_ABORTS_WITH_ALERT,
			  "client asked for %s and ended the handshake with alert %s",
			  facts_say_sni(facts, sni), facts_say_alert(facts->alert_received, alert));
}

/* Refused by nginx itself, after a handshake that OpenSSL holds for good. */
static bool refused_after_handshake(const struct facts *facts)
{
	return facts->record->outcome == OUTCOME_REJECTED && facts->reason < 0 &&
	       (facts->after_handshake || facts->record->handshake_calls > 0);
}

bool rule_verify_code(const struct facts *facts, struct verdict *verdict)
{
	const struct record *record = facts->record;
	const struct verify_code *code = verify_code_find(record->verify.code);
	enum cause_number cause = CAUSE_NONE;
	char sni[FACTS_TEXT], address[FACTS_TEXT];

	/* Without a refusal the code is evidence only: proxy_ssl_verify off, optional_no_ca. */
	if (record->outcome != OUTCOME_REJECTED || !record->verify.judged || !record->verify.code)
		return false;
	if (code)
		cause = record->side == SIDE_CLIENT ? code->client_cause : code->upstream_cause;
	if (!cause)
		return false;
	facts_say_sni(facts, sni);
	facts_say_address(&record->peer, address);
	if (record->side == SIDE_CLIENT)
		verdict_is(verdict, cause,
			   "nginx refused the certificate that %s sent to %s: %s (%d)", address,
			   sni, record->verify.text, record->verify.code);
	else
		verdict_is(verdict, cause,
			   "nginx refused the certificate of upstream %s (%s): %s (%d)", address,
			   sni, record->verify.text, record->verify.code);
	/* The chain length shows as 20 in OpenSSL 3 (nginx's callback goes on), as 22 in 1.1.1. */
	if (cause == CAUSE_UPSTREAM_CERTIFICATE_UNTRUSTED && record->verify.code == 22)
		verdict_directive(verdict, "proxy_ssl_verify_depth");
	return true;
}

bool rule_client_certificate_status(const struct facts *facts, struct verdict *verdict)
{
	char address[FACTS_TEXT];

	if (!refused_after_handshake(facts) || facts->record->verify.code ||
	    !facts->record->client_certificate_seen)
		return false;
	return verdict_is(
		verdict, CAUSE_CLIENT_CERTIFICATE_STATUS,
		"the certificate of %s verified, and nginx refused it all the same: its OCSP "
		"status was revoked or could not be learned",
		facts_say_address(&facts->record->peer, address));
}

bool rule_client_certificate_missing(const struct facts *facts, struct verdict *verdict)
{
	char address[FACTS_TEXT], sni[FACTS_TEXT];

	/* SSL_get_verify_result is 0 too where there was no certificate to judge. */
	if (!refused_after_handshake(facts) || facts->record->verify.code)
		return false;
	return verdict_is(verdict, CAUSE_CLIENT_CERTIFICATE_MISSING,
			  "%s sent no client certificate, and %s requires one",
			  facts_say_address(&facts->record->peer, address),
			  facts_say_sni(facts, sni));
}

bool rule_upstream_name(const struct facts *facts, struct verdict *verdict)
{
	const struct record *record = facts->record;
	char address[FACTS_TEXT];

	if (!record->name_check_failed || record->outcome != OUTCOME_REJECTED)
		return false;
	facts_say_address(&record->peer, address);
	if (record->verify.expected_name)
		return verdict_is(
			verdict, CAUSE_UPSTREAM_CERTIFICATE_NAME,
			"the certificate of upstream %s verified and is not for \"%.100s\"",
			address, record->verify.expected_name);
	return verdict_is(
		verdict, CAUSE_UPSTREAM_CERTIFICATE_NAME,
		"the certificate of upstream %s verified and is not for the name that nginx "
		"expects",
		address);
}
