/* SPDX-License-Identifier: BSD-2-Clause */
/* What an upstream refused, as far as its alerts, its reset or nginx's own check of it tell. */
#include <errno.h>
#include <string.h>

#include "diagnose/rules.h"

/* SSL_R_* that OpenSSL raises as a client about the version or the peer's parameters. */
enum {
	UNSUPPORTED_PROTOCOL = 258,
	WRONG_SSL_VERSION = 266,
	WRONG_VERSION_NUMBER = 267,
	LEGACY_SIGALG = 333,
	INAPPROPRIATE_FALLBACK = 373,
	VERSION_TOO_LOW = 396,
};

bool rule_upstream_connect(const struct facts *facts, struct verdict *verdict)
{
	const struct record *record = facts->record;
	char address[FACTS_TEXT], after[FACTS_TEXT];
	const char *text;

	if (record->ending != END_CONNECT_FAILED)
		return false;
	facts_say_address(&record->peer, address);
	/* A SYN that nobody answered until nginx gave up has no errno. */
	if (record->outcome == OUTCOME_TIMED_OUT || !record->sk_errno)
		return verdict_is(verdict, CAUSE_UPSTREAM_TIMEOUT,
				  "upstream %s did not answer the TCP connection; nginx gave up%s",
				  address, facts_say_after(facts, after));
	text = strerrordesc_np(record->sk_errno);
	return verdict_is(verdict, CAUSE_UPSTREAM_CONNECT_FAILED,
			  "no TCP connection to upstream %s: %s (errno %d)", address,
			  text ? text : "unknown error", record->sk_errno);
}

static bool has_sni(const struct facts *facts)
{
	return facts->record->sni.at != NULL;
}

bool rule_upstream_sni(const struct facts *facts, struct verdict *verdict)
{
	char address[FACTS_TEXT], sni[FACTS_TEXT], alert[FACTS_TEXT];

	/* handshake_failure alone speaks of SNI only while the upstream has said nothing else. */
	if (facts->alert_received != ALERT_UNRECOGNIZED_NAME &&
	    !(facts->alert_received == ALERT_HANDSHAKE_FAILURE && facts->hello && !has_sni(facts) &&
	      !facts->record->server_hello_seen))
		return false;
	facts_say_address(&facts->record->peer, address);
	facts_say_alert(facts->alert_received, alert);
	if (!has_sni(facts))
		return verdict_is(verdict, CAUSE_UPSTREAM_NEEDS_SNI,
				  "upstream %s refused a ClientHello without SNI with alert %s",
				  address, alert);
	return verdict_is(verdict, CAUSE_UPSTREAM_UNKNOWN_SNI,
			  "upstream %s does not serve the name %s that nginx sent (alert %s)",
			  address, facts_say_sni(facts, sni), alert);
}

/* RFC 8446 section 6.2: certificate_required; older versions have only general alerts for it. */
bool rule_upstream_wants_certificate(const struct facts *facts, struct verdict *verdict)
{
	const struct record *record = facts->record;
	char address[FACTS_TEXT], alert[FACTS_TEXT];

	if (facts->alert_received != ALERT_CERTIFICATE_REQUIRED &&
	    !((facts->alert_received == ALERT_HANDSHAKE_FAILURE ||
	       facts->alert_received == ALERT_BAD_CERTIFICATE) &&
	      record->certificate_request_seen && !record->client_certificate_seen))
		return false;
	return verdict_is(
		verdict, CAUSE_UPSTREAM_WANTS_CLIENT_CERTIFICATE,
		"upstream %s asked for a client certificate, nginx sent none, and it refused with "
		"alert %s",
		facts_say_address(&record->peer, address),
		facts_say_alert(facts->alert_received, alert));
}

bool rule_upstream_rejects_certificate(const struct facts *facts, struct verdict *verdict)
{
	const struct record *record = facts->record;
	bool in_clear = record->tls.version && record->tls.version < TLS1_3;
	char address[FACTS_TEXT], alert[FACTS_TEXT];

	if (facts->alert_received < ALERT_NO_CERTIFICATE ||
	    facts->alert_received > ALERT_ACCESS_DENIED || facts->alert_received == 47)
		return false;
	/* Up to TLS 1.2 it is plain to see that no certificate was asked for. */
	if (in_clear && !record->certificate_request_seen)
		return false;
	facts_say_address(&record->peer, address);
	facts_say_alert(facts->alert_received, alert);
	if (record->client_certificate_seen)
		return verdict_is(
			verdict, CAUSE_UPSTREAM_REJECTS_CLIENT_CERTIFICATE,
			"upstream %s refused the certificate that nginx presented (alert %s)",
			address, alert);
	return verdict_is(verdict, CAUSE_UPSTREAM_REJECTS_CLIENT_CERTIFICATE,
			  "upstream %s refused nginx's certificate with alert %s, or the lack of "
			  "one: whether "
			  "one was sent is encrypted",
			  address, alert);
}

