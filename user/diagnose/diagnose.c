/* SPDX-License-Identifier: BSD-2-Clause */
#include "diagnose/diagnose.h"

#include <stdio.h>

#include "diagnose/causes.h"
#include "diagnose/facts.h"
#include "diagnose/rules.h"
#include "diagnose/verdict.h"

/*
 * The first that matches decides, so what proves more stands first: bytes that are no TLS before
 * the error they make, a named reason before an alert, an alert before the way the peer left.
 */
static const struct rule {
	const char *name;
	uint8_t sides;
	rule_match *match;
} rules[] = {
	{"connect", CAUSE_UPSTREAM, rule_upstream_connect},

	{"proxy-missing", CAUSE_CLIENT, rule_proxy_missing},
	{"proxy-broken", CAUSE_CLIENT, rule_proxy_broken},
	{"proxy-unexpected", CAUSE_CLIENT, rule_proxy_unexpected},
	{"plain-http", CAUSE_CLIENT, rule_plain_http},
	{"not-tls", CAUSE_CLIENT, rule_not_tls},
	{"upstream-not-tls", CAUSE_UPSTREAM, rule_upstream_not_tls},

	{"name-check", CAUSE_UPSTREAM, rule_upstream_name},
	{"verify-code", CAUSE_BOTH, rule_verify_code},
	{"certificate-status", CAUSE_CLIENT, rule_client_certificate_status},
	{"certificate-missing", CAUSE_CLIENT, rule_client_certificate_missing},

	{"fallback", CAUSE_CLIENT, rule_fallback},
	{"security-level", CAUSE_CLIENT, rule_security_level},
	{"version", CAUSE_CLIENT, rule_version},
	{"alpn", CAUSE_CLIENT, rule_alpn},
	{"sni", CAUSE_CLIENT, rule_sni_not_served},
	{"session-name", CAUSE_CLIENT, rule_session_of_another_name},
	{"key-share", CAUSE_CLIENT, rule_key_share},
	{"group", CAUSE_CLIENT, rule_group},
	{"signature", CAUSE_CLIENT, rule_signature},
	{"cipher-signature", CAUSE_CLIENT, rule_cipher_signature},
	{"cipher-group", CAUSE_CLIENT, rule_cipher_group},
	{"cipher-certificate", CAUSE_CLIENT, rule_cipher_certificate_type},
	{"cipher", CAUSE_CLIENT, rule_cipher},

	{"upstream-sni", CAUSE_UPSTREAM, rule_upstream_sni},
	{"upstream-version", CAUSE_UPSTREAM, rule_upstream_version},
	{"upstream-wants-certificate", CAUSE_UPSTREAM, rule_upstream_wants_certificate},
	{"upstream-rejects-certificate", CAUSE_UPSTREAM, rule_upstream_rejects_certificate},
	{"upstream-handshake-failure", CAUSE_UPSTREAM, rule_upstream_handshake_failure},

	{"renegotiation", CAUSE_BOTH, rule_renegotiation},
	{"alert-certificate", CAUSE_CLIENT, rule_client_alert_certificate},
	{"alert-named", CAUSE_CLIENT, rule_client_alert_named},
	{"alert", CAUSE_CLIENT, rule_client_alert},
	{"upstream-alert", CAUSE_UPSTREAM, rule_upstream_alert},

	{"decrypt", CAUSE_BOTH, rule_decrypt},
	{"internal", CAUSE_BOTH, rule_internal},
	{"reason", CAUSE_BOTH, rule_reason},
	{"internal-alert", CAUSE_BOTH, rule_internal_alert},

	{"worker-exit", CAUSE_BOTH, rule_worker_exit},
	{"timeout", CAUSE_BOTH, rule_timeout},
	{"reset-without-sni", CAUSE_UPSTREAM, rule_upstream_reset_without_sni},
	{"peer-closed", CAUSE_BOTH, rule_peer_closed},
	{"local-close", CAUSE_BOTH, rule_local_close},
};

