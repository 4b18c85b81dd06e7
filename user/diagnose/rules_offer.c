/* SPDX-License-Identifier: BSD-2-Clause */
/* What the ClientHello offers and the server does not take. */
#include "diagnose/rules.h"

/* SSL_R_* */
enum {
	NO_SUITABLE_KEY_SHARE = 101,
	BAD_EXTENSION = 110,
	NO_SUITABLE_SIGNATURE_ALGORITHM = 118,
	NO_SHARED_CIPHER = 193,
	CALLBACK_FAILED = 234,
	NO_APPLICATION_PROTOCOL = 235,
	UNSUPPORTED_PROTOCOL = 258,
	INAPPROPRIATE_FALLBACK = 373,
	NO_SHARED_SIGNATURE_ALGORITHMS = 376,
	VERSION_TOO_LOW = 396,
};

#define SECP256R1 0x0017
#define X25519 0x001d

bool rule_fallback(const struct facts *facts, struct verdict *verdict)
{
	char version[FACTS_TEXT];

	if (facts->reason != INAPPROPRIATE_FALLBACK &&
	    facts->alert_sent != ALERT_INAPPROPRIATE_FALLBACK)
		return false;
	facts_say_version(facts->max_version, version);
	return verdict_is(
		verdict, CAUSE_FALLBACK_REFUSED,
		"client fell back to %s (TLS_FALLBACK_SCSV), and the server knows a newer version",
		version);
}

/* OpenSSL 3.0 picks TLS 1.0 or 1.1 where ssl_protocols has it, and then finds that its security
 * level forbids the SHA-1 signature: tls_choose_sigalg(), alert internal_error. */
bool rule_security_level(const struct facts *facts, struct verdict *verdict)
{
	char versions[FACTS_TEXT];

	if (facts->reason != NO_SUITABLE_SIGNATURE_ALGORITHM)
		return false;
	if (facts->alert_sent != ALERT_INTERNAL_ERROR &&
	    !(facts->alert_sent < 0 && facts->max_version && facts->max_version <= TLS1_1))
		return false;
	return verdict_is(
		verdict, CAUSE_CLIENT_PROTOCOL_TOO_OLD,
		"client offered %s; the version chosen is TLSv1.1 or older, which ssl_protocols "
		"allows and OpenSSL's security level (@SECLEVEL) refuses",
		facts_say_versions(facts, versions));
}

bool rule_version(const struct facts *facts, struct verdict *verdict)
{
	char versions[FACTS_TEXT], sni[FACTS_TEXT];
	bool refused_by_client = facts->alert_received == ALERT_PROTOCOL_VERSION;

	if (facts->reason != UNSUPPORTED_PROTOCOL && facts->reason != VERSION_TOO_LOW &&
	    !refused_by_client &&
	    !(facts->reason < 0 && facts->alert_sent == ALERT_PROTOCOL_VERSION))
		return false;
	facts_say_versions(facts, versions);
	facts_say_sni(facts, sni);
	if (!facts->hello)
		return verdict_is(
			verdict, CAUSE_CLIENT_PROTOCOL_TOO_OLD,
			"client and server have no protocol version in common (the ClientHello was "
			"not seen)");
	/* Below TLS 1.3's offer nothing newer than a server's oldest version is left out. */
	if (facts->reason != VERSION_TOO_LOW && facts->max_version >= TLS1_3)
		return verdict_is(
			verdict, CAUSE_CLIENT_PROTOCOL_TOO_NEW,
			"client offered %s for %s, and this server accepts only older versions",
			versions, sni);
	return verdict_is(
		verdict, CAUSE_CLIENT_PROTOCOL_TOO_OLD,
		"client offered at most %s for %s, and this server accepts only newer versions",
		facts_say_version(facts->max_version, versions), sni);
}

bool rule_alpn(const struct facts *facts, struct verdict *verdict)
{
	char alpn[FACTS_TEXT];

	if (facts->reason != NO_APPLICATION_PROTOCOL &&
	    facts->alert_sent != ALERT_NO_APPLICATION_PROTOCOL &&
	    facts->alert_received != ALERT_NO_APPLICATION_PROTOCOL)
		return false;
	return verdict_is(
		verdict, CAUSE_NO_SHARED_ALPN,
		"client offered the application protocols %s by ALPN, and the server has none of "
		"them",
		facts_say_alpn(facts, alpn));
}

/* RFC 6066 section 3: a host name is ASCII without a trailing dot; a NUL or blank is no name. */
static bool sni_is_broken(const struct facts *facts)
{
	const struct span *sni = &facts->record->sni;

	for (size_t i = 0; i < sni->len; i++)
		if (sni->at[i] <= ' ' || sni->at[i] >= 0x7f)
			return true;
	return false;
}

/* nginx clears the queue of a rejected handshake; only early data leaves 234 in the log. */
bool rule_sni_not_served(const struct facts *facts, struct verdict *verdict)
{
	char sni[FACTS_TEXT];

	if (facts->record->error_count && facts->reason != CALLBACK_FAILED)
		return false;
	if (facts->alert_sent != ALERT_UNRECOGNIZED_NAME || sni_is_broken(facts))
		return false;
	return verdict_is(
		verdict, CAUSE_SNI_NOT_SERVED,
		"client asked for %s, which no server_name has; ssl_reject_handshake refused it",
		facts_say_sni(facts, sni));
}

