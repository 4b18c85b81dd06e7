/* SPDX-License-Identifier: BSD-2-Clause */
#include <criterion/criterion.h>
#include <errno.h>

#include "diagnose/causes.h"
#include "diagnose/diagnose.h"
#include "diagnose/reasons.h"
#include "diagnose/verify_codes.h"
#include "fixture_record.h"

#define SSL3(reason) (20u << 23 | (reason))

static const char *evidence_of(const struct record *record, const char *start)
{
	for (int i = 0; i < record->cause.evidence_count; i++)
		if (!strncmp(record->cause.evidence[i], start, strlen(start)))
			return record->cause.evidence[i] + strlen(start);
	return NULL;
}

/* Diagnoses, and checks cause, rule and a part of the summary; what every verdict must have, too.
 */
static void expect(struct record *record, const char *cause, const char *rule, const char *part)
{
	diagnose_record(record);
	cr_assert(record->cause.id);
	cr_assert_str_eq(record->cause.id, cause, "%s instead of %s: %s", record->cause.id, cause,
			 record->cause.summary);
	cr_assert_str_eq(evidence_of(record, "rule: "), rule);
	cr_assert(strstr(record->cause.summary, part), "\"%s\" is not in \"%s\"", part,
		  record->cause.summary);
	cr_assert(record->cause.fix[0]);
	cr_assert_not(strchr(record->cause.fix, '{'), "%s", record->cause.fix);
	cr_assert_lt(strlen(record->cause.fix) + 1, sizeof(record->cause.fix), "cut: %s", cause);
	for (const char *c = record->cause.summary; *c; c++)
		cr_assert(*c >= 0x20 && *c < 0x7f);
}

static void expect_directive(const struct record *record, const char *directive)
{
	cr_assert(record->cause.directive);
	cr_assert_str_eq(record->cause.directive, directive);
}

/* A client's hello that offers TLS 1.2 alone. */
static struct client_hello hello_12(void)
{
	struct client_hello hello = fixture_hello();

	hello.has_versions = false;
	hello.versions = (struct code_list){0};
	return hello;
}

static struct record silent(enum outcome outcome, enum ending ending, enum preface preface)
{
	struct record record = fixture_failed(NULL, 0, NULL);

	record.outcome = outcome;
	record.ending = ending;
	record.preface = preface;
	record.handshake_calls = 0;
	return record;
}

static struct record upstream(const struct client_hello *hello, unsigned reason)
{
	struct record record = fixture_failed(hello, reason ? SSL3(reason) : 0, NULL);

	record.side = SIDE_UPSTREAM;
	record.peer = fixture_ipv4(10, 0, 3, 2, 8443);
	return record;
}

static struct record upstream_alert(const struct client_hello *hello, uint8_t alert)
{
	struct record record = upstream(hello, 1000u + alert);

	fixture_alert(&record, ALERT_RECEIVED, alert);
	return record;
}

static struct record client_alert(const struct client_hello *hello, uint8_t alert)
{
	struct record record = fixture_failed(hello, SSL3(1000u + alert), NULL);

	fixture_alert(&record, ALERT_RECEIVED, alert);
	return record;
}

/* ---- tables ---------------------------------------------------------------------------------- */

Test(diagnose, causes_are_whole)
{
	for (int i = CAUSE_NONE + 1; i < CAUSE_COUNT; i++) {
		const struct cause *cause = cause_at(i);

		cr_assert(cause->id && cause->meaning && cause->fix);
		cr_assert(cause->sides >= CAUSE_CLIENT && cause->sides <= CAUSE_BOTH);
		cr_assert_eq(cause_find(cause->id), cause, "%s is there twice", cause->id);
		cr_assert_eq(cause->sides == CAUSE_UPSTREAM, !strncmp(cause->id, "upstream-", 9));
		/* Nobody is told to stop verifying. */
		cr_assert_not(strstr(cause->fix, "verify off"));
	}
	cr_assert_null(cause_at(CAUSE_NONE));
	cr_assert_null(cause_at(CAUSE_COUNT));
	cr_assert_null(cause_find("no-such-cause"));
}

Test(diagnose, reasons_are_sorted_and_found)
{
	int last = -1, found = 0;

	for (unsigned number = 0; number < 1256; number++) {
		const struct reason *reason = reason_find(number);

		if (!reason)
			continue;
		cr_assert_eq(reason->number, number);
		cr_assert_gt((int)number, last);
		last = (int)number;
		found++;
	}
	cr_assert_gt(found, 300);
	cr_assert_str_eq(reason_find(258)->text, "unsupported protocol");
	cr_assert_eq(reason_find(1048)->client_cause, CAUSE_CLIENT_REJECTS_UNKNOWN_CA);
	cr_assert_eq(reason_find(1048)->upstream_cause, CAUSE_UPSTREAM_REJECTS_CLIENT_CERTIFICATE);
	cr_assert_eq(reason_find(110)->upstream_cause, CAUSE_UPSTREAM_MALFORMED);
	cr_assert_null(reason_find(99));
}

Test(diagnose, alert_that_a_reason_sends)
{
	cr_assert_eq(reason_alert_sent(258), 70);
	cr_assert_eq(reason_alert_sent(281), 20);
	cr_assert_eq(reason_alert_sent(443), 10);
	cr_assert_eq(reason_alert_sent(118), -1); /* 40 or 80 */
	cr_assert_eq(reason_alert_sent(110), -1); /* one of several */
	cr_assert_eq(reason_alert_sent(156), -1); /* none */
	cr_assert_eq(reason_alert_sent(99), -1);
}