bool rule_upstream_version(const struct facts *facts, struct verdict *verdict)
{
	char address[FACTS_TEXT], versions[FACTS_TEXT], alert[FACTS_TEXT];

	facts_say_address(&facts->record->peer, address);
	facts_say_versions(facts, versions);
	if (facts->alert_received == ALERT_PROTOCOL_VERSION)
		return verdict_is(verdict, CAUSE_UPSTREAM_PROTOCOL_MISMATCH,
				  "upstream %s accepts none of the versions that nginx offered "
				  "(%s; alert %s)",
				  address, versions, facts_say_alert(facts->alert_received, alert));
	switch (facts->reason) {
	case LEGACY_SIGALG:
		return verdict_is(
			verdict, CAUSE_UPSTREAM_PROTOCOL_MISMATCH,
			"upstream %s chose TLSv1.1 or older, which proxy_ssl_protocols allows and "
			"OpenSSL's security level (@SECLEVEL) refuses",
			address);
	case INAPPROPRIATE_FALLBACK:
		return verdict_is(verdict, CAUSE_UPSTREAM_PROTOCOL_MISMATCH,
				  "upstream %s knows newer versions and chose an older one "
				  "(downgrade mark in "
				  "its ServerHello, RFC 8446 section 4.1.3); nginx offered %s",
				  address, versions);
	case UNSUPPORTED_PROTOCOL:
	case WRONG_SSL_VERSION:
	case WRONG_VERSION_NUMBER:
	case VERSION_TOO_LOW:
		return verdict_is(
			verdict, CAUSE_UPSTREAM_PROTOCOL_MISMATCH,
			"upstream %s answered with a version that nginx did not offer (%s)",
			address, versions);
	default:
		return false;
	}
}

bool rule_upstream_handshake_failure(const struct facts *facts, struct verdict *verdict)
{
	char address[FACTS_TEXT], ciphers[FACTS_TEXT], groups[FACTS_TEXT];

	if (facts->alert_received != ALERT_INSUFFICIENT_SECURITY &&
	    !(facts->alert_received == ALERT_HANDSHAKE_FAILURE &&
	      !facts->record->server_hello_seen))
		return false;
	return verdict_is(verdict, CAUSE_UPSTREAM_NO_SHARED_CIPHER,
			  "upstream %s took none of the ciphers (%s), groups (%s) or signature "
			  "algorithms that "
			  "nginx offered",
			  facts_say_address(&facts->record->peer, address),
			  facts_say_ciphers(facts, ciphers), facts_say_groups(facts, groups));
}

/* Some servers reset a ClientHello without SNI and say nothing. */
bool rule_upstream_reset_without_sni(const struct facts *facts, struct verdict *verdict)
{
	const struct record *record = facts->record;
	char address[FACTS_TEXT];

	if (record->ending != END_PEER_RESET || facts->reason >= 0 || facts->bytes_came ||
	    !facts->hello || has_sni(facts))
		return false;
	return verdict_is(verdict, CAUSE_UPSTREAM_NEEDS_SNI,
			  "upstream %s reset the connection on a ClientHello without SNI, without "
			  "a byte of its "
			  "own",
			  facts_say_address(&record->peer, address));
}

bool rule_upstream_alert(const struct facts *facts, struct verdict *verdict)
{
	char address[FACTS_TEXT], alert[FACTS_TEXT];

	if (facts->alert_received < 0)
		return false;
	facts_say_address(&facts->record->peer, address);
	if (facts->alert_received == ALERT_USER_CANCELED)
		return verdict_is(verdict, CAUSE_UPSTREAM_CLOSED_IN_HANDSHAKE,
				  "upstream %s said user_canceled (90) and left in mid-handshake",
				  address);
	return verdict_is(verdict, CAUSE_UPSTREAM_ABORTS_WITH_ALERT,
			  "upstream %s ended the handshake with alert %s", address,
			  facts_say_alert(facts->alert_received, alert));
}
