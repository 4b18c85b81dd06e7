/* SPDX-License-Identifier: BSD-2-Clause */
#include <criterion/criterion.h>

#include "diagnose/causes.h"
#include "diagnose/reasons.h"
#include "diagnose/verify_codes.h"
#include "fixture_diagnose.h"

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
	cr_assert_gt(found, 280);
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