Test(diagnose, verify_codes)
{
	cr_assert_str_eq(verify_code_find(10)->name, "X509_V_ERR_CERT_HAS_EXPIRED");
	cr_assert_eq(verify_code_find(23)->client_cause, CAUSE_CLIENT_CERTIFICATE_REVOKED);
	cr_assert_eq(verify_code_find(66)->upstream_cause, CAUSE_UPSTREAM_CERTIFICATE_WEAK);
	for (int code = 0; code <= 101; code++)
		cr_assert(verify_code_find(code), "%d", code);
	cr_assert_null(verify_code_find(102));
	cr_assert_null(verify_code_find(-1));
}

Test(diagnose, error_packing)
{
	struct error_parts parts = error_parts(0x0a000102, "error:0A000102:SSL routines::x");

	cr_assert(parts.library == 20 && parts.reason == 258 && !parts.system);
	parts = error_parts(0x14209102, "error:14209102:SSL routines:f:x");
	cr_assert(parts.library == 20 && parts.reason == 258 && !parts.system);
	parts = error_parts(0x02001002, "error:02001002:system library:fopen:No such file");
	cr_assert(parts.library == 2 && parts.reason == 2 && parts.system);
	parts = error_parts(0x80000002, NULL);
	cr_assert(parts.library == 0 && parts.reason == 2 && parts.system);
	parts = error_parts(0x02000086, "error:02000086:rsa routines::last octet invalid");
	cr_assert(parts.library == 4 && parts.reason == 134 && !parts.system);
	/* ERR_R_MALLOC_FAILURE has flag bits: they are part of ERR_GET_REASON. */
	parts = error_parts(0x0a0c0100, NULL);
	cr_assert(parts.library == 20 && parts.reason == 0xc0100);
	cr_assert_eq(error_ssl_reason(0x0a0c0100, NULL), 0x100);
	cr_assert_eq(error_ssl_reason(0x1c800066, NULL), -1);
	cr_assert_str_eq(error_reason_text("error:0A000102:SSL routines::a:b"), "a:b");
	cr_assert_null(error_reason_text("nonsense"));
	cr_assert_null(error_reason_text("error:0A000102:SSL routines"));
	cr_assert_null(error_reason_text(NULL));
}

Test(diagnose, established_has_no_cause)
{
	struct client_hello hello = fixture_hello();
	struct record record = fixture_record(&hello);

	diagnose_record(&record);
	cr_assert_null(record.cause.id);
	cr_assert_eq(record.cause.evidence_count, 0);
}

Test(diagnose, unclassified_keeps_its_evidence)
{
	struct record record = fixture_failed(NULL, SSL3(109), NULL);

	expect(&record, "unclassified", "none", "nginx closed");
	cr_assert(strstr(evidence_of(&record, "error: "), "0A00006D"));
	cr_assert_null(record.cause.directive);
}

/* ---- what the ClientHello offers ---------------------------------------------------------------
 */

Test(diagnose, version)
{
	static const uint8_t only_11[] = {3, 2}, only_13[] = {3, 4};
	struct client_hello hello = fixture_hello();
	struct record record;

	hello.versions.bytes = SPAN_OF(only_11);
	record = fixture_failed(&hello, SSL3(258),
				"error:0A000102:SSL routines::unsupported protocol");
	fixture_alert(&record, ALERT_SENT, 70);
	expect(&record, "client-protocol-too-old", "version", "at most TLSv1.1 for shop.test");
	expect_directive(&record, "ssl_protocols");
	cr_assert(strstr(record.cause.fix, "-connect 10.0.0.5:443 -servername shop.test -tls1_1 "));
	cr_assert_str_eq(evidence_of(&record, "alert sent: "), "protocol_version (70)");
	cr_assert_str_eq(evidence_of(&record, "error: "), "0A000102 unsupported protocol");
	hello.versions.bytes = SPAN_OF(only_13);
	record = fixture_failed(&hello, SSL3(258), NULL);
	expect(&record, "client-protocol-too-new", "version", "offered TLSv1.3");
	record = fixture_failed(&hello, SSL3(396), NULL);
	expect(&record, "client-protocol-too-old", "version", "at most TLSv1.3");
	record = fixture_failed(NULL, SSL3(258), NULL);
	expect(&record, "client-protocol-too-old", "version", "was not seen");
	hello = hello_12();
	record = client_alert(&hello, 70);
	expect(&record, "client-protocol-too-old", "version", "TLSv1.2");
	record = fixture_failed(&hello, 0, NULL);
	fixture_alert(&record, ALERT_SENT, 70);
	expect(&record, "client-protocol-too-old", "version", "TLSv1.2");
}

Test(diagnose, security_level)
{
	struct client_hello hello = {.legacy_version = 0x0302};
	struct record record = fixture_failed(&hello, SSL3(118), NULL);

	expect(&record, "client-protocol-too-old", "security-level", "@SECLEVEL");
	hello = fixture_hello();
	record = fixture_failed(&hello, SSL3(118), NULL);
	fixture_alert(&record, ALERT_SENT, 80);
	expect(&record, "client-protocol-too-old", "security-level", "TLSv1.1 or older");
}