bool rule_session_of_another_name(const struct facts *facts, struct verdict *verdict)
{
	char sni[FACTS_TEXT];

	if (facts->record->error_count || facts->alert_sent != ALERT_ACCESS_DENIED)
		return false;
	return verdict_is(verdict, CAUSE_SESSION_OF_ANOTHER_NAME,
			  "client resumed for %s a session that was made for another server name",
			  facts_say_sni(facts, sni));
}

bool rule_key_share(const struct facts *facts, struct verdict *verdict)
{
	if (facts->reason != NO_SUITABLE_KEY_SHARE)
		return false;
	/* RFC 8446 section 9.2: without key_share the alert is missing_extension. */
	if (facts->alert_sent != ALERT_MISSING_EXTENSION &&
	    !(facts->alert_sent < 0 && facts->hello && !facts->hello->has_key_share))
		return false;
	return verdict_is(
		verdict, CAUSE_MALFORMED_HELLO,
		"client offered TLSv1.3 without the key_share extension that it requires");
}

bool rule_group(const struct facts *facts, struct verdict *verdict)
{
	char groups[FACTS_TEXT];

	if (facts->reason != NO_SUITABLE_KEY_SHARE)
		return false;
	return verdict_is(verdict, CAUSE_NO_SHARED_GROUP,
			  "client offered only the groups %s, and the server accepts none of them",
			  facts_say_groups(facts, groups));
}

bool rule_signature(const struct facts *facts, struct verdict *verdict)
{
	char signatures[FACTS_TEXT];

	if (facts->reason != NO_SUITABLE_SIGNATURE_ALGORITHM &&
	    facts->reason != NO_SHARED_SIGNATURE_ALGORITHMS)
		return false;
	facts_say_signatures(facts, signatures);
	if (facts->reason == NO_SHARED_SIGNATURE_ALGORITHMS)
		return verdict_is(verdict, CAUSE_NO_SHARED_SIGNATURE_ALGORITHM,
				  "client accepts only the signature algorithms %s, all of which "
				  "the server's "
				  "security level forbids",
				  signatures);
	return verdict_is(
		verdict, CAUSE_NO_SHARED_SIGNATURE_ALGORITHM,
		"client accepts only the signature algorithms %s, and the server's key can make "
		"none of them",
		signatures);
}

/*
 * 193 below TLS 1.3 is cipher, certificate type, group or signature algorithm: OpenSSL's
 * ssl3_choose_cipher() drops a cipher for each of them and says the same in the end. What the
 * ClientHello restricts unusually is the likeliest; a TLS 1.3 offer fails on ciphers alone.
 */
static bool undecided_193(const struct facts *facts)
{
	return facts->reason == NO_SHARED_CIPHER && facts->hello && facts->max_version < TLS1_3;
}

bool rule_cipher_signature(const struct facts *facts, struct verdict *verdict)
{
	char signatures[FACTS_TEXT];
	unsigned ciphers = facts_cipher_keys(facts), signature_keys = facts_signature_keys(facts);

	if (!undecided_193(facts) || !facts->hello->has_signature_algorithms)
		return false;
	/* Ciphers of a key type whose signatures are not accepted can never be used. */
	if (!(ciphers & ~signature_keys & (KEY_RSA | KEY_ECDSA)))
		return false;
	return verdict_is(
		verdict, CAUSE_NO_SHARED_SIGNATURE_ALGORITHM,
		"client accepts only the signature algorithms %s, which do not fit the server's "
		"certificate",
		facts_say_signatures(facts, signatures));
}

bool rule_cipher_group(const struct facts *facts, struct verdict *verdict)
{
	char groups[FACTS_TEXT];

	if (!undecided_193(facts) || !facts->hello->has_groups || !facts_only_ecdhe(facts))
		return false;
	/* Who offers the two that nearly every server has does not fail on groups. */
	if (facts_offers_group(facts, X25519) && facts_offers_group(facts, SECP256R1))
		return false;
	return verdict_is(
		verdict, CAUSE_NO_SHARED_GROUP,
		"client offered only ECDHE ciphers and only the groups %s, and the server accepts "
		"none of these",
		facts_say_groups(facts, groups));
}

bool rule_cipher_certificate_type(const struct facts *facts, struct verdict *verdict)
{
	char ciphers[FACTS_TEXT];
	unsigned keys = facts_cipher_keys(facts);
	bool usual_rsa = facts_offers_cipher(facts, 0xc02f) && facts_offers_cipher(facts, 0xc030);

	if (!undecided_193(facts))
		return false;
	/* RSA alone is proof only where the usual RSA ciphers are there and still none fitted. */
	if (keys != KEY_ECDSA && !(keys == KEY_RSA && usual_rsa))
		return false;
	return verdict_is(
		verdict, CAUSE_NO_CIPHER_FOR_CERTIFICATE_TYPE,
		"client offered only ciphers for %s certificates (%s), and the served certificate "
		"is of another type",
		keys == KEY_ECDSA ? "ECDSA" : "RSA", facts_say_ciphers(facts, ciphers));
}

bool rule_cipher(const struct facts *facts, struct verdict *verdict)
{
	char ciphers[FACTS_TEXT], versions[FACTS_TEXT];

	if (facts->reason != NO_SHARED_CIPHER)
		return false;
	verdict_is(verdict, CAUSE_NO_SHARED_CIPHER,
		   "client offered the ciphers %s with %s, and the server accepts none of them",
		   facts_say_ciphers(facts, ciphers), facts_say_versions(facts, versions));
	if (facts->min_version >= TLS1_3)
		verdict_directive(verdict, "ssl_conf_command");
	return true;
}
