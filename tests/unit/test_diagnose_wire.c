/* SPDX-License-Identifier: BSD-2-Clause */
#include <criterion/criterion.h>
#include <errno.h>

#include "diagnose/reasons.h"
#include "fixture_diagnose.h"

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
		if (reasons[i] == 267 || reasons[i] == 187)
			continue; /* a version is upstream-protocol-mismatch; 187 is a server's */
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