Test(diagnose, signature)
{
	struct client_hello hello = fixture_hello();
	struct record record = fixture_failed(&hello, SSL3(118), NULL);

	hello.signature_algorithms.bytes = (struct span){fixture_signatures, 2};
	fixture_alert(&record, ALERT_SENT, 40);
	expect(&record, "no-shared-signature-algorithm", "signature", "ecdsa_secp256r1_sha256");
	record = fixture_failed(&hello, SSL3(376), NULL);
	expect(&record, "no-shared-signature-algorithm", "signature", "security level forbids");
	/* 193 below TLS 1.3: RSA ciphers that no RSA signature can serve. */
	hello = hello_12();
	hello.signature_algorithms.bytes = (struct span){fixture_signatures, 2};
	record = fixture_failed(&hello, SSL3(193), NULL);
	expect(&record, "no-shared-signature-algorithm", "cipher-signature",
	       "ecdsa_secp256r1_sha256");
}

Test(diagnose, group)
{
	static const uint8_t x25519[] = {0x00, 0x1d},
			     ecdhe[] = {0xc0, 0x2f, 0xc0, 0x30, 0x00, 0xff};
	struct client_hello hello = fixture_hello();
	struct record record;

	hello.groups.bytes = SPAN_OF(x25519);
	record = fixture_failed(&hello, SSL3(101), NULL);
	fixture_alert(&record, ALERT_SENT, 40);
	expect(&record, "no-shared-group", "group", "X25519");
	expect_directive(&record, "ssl_ecdh_curve");
	hello = hello_12();
	hello.groups.bytes = SPAN_OF(x25519);
	hello.ciphers.bytes = SPAN_OF(ecdhe);
	record = fixture_failed(&hello, SSL3(193), NULL);
	expect(&record, "no-shared-group", "cipher-group", "X25519");
}

Test(diagnose, key_share)
{
	struct client_hello hello = fixture_hello();
	struct record record = fixture_failed(&hello, SSL3(101), NULL);

	fixture_alert(&record, ALERT_SENT, 109);
	expect(&record, "malformed-hello", "key-share", "key_share");
	hello.has_key_share = false;
	record.alert_count = 0;
	expect(&record, "malformed-hello", "key-share", "key_share");
}

Test(diagnose, cipher)
{
	static const uint8_t one[] = {0xc0, 0x2f, 0x00, 0xff};
	static const uint8_t rsa[] = {0xc0, 0x2f, 0xc0, 0x30, 0x00, 0x9c};
	static const uint8_t ecdsa[] = {0xc0, 0x2b};
	static const uint8_t only_13[] = {3, 4};
	struct client_hello hello = hello_12();
	struct record record = fixture_failed(&hello, SSL3(193), NULL);

	hello.ciphers.bytes = SPAN_OF(one);
	expect(&record, "no-shared-cipher", "cipher", "ECDHE-RSA-AES128-GCM-SHA256");
	expect_directive(&record, "ssl_ciphers");
	hello.ciphers.bytes = SPAN_OF(rsa);
	expect(&record, "no-cipher-for-certificate-type", "cipher-certificate", "RSA certificates");
	hello.ciphers.bytes = SPAN_OF(ecdsa);
	expect(&record, "no-cipher-for-certificate-type", "cipher-certificate",
	       "ECDSA certificates");
	hello = fixture_hello();
	hello.versions.bytes = SPAN_OF(only_13);
	expect(&record, "no-shared-cipher", "cipher", "TLS_AES_256_GCM_SHA384");
	expect_directive(&record, "ssl_conf_command");
	record = fixture_failed(NULL, SSL3(193), NULL);
	expect(&record, "no-shared-cipher", "cipher", "unknown");
}

Test(diagnose, alpn)
{
	struct client_hello hello = fixture_hello();
	struct record record = fixture_failed(&hello, SSL3(235), NULL);

	expect(&record, "no-shared-alpn", "alpn", "h2, http/1.1");
	record = fixture_failed(&hello, 0, NULL);
	fixture_alert(&record, ALERT_SENT, 120);
	expect(&record, "no-shared-alpn", "alpn", "h2, http/1.1");
	record = client_alert(&hello, 120);
	expect(&record, "no-shared-alpn", "alpn", "h2, http/1.1");
}

Test(diagnose, sni_not_served)
{
	struct client_hello hello = fixture_hello();
	struct record record = fixture_failed(&hello, 0, NULL);

	fixture_alert(&record, ALERT_SENT, 112);
	expect(&record, "sni-not-served", "sni", "shop.test");
	record.errors[0].code = SSL3(234); /* with early data the code is logged */
	record.error_count = 1;
	expect(&record, "sni-not-served", "sni", "shop.test");
	hello.has_sni = false;
	record.sni = (struct span){0};
	expect(&record, "sni-not-served", "sni", "no SNI");
	cr_assert(strstr(evidence_of(&record, "rule: "), "sni"));
	record.sni = SPAN_TEXT("a\0b");
	record.errors[0].code = SSL3(110);
	expect(&record, "malformed-hello", "reason", "bad extension");
}

Test(diagnose, session_of_another_name)
{
	struct client_hello hello = fixture_hello();
	struct record record = fixture_failed(&hello, 0, NULL);

	fixture_alert(&record, ALERT_SENT, 49);
	expect(&record, "session-of-another-name", "session-name", "shop.test");
}

