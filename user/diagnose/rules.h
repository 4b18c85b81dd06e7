/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A rule looks at the facts and either names the cause (true) or leaves everything untouched
 * (false). diagnose.c has their order; the first that matches decides.
 */
#ifndef TLSWHY_DIAGNOSE_RULES_H
#define TLSWHY_DIAGNOSE_RULES_H

#include "diagnose/facts.h"
#include "diagnose/verdict.h"

typedef bool rule_match(const struct facts *facts, struct verdict *verdict);

/* rules_wire.c: what came first was no TLS at all. */
rule_match rule_plain_http, rule_proxy_missing, rule_proxy_broken, rule_proxy_unexpected;
rule_match rule_not_tls, rule_upstream_not_tls;

/* rules_offer.c: what the ClientHello offers does not fit. */
rule_match rule_fallback, rule_security_level, rule_version, rule_alpn, rule_sni_not_served;
rule_match rule_session_of_another_name, rule_key_share, rule_group, rule_signature;
rule_match rule_cipher_certificate_type, rule_cipher_group, rule_cipher_signature, rule_cipher;

/* rules_certificate.c: certificates that the client or nginx refused. */
rule_match rule_client_alert_certificate, rule_client_alert_named, rule_client_alert;
rule_match rule_client_certificate_missing, rule_client_certificate_status;
rule_match rule_verify_code, rule_upstream_name;

/* rules_upstream.c: what an upstream said. */
rule_match rule_upstream_connect, rule_upstream_sni, rule_upstream_wants_certificate;
rule_match rule_upstream_rejects_certificate, rule_upstream_version,
	rule_upstream_handshake_failure;
rule_match rule_upstream_reset_without_sni, rule_upstream_alert;

/* rules_ending.c: nobody said anything; how the connection ended tells. */
rule_match rule_worker_exit, rule_timeout, rule_renegotiation, rule_peer_closed;
rule_match rule_local_close;

/* rules_table.c: what the reason's own row says. */
rule_match rule_decrypt, rule_internal, rule_reason, rule_internal_alert;

#endif
