/* SPDX-License-Identifier: BSD-2-Clause */
#include "diagnose/facts.h"

#include <string.h>

#include "diagnose/reasons.h"
#include "tls/names.h"

/* OpenSSL adds 1000 (SSL_AD_REASON_OFFSET) to the number of an alert that it received. */
#define ALERT_REASON_OFFSET 1000

static void gather_errors(struct facts *facts)
{
	const struct record *record = facts->record;

	facts->reason = -1;
	for (int i = 0; i < record->error_count && facts->reason < 0; i++)
		facts->reason = error_ssl_reason(record->errors[i].code, record->errors[i].text);
	facts->foreign_code = record->error_count > 0 && facts->reason < 0;
}

static void gather_alerts(struct facts *facts)
{
	const struct record *record = facts->record;

	facts->alert_sent = facts->alert_received = -1;
	for (int i = 0; i < record->alert_count; i++) {
		const struct record_alert *alert = &record->alerts[i];
		int *first = alert->direction == ALERT_SENT ? &facts->alert_sent
							    : &facts->alert_received;

		if (alert->direction == ALERT_RECEIVED && alert->number == ALERT_CLOSE_NOTIFY)
			facts->close_notify_received = true;
		if (*first < 0 && alert->level == 2)
			*first = alert->number;
	}
	if (facts->alert_received < 0 && facts->reason >= ALERT_REASON_OFFSET &&
	    facts->reason <= ALERT_REASON_OFFSET + 255)
		facts->alert_received = facts->reason - ALERT_REASON_OFFSET;
}

/* A PROXY header is the balancer's, not the client's. */
static bool sent_bytes(const struct facts *facts)
{
	const struct record *record = facts->record;

	if (record->side == SIDE_UPSTREAM)
		return record->server_hello_seen || record->preface != PREFACE_NONE;
	return facts->hello || record->hello_incomplete ||
	       (record->preface != PREFACE_NONE && !record->proxy_header_seen);
}

void facts_gather(struct facts *facts, const struct record *record)
{
	*facts = (struct facts){.record = record, .hello = record->hello};
	gather_errors(facts);
	gather_alerts(facts);
	if (facts->hello) {
		facts->min_version = client_hello_min_version(facts->hello);
		facts->max_version = client_hello_max_version(facts->hello);
	}
	facts->bytes_came = sent_bytes(facts);
	facts->after_handshake = record->previous[0] != '\0';
	facts->tls_spoken = facts->after_handshake || record->server_hello_seen;
}

static bool is_signal(uint16_t cipher)
{
	/* TLS_EMPTY_RENEGOTIATION_INFO_SCSV (RFC 5746) and TLS_FALLBACK_SCSV (RFC 7507) are no
	 * ciphers. */
	return cipher == 0x00ff || cipher == 0x5600 || name_is_grease(cipher);
}

/* TLS 1.3's names say nothing of the key: RFC 8446 appendix B.4. */
static bool is_tls13(uint16_t cipher)
{
	return cipher >> 8 == 0x13;
}

unsigned facts_cipher_keys(const struct facts *facts)
{
	unsigned keys = 0;

	for (size_t i = 0; facts->hello && i < code_list_count(&facts->hello->ciphers); i++) {
		uint16_t cipher = code_list_at(&facts->hello->ciphers, i);
		const char *name = name_cipher(cipher);

		if (is_signal(cipher) || is_tls13(cipher))
			continue;
		if (name && strstr(name, "_ECDSA_"))
			keys |= KEY_ECDSA;
		else if (name && (!strncmp(name, "TLS_RSA_", 8) || strstr(name, "E_RSA_WITH")))
			keys |= KEY_RSA;
		else
			keys |= KEY_OTHER;
	}
	return keys;
}

static unsigned signature_key(uint16_t scheme)
{
	/* RFC 8446 section 4.2.3: the PSS block 0x0804 to 0x0806 and 0x0809 to 0x080b is RSA, EdDSA
	 * lies between, brainpool curves at 0x081a; elsewhere the low byte is RFC 5246's
	 * SignatureAlgorithm. */
	if (scheme >> 8 == 8) {
		if (scheme == 0x0807 || scheme == 0x0808)
			return KEY_OTHER;
		return scheme <= 0x080b ? KEY_RSA : KEY_ECDSA;
	}
	if ((scheme & 0xff) == 1 && scheme >> 8 < 8)
		return KEY_RSA;
	if ((scheme & 0xff) == 3 && scheme >> 8 < 8)
		return KEY_ECDSA;
	return KEY_OTHER;
}

unsigned facts_signature_keys(const struct facts *facts)
{
	unsigned keys = 0;

	if (!facts->hello)
		return 0;
	for (size_t i = 0; i < code_list_count(&facts->hello->signature_algorithms); i++) {
		uint16_t scheme = code_list_at(&facts->hello->signature_algorithms, i);

		if (!name_is_grease(scheme))
			keys |= signature_key(scheme);
	}
	return keys;
}

bool facts_only_ecdhe(const struct facts *facts)
{
	bool any = false;

	for (size_t i = 0; facts->hello && i < code_list_count(&facts->hello->ciphers); i++) {
		uint16_t cipher = code_list_at(&facts->hello->ciphers, i);
		const char *name = name_cipher(cipher);

		if (is_signal(cipher) || is_tls13(cipher))
			continue;
		if (!name || !strstr(name, "ECDHE_"))
			return false;
		any = true;
	}
	return any;
}

static bool list_has(const struct code_list *list, uint16_t value)
{
	for (size_t i = 0; i < code_list_count(list); i++)
		if (code_list_at(list, i) == value)
			return true;
	return false;
}

bool facts_offers_cipher(const struct facts *facts, uint16_t cipher)
{
	return facts->hello && list_has(&facts->hello->ciphers, cipher);
}

bool facts_offers_group(const struct facts *facts, uint16_t group)
{
	return facts->hello && list_has(&facts->hello->groups, group);
}