Test(diagnose, fallback)
{
	struct client_hello hello = hello_12();
	struct record record = fixture_failed(&hello, SSL3(373), NULL);

	expect(&record, "fallback-refused", "fallback", "TLSv1.2");
	record = fixture_failed(&hello, 0, NULL);
	fixture_alert(&record, ALERT_SENT, 86);
	expect(&record, "fallback-refused", "fallback", "TLSv1.2");
	record = client_alert(&hello, 86);
	expect(&record, "fallback-refused", "alert-named", "TLSv1.2");
}

/* ---- certificates
 * -------------------------------------------------------------------------------- */

Test(diagnose, client_refuses_the_certificate)
{
	static const struct {
		uint8_t alert;
		const char *cause;
	} cases[] = {
		{48, "client-rejects-unknown-ca"},  {45, "client-rejects-expired-certificate"},
		{41, "client-rejects-certificate"}, {42, "client-rejects-certificate"},
		{43, "client-rejects-certificate"}, {44, "client-rejects-certificate"},
		{46, "client-rejects-certificate"}, {49, "client-rejects-certificate"},
	};
	struct client_hello hello = fixture_hello();

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct record record = client_alert(&hello, cases[i].alert);

		expect(&record, cases[i].cause, "alert-certificate", "shop.test");
		expect_directive(&record, "ssl_certificate");
	}
}

/* An encrypted alert shows only in the reason. */
Test(diagnose, alert_known_from_the_reason_alone)
{
	struct client_hello hello = fixture_hello();
	struct record record = fixture_failed(&hello, SSL3(1048), NULL);

	expect(&record, "client-rejects-unknown-ca", "alert-certificate", "unknown_ca (48)");
	cr_assert_str_eq(evidence_of(&record, "alert received: "), "unknown_ca (48)");
}

Test(diagnose, client_ends_with_an_alert)
{
	static const uint8_t others[] = {0,  10, 20, 22, 30,  40,  47,	50,
					 51, 60, 71, 80, 109, 110, 112, 200};
	struct client_hello hello = fixture_hello();
	struct record record;

	for (size_t i = 0; i < sizeof(others); i++) {
		record = client_alert(&hello, others[i]);
		expect(&record, "client-aborts-with-alert", "alert",
		       "ended the handshake with alert");
	}
	record = client_alert(&hello, 121);
	expect(&record, "ech-refused", "alert-named", "shop.test");
	record = client_alert(&hello, 90);
	expect(&record, "client-closed-in-handshake", "alert-named", "user_canceled");
}

Test(diagnose, warning_alerts_decide_nothing)
{
	struct client_hello hello = fixture_hello();
	struct record record = fixture_failed(&hello, 0, NULL);

	record.alerts[0] = (struct record_alert){ALERT_RECEIVED, ALERT_FROM_WIRE, 1, 112};
	record.alert_count = 1;
	record.outcome = OUTCOME_ABORTED;
	record.ending = END_PEER_FIN;
	expect(&record, "client-closed-in-handshake", "peer-closed", "closed");
}

Test(diagnose, client_certificate_refused)
{
	static const struct {
		int code;
		const char *cause;
	} cases[] = {
		{21, "client-certificate-untrusted"}, {18, "client-certificate-untrusted"},
		{10, "client-certificate-expired"},   {9, "client-certificate-expired"},
		{23, "client-certificate-revoked"},   {12, "client-certificate-revoked"},
		{26, "client-certificate-purpose"},   {66, "client-certificate-weak"},
		{22, "client-certificate-depth"},
	};
	struct client_hello hello = fixture_hello();

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct record record = fixture_record(&hello);

		record.outcome = OUTCOME_REJECTED;
		record.verify = (struct record_verify){true, cases[i].code, "the text", NULL};
		expect(&record, cases[i].cause, "verify-code", "198.51.100.7:50122");
		cr_assert(strstr(record.cause.summary, "the text"));
	}
}

Test(diagnose, client_certificate_missing_or_refused_by_ocsp)
{
	struct client_hello hello = fixture_hello();
	struct record record = fixture_record(&hello);

	record.outcome = OUTCOME_REJECTED;
	expect(&record, "client-certificate-missing", "certificate-missing", "shop.test");
	record.verify = (struct record_verify){true, 0, "ok", NULL};
	expect(&record, "client-certificate-missing", "certificate-missing", "shop.test");
	record.client_certificate_seen = true;
	expect(&record, "client-certificate-status", "certificate-status", "OCSP");
	/* The second record of a connection, behind a PROXY header too. */
	record = fixture_record(NULL);
	record.outcome = OUTCOME_REJECTED;
	strcpy(record.previous, "4a1f-16");
	record.handshake_calls = 0;
	record.preface = PREFACE_PROXY_V1;
	record.proxy_header_seen = true;
	expect(&record, "client-certificate-missing", "certificate-missing", "requires one");
}

Test(diagnose, verify_code_without_refusal_is_evidence)
{
	struct record record = upstream(NULL, 0);

	record.verify = (struct record_verify){true, 19, "self-signed", NULL};
	record.outcome = OUTCOME_ABORTED;
	record.ending = END_PEER_FIN;
	expect(&record, "upstream-closed-in-handshake", "peer-closed", "closed");
	cr_assert_str_eq(evidence_of(&record, "certificate judged: "), "19 self-signed");
}

/* ---- first bytes
 * ----------------------------------------------------------------------------------- */

