/* SPDX-License-Identifier: BSD-2-Clause */
/* The peer's first bytes are no TLS, or not where TLS was due. */
#include <string.h>

#include "diagnose/rules.h"

/* SSL_R_HTTPS_PROXY_REQUEST, SSL_R_HTTP_REQUEST, SSL_R_UNKNOWN_PROTOCOL, SSL_R_WRONG_VERSION_NUMBER
 */
enum { HTTPS_PROXY_REQUEST = 155, HTTP_REQUEST = 156, UNKNOWN_PROTOCOL = 252, WRONG_VERSION = 267 };

enum { RECORD_HANDSHAKE = 22 };

static bool is_proxy(enum preface preface)
{
	return preface == PREFACE_PROXY_V1 || preface == PREFACE_PROXY_V2;
}

/* nginx resets what it refuses while it reads a PROXY header, as the bytes are still unread. */
static bool refused_unread(const struct facts *facts)
{
	return !facts->tls_spoken && facts->record->handshake_calls == 0 &&
	       facts->record->ending == END_LOCAL_RESET;
}

bool rule_proxy_missing(const struct facts *facts, struct verdict *verdict)
{
	const struct record *record = facts->record;

	if (!refused_unread(facts) || record->proxy_header_seen || is_proxy(record->preface) ||
	    record->preface == PREFACE_NONE)
		return false;
	return verdict_is(
		verdict, CAUSE_PROXY_PROTOCOL_MISSING,
		"the listener expects a PROXY header and the connection began with %s instead; "
		"nginx refused it unread",
		preface_describe(record->preface));
}

/* proxy-protocol.txt section 2.1: TCP4, TCP6 or UNKNOWN, as far as the bytes kept show it. */
static bool is_known_family(const struct span *bytes)
{
	static const char *const families[] = {"PROXY TCP4 ", "PROXY TCP6 ", "PROXY UNKNOWN"};

	for (size_t i = 0; i < sizeof(families) / sizeof(*families); i++) {
		size_t len = strlen(families[i]);

		if (bytes->len < len)
			len = bytes->len;
		if (!memcmp(bytes->at, families[i], len))
			return true;
	}
	return false;
}

static bool header_is_broken(const struct facts *facts)
{
	const struct record *record = facts->record;

	if (!record->proxy_header_seen)
		/* A listener without proxy_protocol answers HTTP 400; that is no broken header. */
		return record->outcome != OUTCOME_REJECTED || record->ending != END_LOCAL_CLOSE;
	if (record->proxied_peer.family)
		return false;
	if (record->preface == PREFACE_PROXY_V1)
		return record->first_bytes.len && !is_known_family(&record->first_bytes);
	return refused_unread(facts);
}

bool rule_proxy_broken(const struct facts *facts, struct verdict *verdict)
{
	const struct record *record = facts->record;
	char bytes[FACTS_TEXT];

	if (!is_proxy(record->preface) || facts->reason >= 0 || facts->tls_spoken || facts->hello ||
	    !header_is_broken(facts))
		return false;
	return verdict_is(
		verdict, CAUSE_PROXY_PROTOCOL_BROKEN,
		"the connection began with %s (\"%s\") that nginx could not read: cut short, "
		"malformed or of an unknown version",
		preface_describe(record->preface), facts_say_first_bytes(facts, bytes));
}

bool rule_proxy_unexpected(const struct facts *facts, struct verdict *verdict)
{
	const struct record *record = facts->record;

	if (!is_proxy(record->preface) || facts->tls_spoken)
		return false;
	if (facts->reason != WRONG_VERSION && facts->reason != UNKNOWN_PROTOCOL &&
	    !(record->handshake_calls == 0 && record->outcome == OUTCOME_REJECTED))
		return false;
	return verdict_is(verdict, CAUSE_PROXY_PROTOCOL_UNEXPECTED,
			  "the connection began with %s, and this listener does not expect one",
			  preface_describe(record->preface));
}

bool rule_plain_http(const struct facts *facts, struct verdict *verdict)
{
	char bytes[FACTS_TEXT];

	if (facts->tls_spoken)
		return false;
	if (facts->record->preface != PREFACE_HTTP && facts->reason != HTTP_REQUEST &&
	    facts->reason != HTTPS_PROXY_REQUEST)
		return false;
	if (!facts->record->first_bytes.len)
		return verdict_is(verdict, CAUSE_PLAIN_HTTP_ON_TLS_PORT,
				  "the client sent a plain HTTP request to this TLS port");
	return verdict_is(verdict, CAUSE_PLAIN_HTTP_ON_TLS_PORT,
			  "the client sent a plain HTTP request (\"%s ...\") to this TLS port",
			  facts_say_first_bytes(facts, bytes));
}

static bool is_foreign(enum preface preface)
{
	return preface != PREFACE_NONE && preface != PREFACE_TLS && preface != PREFACE_SSLV2 &&
	       !is_proxy(preface);
}

bool rule_not_tls(const struct facts *facts, struct verdict *verdict)
{
	const struct record *record = facts->record;
	char bytes[FACTS_TEXT];

	/* A hello after other bytes is STARTTLS: judged as any other. */
	if (facts->hello && facts->reason != UNKNOWN_PROTOCOL)
		return false;
	/* A handshake record of a version that there is not: TLS meant, and broken. */
	if (record->first_bytes.len && record->first_bytes.at[0] == RECORD_HANDSHAKE)
		return false;
	if (!is_foreign(record->preface) && facts->reason != UNKNOWN_PROTOCOL &&
	    !(record->preface == PREFACE_SSLV2 && facts->reason == WRONG_VERSION))
		return false;
	if (!record->first_bytes.len)
		return verdict_is(verdict, CAUSE_NOT_TLS,
				  "the client's first bytes are %s, not TLS",
				  preface_describe(record->preface));
	return verdict_is(verdict, CAUSE_NOT_TLS,
			  "the client's first bytes are %s (\"%s\"), not TLS",
			  preface_describe(record->preface), facts_say_first_bytes(facts, bytes));
}

bool rule_upstream_not_tls(const struct facts *facts, struct verdict *verdict)
{
	const struct record *record = facts->record;
	char bytes[FACTS_TEXT], address[FACTS_TEXT];

	if (record->server_hello_seen)
		return false;
	if (!is_foreign(record->preface) &&
	    !(facts->reason == WRONG_VERSION && record->preface != PREFACE_TLS))
		return false;
	facts_say_address(&record->peer, address);
	if (!record->first_bytes.len)
		return verdict_is(
			verdict, CAUSE_UPSTREAM_NOT_TLS,
			"upstream %s answered our ClientHello with bytes that are not TLS",
			address);
	return verdict_is(verdict, CAUSE_UPSTREAM_NOT_TLS,
			  "upstream %s answered with %s (\"%s\") where TLS was due", address,
			  preface_describe(record->preface), facts_say_first_bytes(facts, bytes));
}