static const char *ending_text(enum ending ending)
{
	static const char *const texts[] = {
		[END_NONE] = "open",
		[END_PEER_FIN] = "the peer closed (FIN)",
		[END_PEER_RESET] = "the peer reset (RST)",
		[END_LOCAL_CLOSE] = "nginx closed",
		[END_LOCAL_RESET] = "nginx closed with unread bytes (RST)",
		[END_CONNECT_FAILED] = "never connected",
		[END_WORKER_EXIT] = "the worker ended",
		[END_KERNEL] = "the kernel gave up",
	};

	return ending < sizeof(texts) / sizeof(*texts) ? texts[ending] : "unknown";
}

/* All codes of a queue in one fact: so many that each can be found again. */
static void add_errors(struct verdict *verdict, const char *what, const struct record_error *errors,
		       int count)
{
	char error[FACTS_TEXT], all[4 * FACTS_TEXT];
	size_t used = 0;

	if (!count)
		return;
	for (int i = 0; i < count && used + FACTS_TEXT + 2 < sizeof(all); i++)
		used += (size_t)snprintf(all + used, sizeof(all) - used, "%s%s", i ? "; " : "",
					 facts_say_error(&errors[i], error));
	verdict_fact(verdict, "%s: %s", what, all);
}

static void add_facts(struct verdict *verdict, const struct facts *facts)
{
	const struct record *record = facts->record;
	char text[FACTS_TEXT];

	add_errors(verdict, "error", record->errors, record->error_count);
	add_errors(verdict, "drained inside the call", record->evidence_errors,
		   record->evidence_error_count);
	if (facts->alert_sent >= 0)
		verdict_fact(verdict, "alert sent: %s", facts_say_alert(facts->alert_sent, text));
	if (facts->alert_received >= 0)
		verdict_fact(verdict, "alert received: %s",
			     facts_say_alert(facts->alert_received, text));
	if (record->verify.judged)
		verdict_fact(verdict, "certificate judged: %d %s", record->verify.code,
			     record->verify.text);
	if (facts->hello)
		verdict_fact(verdict, "offered: %s", facts_say_versions(facts, text));
	if (record->first_bytes.len && record->preface != PREFACE_TLS)
		verdict_fact(verdict, "first bytes: %s", facts_say_first_bytes(facts, text));
	if (record->sk_errno)
		verdict_fact(verdict, "end: %s, errno %d", ending_text(record->ending),
			     record->sk_errno);
	else if (record->ending != END_NONE)
		verdict_fact(verdict, "end: %s", ending_text(record->ending));
	add_errors(verdict, "drained elsewhere", record->evidence_errors,
		   record->evidence_error_count);
}

void diagnose_record(struct record *record)
{
	uint8_t side = record->side == SIDE_CLIENT ? CAUSE_CLIENT : CAUSE_UPSTREAM;
	struct verdict verdict = {.cause = &record->cause};
	struct facts facts;

	record->cause.id = record->cause.directive = NULL;
	record->cause.summary[0] = record->cause.fix[0] = '\0';
	record->cause.evidence_count = 0;
	if (record->outcome == OUTCOME_ESTABLISHED)
		return;
	facts_gather(&facts, record);
	verdict.facts = &facts;
	for (size_t i = 0; i < sizeof(rules) / sizeof(*rules); i++) {
		if (!(rules[i].sides & side) || !rules[i].match(&facts, &verdict))
			continue;
		verdict_fact(&verdict, "rule: %s", rules[i].name);
		add_facts(&verdict, &facts);
		return;
	}
	verdict_is(&verdict, CAUSE_UNCLASSIFIED,
		   "%s by no known cause; the connection ended thus: %s",
		   outcome_name(record->outcome), ending_text(record->ending));
	verdict_fact(&verdict, "rule: none");
	add_facts(&verdict, &facts);
}