Test(diagnose, plain_http)
{
	struct record record = silent(OUTCOME_REJECTED, END_LOCAL_CLOSE, PREFACE_HTTP);

	record.first_bytes = SPAN_TEXT("GET");
	expect(&record, "plain-http-on-tls-port", "plain-http", "\"GET ...\"");
	expect_directive(&record, "listen");
	cr_assert_str_eq(evidence_of(&record, "first bytes: "), "GET");
	record = fixture_failed(NULL, SSL3(156), NULL); /* stream */
	record.preface = PREFACE_NONE;
	expect(&record, "plain-http-on-tls-port", "plain-http", "plain HTTP");
	record = fixture_failed(NULL, SSL3(155), NULL);
	expect(&record, "plain-http-on-tls-port", "plain-http", "plain HTTP");
}

Test(diagnose, proxy_missing)
{
	struct client_hello hello = fixture_hello();
	struct record record = silent(OUTCOME_REJECTED, END_LOCAL_RESET, PREFACE_TLS);

	record.hello = &hello;
	expect(&record, "proxy-protocol-missing", "proxy-missing", "a TLS record");
	record = silent(OUTCOME_REJECTED, END_LOCAL_RESET, PREFACE_HTTP);
	expect(&record, "proxy-protocol-missing", "proxy-missing", "an HTTP request");
}

Test(diagnose, proxy_broken)
{
	struct record record = silent(OUTCOME_REJECTED, END_LOCAL_RESET, PREFACE_PROXY_V1);

	record.first_bytes = SPAN_TEXT("PROXY TC");
	expect(&record, "proxy-protocol-broken", "proxy-broken", "PROXY TC");
	record.proxy_header_seen = true;
	record.first_bytes = SPAN_TEXT("PROXY FOO 1.");
	expect(&record, "proxy-protocol-broken", "proxy-broken", "PROXY FOO");
	record = silent(OUTCOME_ABORTED, END_PEER_FIN, PREFACE_PROXY_V2);
	expect(&record, "proxy-protocol-broken", "proxy-broken", "version 2");
	record = silent(OUTCOME_REJECTED, END_LOCAL_RESET, PREFACE_PROXY_V2);
	record.proxy_header_seen = true;
	expect(&record, "proxy-protocol-broken", "proxy-broken", "version 2");
}

Test(diagnose, proxy_unexpected)
{
	struct record record = silent(OUTCOME_REJECTED, END_LOCAL_CLOSE, PREFACE_PROXY_V1);

	record.first_bytes = SPAN_TEXT("PROXY TCP4 1");
	expect(&record, "proxy-protocol-unexpected", "proxy-unexpected", "PROXY protocol");
	record.proxy_header_seen = true;
	record.proxied_peer = fixture_ipv4(1, 2, 3, 4, 5);
	record.ending = END_LOCAL_RESET; /* HTTP 400, with the hello behind it unread */
	expect(&record, "proxy-protocol-unexpected", "proxy-unexpected", "PROXY protocol");
	record = fixture_failed(NULL, SSL3(267), NULL);
	record.preface = PREFACE_PROXY_V2;
	expect(&record, "proxy-protocol-unexpected", "proxy-unexpected", "PROXY protocol");
}

Test(diagnose, proxy_header_and_then_nothing)
{
	struct record record = silent(OUTCOME_ABORTED, END_PEER_FIN, PREFACE_PROXY_V1);

	record.proxy_header_seen = true;
	record.first_bytes = SPAN_TEXT("PROXY TCP4 1");
	record.proxied_peer = fixture_ipv4(1, 2, 3, 4, 5);
	expect(&record, "client-closed-before-hello", "peer-closed", "without");
	record.outcome = OUTCOME_TIMED_OUT;
	record.ending = END_LOCAL_CLOSE;
	expect(&record, "handshake-timeout", "timeout", "silent");
}

Test(diagnose, not_tls)
{
	static const enum preface prefaces[] = {PREFACE_SSH, PREFACE_SMTP, PREFACE_RDP,
						PREFACE_TEXT, PREFACE_BINARY};
	struct record record;

	for (size_t i = 0; i < sizeof(prefaces) / sizeof(*prefaces); i++) {
		record = silent(OUTCOME_REJECTED, END_LOCAL_CLOSE, prefaces[i]);
		expect(&record, "not-tls", "not-tls", preface_describe(prefaces[i]));
	}
	record.first_bytes = SPAN_TEXT("\x01\xff");
	expect(&record, "not-tls", "not-tls", "\\x01\\xff");
	record = fixture_failed(NULL, SSL3(267), NULL);
	record.preface = PREFACE_SSH;
	expect(&record, "not-tls", "not-tls", "SSH");
	record = fixture_failed(NULL, SSL3(252), NULL);
	record.preface = PREFACE_SSLV2;
	expect(&record, "not-tls", "not-tls", "SSLv2");
}

Test(diagnose, malformed)
{
	static const unsigned reasons[] = {159, 152, 198, 110, 244, 245, 187, 409, 443, 267, 146};
	struct client_hello hello = fixture_hello();

	for (size_t i = 0; i < sizeof(reasons) / sizeof(*reasons); i++) {
		struct record record = fixture_failed(&hello, SSL3(reasons[i]), NULL);

		expect(&record, "malformed-hello", "reason", reason_find(reasons[i])->text);
		record.side = SIDE_UPSTREAM;
		record.server_hello_seen = true;
		if (reasons[i] == 267)
			continue; /* a version: upstream-protocol-mismatch */
		expect(&record, "upstream-malformed", "reason", reason_find(reasons[i])->text);
	}
}

/* ---- endings
 * ----------------------------------------------------------------------------------------- */

Test(diagnose, client_leaves)
{
	struct client_hello hello = fixture_hello();
	struct record record = silent(OUTCOME_ABORTED, END_PEER_FIN, PREFACE_NONE);

	expect(&record, "client-closed-before-hello", "peer-closed", "closed the connection");
	record.ending = END_PEER_RESET;
	record.sk_errno = ECONNRESET;
	expect(&record, "client-closed-before-hello", "peer-closed", "reset the connection");
	cr_assert(strstr(evidence_of(&record, "end: "), "errno 104"));
	record = silent(OUTCOME_ABORTED, END_PEER_FIN, PREFACE_TLS);
	record.hello_incomplete = true;
	expect(&record, "client-closed-in-handshake", "peer-closed",
	       "in the middle of its ClientHello");
	record.ending = END_PEER_RESET;
	expect(&record, "client-reset-in-handshake", "peer-closed",
	       "in the middle of its ClientHello");
	record = fixture_failed(&hello, 0, NULL);
	record.outcome = OUTCOME_ABORTED;
	record.ending = END_PEER_FIN;
	record.server_hello_seen = true;
	expect(&record, "client-closed-in-handshake", "peer-closed", "after the server's flight");
	record.alerts[0] = (struct record_alert){ALERT_RECEIVED, ALERT_FROM_WIRE, 1, 0};
	record.alert_count = 1;
	expect(&record, "client-closed-with-notify", "peer-closed", "close_notify");
	record = fixture_failed(&hello, SSL3(294), NULL);
	expect(&record, "client-closed-in-handshake", "peer-closed", "closed");
}

Test(diagnose, timeouts)
{
	struct client_hello hello = fixture_hello();
	struct record record = silent(OUTCOME_TIMED_OUT, END_LOCAL_CLOSE, PREFACE_NONE);

	record.latency.total_us = 60001000;
	expect(&record, "handshake-timeout", "timeout",
	       "without sending a byte; nginx gave up (at 60.0 s)");
	record.hello = &hello;
	record.server_hello_seen = true;
	expect(&record, "handshake-timeout", "timeout", "after the server's flight");
	record.outcome = OUTCOME_ABORTED;
	record.ending = END_KERNEL;
	record.sk_errno = ETIMEDOUT;
	expect(&record, "handshake-timeout", "timeout", "the kernel gave up");
	record = upstream(&hello, 0);
	record.outcome = OUTCOME_TIMED_OUT;
	expect(&record, "upstream-timeout", "timeout", "10.0.3.2:8443");
	expect_directive(&record, "proxy_connect_timeout");
}

Test(diagnose, worker_exit)
{
	struct record record = silent(OUTCOME_ABORTED, END_WORKER_EXIT, PREFACE_TLS);

	expect(&record, "worker-exited", "worker-exit", "worker 815 exited");
	record.worker_exit_signal = 11;
	expect(&record, "worker-exited", "worker-exit", "signal 11 (Segmentation fault)");
	record.side = SIDE_UPSTREAM;
	expect(&record, "worker-exited", "worker-exit", "signal 11");
}

Test(diagnose, nginx_closes)
{
	struct record record = silent(OUTCOME_ABORTED, END_LOCAL_CLOSE, PREFACE_NONE);

	expect(&record, "worker-connections-exhausted", "local-close", "worker_connections");
	record.latency.total_us = 5000000;
	expect(&record, "unclassified", "none", "nginx closed");
	record.side = SIDE_UPSTREAM;
	expect(&record, "upstream-abandoned", "local-close", "its own client left");
}

Test(diagnose, renegotiation)
{
	struct record record = fixture_failed(NULL, SSL3(1040), NULL);

	strcpy(record.previous, "4a1f-16");
	record.tls.version = 0x0303;
	record.handshake_calls = 0;
	expect(&record, "renegotiation-refused", "renegotiation", "handshake_failure (40)");
	record.previous[0] = '\0';
	expect(&record, "client-aborts-with-alert", "alert", "handshake_failure (40)");
	record = fixture_failed(NULL, SSL3(339), NULL);
	expect(&record, "renegotiation-refused", "renegotiation", "no_renegotiation");
	record = client_alert(NULL, 100);
	expect(&record, "renegotiation-refused", "renegotiation", "100");
	record = fixture_failed(NULL, SSL3(337), NULL);
	expect(&record, "renegotiation-refused", "reason", "renegotiation");
}

/* ---- reasons
 * -------------------------------------------------------------------------------------------- */

Test(diagnose, decrypt)
{
	struct record record = fixture_failed(NULL, 0x1c800066, NULL);

	record.errors[1].code = SSL3(281);
	record.error_count = 2;
	expect(&record, "decrypt-failed", "decrypt", "decryption failed or bad record mac");
	record.errors[1].code = SSL3(313);
	expect(&record, "decrypt-failed", "decrypt", "could not be read");
	record.error_count = 1;
	fixture_alert(&record, ALERT_SENT, 20);
	expect(&record, "decrypt-failed", "decrypt", "could not be read");
	record = fixture_failed(NULL, SSL3(123), NULL);
	expect(&record, "decrypt-failed", "decrypt", "signature");
	record.side = SIDE_UPSTREAM;
	expect(&record, "decrypt-failed", "decrypt", "upstream's signature");
}

Test(diagnose, server_internal)
{
	struct record record = fixture_failed(NULL, SSL3(377), NULL);

	record.evidence_errors[0] = (struct record_error){
		0x80000002, "error:80000002:system library::No such file or directory",
		"calling fopen(/etc/x.pem, r)"};
	record.evidence_errors[1] = (struct record_error){
		0x10000080, "error:10000080:BIO routines::no such file", NULL};
	record.evidence_error_count = 2;
	expect(&record, "server-internal", "internal", "/etc/x.pem");
	cr_assert(
		strstr(evidence_of(&record, "drained inside the call: "), "10000080 no such file"));
	expect_directive(&record, "ssl_certificate");
	record = fixture_failed(NULL, SSL3(191), NULL);
	expect(&record, "server-internal", "internal", "no protocols available");
	expect_directive(&record, "ssl_protocols");
	record = fixture_failed(NULL, 0x80000018, NULL);
	expect(&record, "server-internal", "internal", "80000018");
	record = fixture_failed(NULL, 0, NULL);
	fixture_alert(&record, ALERT_SENT, 80);
	expect(&record, "server-internal", "internal-alert", "internal_error");
	record.errors[0].code = SSL3(109);
	record.error_count = 1;
	expect(&record, "server-internal", "internal-alert", "0A00006D");
}

Test(diagnose, session_ticket)
{
	struct record record = fixture_failed(NULL, SSL3(253), NULL);

	expect(&record, "session-ticket-rejected", "reason", "binder");
	expect_directive(&record, "ssl_session_ticket_key");
	record = upstream(NULL, 272);
	expect(&record, "session-ticket-rejected", "reason", "session");
	expect_directive(&record, "proxy_ssl_session_reuse");
}

/* ---- upstream
 * --------------------------------------------------------------------------------------------- */

Test(diagnose, upstream_connect)
{
	struct record record = upstream(NULL, 0);

	record.outcome = OUTCOME_ABORTED;
	record.ending = END_CONNECT_FAILED;
	record.sk_errno = ECONNREFUSED;
	expect(&record, "upstream-connect-failed", "connect", "Connection refused");
	record.outcome = OUTCOME_TIMED_OUT;
	record.sk_errno = 0;
	expect(&record, "upstream-timeout", "connect", "did not answer");
}

Test(diagnose, upstream_sni)
{
	struct client_hello hello = fixture_hello();
	struct record record = upstream_alert(&hello, 112);

	expect(&record, "upstream-unknown-sni", "upstream-sni", "shop.test");
	hello.has_sni = false;
	record = upstream_alert(&hello, 112);
	expect(&record, "upstream-needs-sni", "upstream-sni", "10.0.3.2:8443");
	expect_directive(&record, "proxy_ssl_server_name");
	record = upstream_alert(&hello, 40);
	expect(&record, "upstream-needs-sni", "upstream-sni", "handshake_failure (40)");
	record = upstream(&hello, 0);
	record.outcome = OUTCOME_ABORTED;
	record.ending = END_PEER_RESET;
	record.preface = PREFACE_NONE;
	expect(&record, "upstream-needs-sni", "reset-without-sni", "without SNI");
	hello.has_sni = true;
	record.sni = SPAN_TEXT("shop.test");
	expect(&record, "upstream-closed-in-handshake", "peer-closed", "reset the connection");
}

Test(diagnose, upstream_version)
{
	static const unsigned reasons[] = {258, 266, 267, 333, 373, 396};
	struct client_hello hello = fixture_hello();
	struct record record = upstream_alert(&hello, 70);

	expect(&record, "upstream-protocol-mismatch", "upstream-version", "TLSv1.3, TLSv1.2");
	for (size_t i = 0; i < sizeof(reasons) / sizeof(*reasons); i++) {
		record = upstream(&hello, reasons[i]);
		expect(&record, "upstream-protocol-mismatch", "upstream-version", "10.0.3.2:8443");
	}
}

Test(diagnose, upstream_no_shared_cipher)
{
	struct client_hello hello = fixture_hello();
	struct record record = upstream_alert(&hello, 40);

	expect(&record, "upstream-no-shared-cipher", "upstream-handshake-failure", "X25519");
	record = upstream_alert(&hello, 71);
	expect(&record, "upstream-no-shared-cipher", "upstream-handshake-failure", "ciphers");
	record = upstream(&hello, 261);
	expect(&record, "upstream-no-shared-cipher", "reason", "wrong cipher returned");
}

Test(diagnose, upstream_and_our_certificate)
{
	struct client_hello hello = fixture_hello();
	struct record record = upstream_alert(&hello, 116);

	expect(&record, "upstream-wants-client-certificate", "upstream-wants-certificate", "116");
	record = upstream_alert(&hello, 40);
	record.server_hello_seen = record.certificate_request_seen = true;
	record.tls.version = 0x0303;
	expect(&record, "upstream-wants-client-certificate", "upstream-wants-certificate", "40");
	record = upstream_alert(&hello, 48);
	record.server_hello_seen = record.certificate_request_seen = true;
	record.client_certificate_seen = true;
	record.tls.version = 0x0303;
	expect(&record, "upstream-rejects-client-certificate", "upstream-rejects-certificate",
	       "that nginx presented");
	record = upstream_alert(&hello, 48);
	record.tls.version = 0x0304;
	expect(&record, "upstream-rejects-client-certificate", "upstream-rejects-certificate",
	       "or the lack of one");
	record = upstream_alert(&hello, 48);
	record.server_hello_seen = true;
	record.tls.version = 0x0303;
	expect(&record, "upstream-aborts-with-alert", "upstream-alert", "unknown_ca (48)");
}

Test(diagnose, upstream_certificate_refused)
{
	static const struct {
		int code;
		const char *cause;
	} cases[] = {
		{21, "upstream-certificate-untrusted"}, {10, "upstream-certificate-expired"},
		{23, "upstream-certificate-revoked"},	{26, "upstream-certificate-purpose"},
		{66, "upstream-certificate-weak"},	{62, "upstream-certificate-name"},
	};
	struct client_hello hello = fixture_hello();
	struct record record;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		record = upstream(&hello, 0);
		record.outcome = OUTCOME_REJECTED;
		record.verify = (struct record_verify){true, cases[i].code, "the text", NULL};
		expect(&record, cases[i].cause, "verify-code", "10.0.3.2:8443");
	}
	record.verify.code = 22;
	expect(&record, "upstream-certificate-untrusted", "verify-code", "(22)");
	expect_directive(&record, "proxy_ssl_verify_depth");
	record.verify = (struct record_verify){true, 0, "ok", NULL};
	record.name_check_failed = true;
	expect(&record, "upstream-certificate-name", "name-check", "nginx expects");
	record.verify.expected_name = "nomatch.test";
	expect(&record, "upstream-certificate-name", "name-check", "\"nomatch.test\"");
	expect_directive(&record, "proxy_ssl_name");
}

Test(diagnose, upstream_not_tls)
{
	struct record record = upstream(NULL, 267);

	record.preface = PREFACE_HTTP_ANSWER;
	record.first_bytes = SPAN_TEXT("HTTP/1.1");
	expect(&record, "upstream-not-tls", "upstream-not-tls", "\"HTTP/1.1\"");
	expect_directive(&record, "proxy_pass");
	record = upstream(NULL, 0);
	record.outcome = OUTCOME_ABORTED;
	record.ending = END_PEER_FIN;
	record.preface = PREFACE_SMTP;
	expect(&record, "upstream-not-tls", "upstream-not-tls", "not TLS");
}

Test(diagnose, upstream_ends)
{
	struct client_hello hello = fixture_hello();
	struct record record = upstream_alert(&hello, 80);

	expect(&record, "upstream-aborts-with-alert", "upstream-alert", "internal_error (80)");
	record = upstream_alert(&hello, 90);
	expect(&record, "upstream-closed-in-handshake", "upstream-alert", "user_canceled");
	record = upstream(&hello, 0);
	record.outcome = OUTCOME_ABORTED;
	record.ending = END_PEER_FIN;
	expect(&record, "upstream-closed-in-handshake", "peer-closed", "closed the connection");
	record = upstream(&hello, 338);
	expect(&record, "upstream-legacy-renegotiation", "reason", "renegotiation");
	expect_directive(&record, "proxy_ssl_conf_command");
	record = upstream(&hello, 394);
	expect(&record, "upstream-certificate-weak", "reason", "dh key too small");
	record = upstream(&hello, 248);
	expect(&record, "upstream-malformed", "reason", "unknown cipher returned");
}

/* ---- what must not happen
 * --------------------------------------------------------------------------------- */

/* A fix is meant to be copied into a shell. */
Test(diagnose, hostile_sni_never_reaches_a_command)
{
	struct client_hello hello = fixture_hello();
	struct record record = client_alert(&hello, 48);

	record.sni = SPAN_TEXT("x';reboot;'");
	expect(&record, "client-rejects-unknown-ca", "alert-certificate", "reboot");
	cr_assert(strstr(record.cause.fix, "-servername NAME"));
	cr_assert_not(strstr(record.cause.fix, "reboot"));
	record.sni = SPAN_TEXT("-connect");
	diagnose_record(&record);
	cr_assert(strstr(record.cause.fix, "-servername NAME"));
	record.sni = SPAN_TEXT("\033[31m\xff");
	expect(&record, "client-rejects-unknown-ca", "alert-certificate", "\\x1b[31m\\xff");
}

/* Every reason on both sides, with longest names: a cause of that side, and nothing overruns. */
Test(diagnose, every_reason_has_a_cause_of_its_side)
{
	uint8_t name[255];
	struct client_hello hello = fixture_hello();

	memset(name, 'a', sizeof(name));
	hello.sni = SPAN_OF(name);
	for (int side = SIDE_CLIENT; side <= SIDE_UPSTREAM; side++) {
		for (unsigned reason = 100; reason < 1256; reason++) {
			struct record record = fixture_failed(&hello, SSL3(reason), NULL);
			const struct cause *cause;

			record.side = side;
			diagnose_record(&record);
			cause = cause_find(record.cause.id);
			cr_assert(cause, "%u", reason);
			cr_assert(cause->sides &
					  (side == SIDE_CLIENT ? CAUSE_CLIENT : CAUSE_UPSTREAM),
				  "%u gives %s", reason, cause->id);
			cr_assert(record.cause.evidence_count > 1);
		}
	}
}
