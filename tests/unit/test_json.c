/* SPDX-License-Identifier: BSD-2-Clause */
#include "fixture_json.h"

static struct written write_record(const struct record *record)
{
	struct written written = {0};
	FILE *file = open_memstream(&written.text, &written.len);
	struct output *output = output_json_new(file);

	cr_assert(output);
	cr_assert_eq(output->ops->connection(output, record), 0);
	cr_assert_eq(output->ops->flush(output), 0);
	output_destroy(output);
	fclose(file);
	written_parse(&written);
	return written;
}

Test(json, established_record_has_every_field)
{
	static const char *const keys[] = {
		"type",	     "schema",	   "id",    "previous",	       "time",	  "worker_pid",
		"side",	     "peer",	   "local", "proxied_peer",    "sni",	  "outcome",
		"tls",	     "offered",	   "error", "errno",	       "alerts",  "verify",
		"cause",     "latency_us", "tcp",   "handshake_calls", "history", "messages",
		"transport", "container",
	};
	struct client_hello hello = fixture_hello();
	struct record record = fixture_record(&hello);
	struct written written = write_record(&record);

	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		at(&written, keys[i], NULL);
	is_text(&written, "type", NULL, "connection");
	is_int(&written, "schema", NULL, 1);
	is_text(&written, "id", NULL, "4a1f-17");
	is_null(&written, "previous", NULL);
	is_text(&written, "time", NULL, "2026-07-26T12:04:31.204567Z");
	is_int(&written, "worker_pid", NULL, 815);
	is_text(&written, "side", NULL, "client");
	is_text(&written, "peer", "address", "198.51.100.7");
	is_int(&written, "peer", "port", 50122);
	is_text(&written, "local", "address", "10.0.0.5");
	is_int(&written, "local", "port", 443);
	is_null(&written, "proxied_peer", NULL);
	is_text(&written, "sni", NULL, "shop.test");
	is_text(&written, "outcome", NULL, "established");
	is_null(&written, "error", NULL);
	is_int(&written, "errno", NULL, 0);
	cr_assert_eq(YAJL_GET_ARRAY(at(&written, "alerts", NULL))->len, 0);
	is_null(&written, "verify", NULL);
	is_null(&written, "cause", NULL);
	is_int(&written, "handshake_calls", NULL, 2);
	is_text(&written, "history", NULL, "CsF");
	is_text(&written, "transport", NULL, "tcp");
	is_null(&written, "container", NULL);
	is_null(&written, "stale_errors", NULL);
	written_free(&written);
}

Test(json, tls_negotiated)
{
	struct client_hello hello = fixture_hello();
	struct record record = fixture_record(&hello);
	struct written written;

	record.tls = (struct record_tls){
		.version = 0x0303,
		.cipher = 0xc02f,
		.group = 0x0017,
		.signature_algorithm = 0x0804,
		.alpn = SPAN_TEXT("h2"),
		.resumed = YES,
		.resumption = RESUMPTION_SESSION_ID,
		.early_data = EARLY_DATA_ACCEPTED,
		.hello_retry = true,
		.ech = ECH_REFUSED,
	};
	written = write_record(&record);
	is_text(&written, "tls", "version", "TLSv1.2");
	is_text(&written, "tls", "cipher", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256");
	is_text(&written, "tls", "group", "secp256r1");
	is_text(&written, "tls", "signature_algorithm", "rsa_pss_rsae_sha256");
	is_text(&written, "tls", "alpn", "h2");
	cr_assert(YAJL_IS_TRUE(at(&written, "tls", "resumed")));
	is_text(&written, "tls", "resumption", "session_id");
	is_text(&written, "tls", "early_data", "accepted");
	cr_assert(YAJL_IS_TRUE(at(&written, "tls", "hello_retry")));
	is_text(&written, "tls", "ech", "refused");
	written_free(&written);
}

Test(json, tls_not_visible_is_null)
{
	struct record record = fixture_failed(NULL, 0, NULL);
	struct written written = write_record(&record);

	is_null(&written, "tls", "version");
	is_null(&written, "tls", "cipher");
	is_null(&written, "tls", "group");
	is_null(&written, "tls", "signature_algorithm");
	is_null(&written, "tls", "alpn");
	is_null(&written, "tls", "resumed");
	is_null(&written, "tls", "resumption");
	is_null(&written, "tls", "early_data");
	cr_assert(YAJL_IS_FALSE(at(&written, "tls", "hello_retry")));
	is_null(&written, "tls", "ech");
	is_null(&written, "offered", NULL);
	is_null(&written, "sni", NULL);
	is_null(&written, "error", NULL);
	written_free(&written);
}

Test(json, resumption_names)
{
	static const struct {
		enum resumption resumption;
		const char *name;
	} cases[] = {
		{RESUMPTION_PSK, "psk"},
		{RESUMPTION_TICKET, "ticket"},
		{RESUMPTION_REFUSED, "refused"},
	};
	struct record record = fixture_record(NULL);

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct written written;

		record.tls.resumption = cases[i].resumption;
		written = write_record(&record);
		is_text(&written, "tls", "resumption", cases[i].name);
		cr_assert(YAJL_IS_FALSE(at(&written, "tls", "resumed")));
		written_free(&written);
	}
}

Test(json, unknown_codes_are_hex)
{
	struct record record = fixture_record(NULL);
	struct written written;

	record.tls.cipher = 0xfefe;
	record.tls.group = 0xfeed;
	written = write_record(&record);
	is_text(&written, "tls", "cipher", "0xFEFE");
	is_text(&written, "tls", "group", "0xFEED");
	written_free(&written);
}

Test(json, offered)
{
	static const uint8_t ciphers[] = {0x1a, 0x1a, 0x13, 0x01, 0xc0, 0x2f, 0xfe, 0xfe};
	static const uint8_t groups[] = {0xba, 0xba, 0x00, 0x1d};
	static const uint8_t versions[] = {0x3a, 0x3a, 0x03, 0x04, 0x03, 0x03};
	static const uint8_t alpn[] = {2, 0x4a, 0x4a, 2, 'h', '2', 3, 'a', '"', 0xff};
	struct client_hello hello = fixture_hello();
	struct record record;
	struct written written;

	hello.ciphers.bytes = SPAN_OF(ciphers);
	hello.groups.bytes = SPAN_OF(groups);
	hello.versions.bytes = SPAN_OF(versions);
	hello.signature_algorithms.bytes = (struct span){fixture_signatures, 4};
	hello.alpn = SPAN_OF(alpn);
	record = fixture_record(&hello);
	written = write_record(&record);
	is_list(&written, "offered", "versions", "TLSv1.3 TLSv1.2");
	is_list(&written, "offered", "ciphers",
		"TLS_AES_128_GCM_SHA256 TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 0xFEFE");
	is_list(&written, "offered", "groups", "x25519");
	is_list(&written, "offered", "signature_algorithms",
		"ecdsa_secp256r1_sha256 ecdsa_secp384r1_sha384");
	is_list(&written, "offered", "alpn", "h2 a\"\xc3\xbf");
	is_text(&written, "offered", "ja4", record.ja4);
	written_free(&written);
}

Test(json, offered_by_an_old_client)
{
	static const uint8_t ciphers[] = {0x00, 0x2f};
	struct client_hello hello = {.legacy_version = 0x0302, .ciphers = {SPAN_OF(ciphers)}};
	struct record record = fixture_record(&hello);
	struct written written = write_record(&record);

	is_list(&written, "offered", "versions", "TLSv1.1");
	is_list(&written, "offered", "groups", "");
	is_list(&written, "offered", "alpn", "");
	is_null(&written, "sni", NULL);
	written_free(&written);
}

/* The second write of a hello comes from the cache; one that differs in a single code must not. */
Test(json, offered_is_remembered_exactly)
{
	static const uint8_t other[] = {0x13, 0x01, 0x13, 0x02};
	static const uint8_t greased[] = {0xda, 0xda, 0x13, 0x01, 0x13, 0x02};
	struct written written = {0};
	FILE *file = open_memstream(&written.text, &written.len);
	struct output *output = output_json_new(file);
	struct client_hello hello = fixture_hello();
	struct record record = fixture_record(&hello);
	char *lines[4], *rest;

	output->ops->connection(output, &record);
	output->ops->connection(output, &record);
	hello.ciphers.bytes = SPAN_OF(other);
	output->ops->connection(output, &record);
	hello.ciphers.bytes = SPAN_OF(greased);
	output->ops->connection(output, &record);
	cr_assert_eq(output->ops->flush(output), 0);
	output_destroy(output);
	fclose(file);
	rest = written.text;
	for (int i = 0; i < 4; i++) {
		lines[i] = strsep(&rest, "\n");
		cr_assert(lines[i]);
	}
	cr_assert_str_eq(lines[0], lines[1]);
	cr_assert_str_neq(lines[1], lines[2]);
	cr_assert(strstr(lines[2], "[\"TLS_AES_128_GCM_SHA256\",\"TLS_AES_256_GCM_SHA384\"]"));
	cr_assert_str_eq(lines[2], lines[3]);
	free(written.text);
}

/* More kinds of hello than the cache has room for: every line must still show its own. */
Test(json, offered_with_a_full_cache)
{
	struct written written = {0};
	FILE *file = open_memstream(&written.text, &written.len);
	struct output *output = output_json_new(file);
	struct client_hello hello = fixture_hello();
	struct record record = fixture_record(&hello);
	uint8_t ciphers[2];
	char *rest;

	hello.ciphers.bytes = SPAN_OF(ciphers);
	for (unsigned i = 0; i < 3000; i++) {
		ciphers[0] = 0x90 + i % 1500 / 256;
		ciphers[1] = (uint8_t)(i % 1500);
		output->ops->connection(output, &record);
	}
	output->ops->flush(output);
	output_destroy(output);
	fclose(file);
	rest = written.text;
	for (unsigned i = 0; i < 3000; i++) {
		char expected[32], *line = strsep(&rest, "\n");

		snprintf(expected, sizeof(expected), "\"ciphers\":[\"0x%02X%02X\"]",
			 0x90 + i % 1500 / 256, i % 1500 & 0xff);
		if (strstr(line, "\"ciphers\":[]")) /* a number that reads as GREASE */
			continue;
		cr_assert(strstr(line, expected), "%u: %s", i, expected);
	}
	free(written.text);
}

Test(json, error_of_openssl_3)
{
	struct record record = fixture_failed(
		NULL, 0x0a000418, "error:0A000418:SSL routines::tlsv1 alert unknown ca");
	struct written written;

	record.errors[0].data = "SSL alert number 48";
	written = write_record(&record);
	is_list(&written, "error", "queue", "0A000418");
	is_text(&written, "error", "code", "0A000418");
	is_int(&written, "error", "reason_number", 1048);
	is_text(&written, "error", "reason", "tlsv1 alert unknown ca");
	is_text(&written, "error", "text",
		"error:0A000418:SSL routines::tlsv1 alert unknown ca:SSL alert number 48");
	written_free(&written);
}

Test(json, error_of_openssl_111)
{
	struct record record =
		fixture_failed(NULL, 0x14209102,
			       "error:14209102:SSL routines:tls_early_post_process_client_hello:"
			       "unsupported protocol");
	struct written written = write_record(&record);

	is_text(&written, "error", "code", "14209102");
	is_int(&written, "error", "reason_number", 258);
	is_text(&written, "error", "reason", "unsupported protocol");
	written_free(&written);
}

/* What a certificate by variable makes: the code of libssl decides, wherever it stands. */
Test(json, error_queue_of_several)
{
	struct record record = fixture_failed(
		NULL, 0x1c800066, "error:1C800066:Provider routines::cipher operation failed");
	struct written written;

	record.errors[1] = (struct record_error){
		0x0a000119, "error:0A000119:SSL routines::decryption failed or bad record mac",
		NULL};
	record.error_count = 2;
	written = write_record(&record);
	is_list(&written, "error", "queue", "1C800066 0A000119");
	is_text(&written, "error", "code", "0A000119");
	is_int(&written, "error", "reason_number", 281);
	is_text(&written, "error", "text",
		"error:1C800066:Provider routines::cipher operation failed "
		"error:0A000119:SSL routines::decryption failed or bad record mac");
	written_free(&written);
}

Test(json, error_of_the_system)
{
	struct record record = fixture_failed(
		NULL, 0x80000002, "error:80000002:system library::No such file or directory");
	struct written written;

	record.errors[0].data = "calling fopen(/etc/a b.pem, r)";
	written = write_record(&record);
	is_text(&written, "error", "code", "80000002");
	is_int(&written, "error", "reason_number", 2);
	is_text(&written, "error", "text",
		"error:80000002:system library::No such file or directory:calling fopen(/etc/a "
		"b.pem, r)");
	written_free(&written);
}

Test(json, error_text_unknown_is_null)
{
	struct record record = fixture_failed(NULL, 0x0a0000c1, NULL);
	struct written written = write_record(&record);

	is_text(&written, "error", "code", "0A0000C1");
	is_int(&written, "error", "reason_number", 193);
	is_null(&written, "error", "reason");
	is_null(&written, "error", "text");
	written_free(&written);
	record = fixture_failed(NULL, 0x14201002, NULL); /* 1.1.1, told by its library byte */
	written = write_record(&record);
	is_int(&written, "error", "reason_number", 2);
	written_free(&written);
}

Test(json, stale_errors)
{
	struct record record = fixture_record(NULL);
	struct written written;

	record.stale_errors[0] = (struct record_error){
		0x0a000416, "error:0A000416:SSL routines::sslv3 alert certificate unknown",
		"SSL alert number 46"};
	record.stale_error_count = 1;
	strcpy(record.stale_of, "4a1f-3");
	written = write_record(&record);
	is_text(&written, "stale_errors", "of", "4a1f-3");
	is_list(&written, "stale_errors", "queue", "0A000416");
	is_text(&written, "stale_errors", "text",
		"error:0A000416:SSL routines::sslv3 alert certificate unknown:SSL alert number 46");
	is_null(&written, "error", NULL);
	written_free(&written);
}

Test(json, alerts)
{
	struct record record = fixture_failed(NULL, 0, NULL);
	struct written written;

	record.alerts[0] = (struct record_alert){ALERT_SENT, ALERT_FROM_WIRE, 2, 70};
	record.alerts[1] = (struct record_alert){ALERT_RECEIVED, ALERT_FROM_ERROR, 1, 201};
	record.alert_count = 2;
	written = write_record(&record);
	cr_assert(strstr(written.text,
			 "\"alerts\":[{\"direction\":\"sent\",\"level\":\"fatal\",\"number\":70,"
			 "\"name\":\"protocol_version\",\"from\":\"wire\"},"
			 "{\"direction\":\"received\",\"level\":\"warning\",\"number\":201,"
			 "\"name\":null,\"from\":\"error\"}]"));
	written_free(&written);
}

Test(json, verify)
{
	struct record record = fixture_record(NULL);
	struct written written;

	record.verify = (struct record_verify){true, 10, "certificate has expired", "backend.test"};
	written = write_record(&record);
	is_int(&written, "verify", "code", 10);
	is_text(&written, "verify", "text", "certificate has expired");
	is_null(&written, "verify", "depth");
	is_text(&written, "verify", "expected_name", "backend.test");
	is_null(&written, "verify", "certificate");
	is_null(&written, "verify", "requested_cas");
	is_null(&written, "error", NULL);
	written_free(&written);
}

Test(json, cause)
{
	struct record record = fixture_failed(NULL, 0, NULL);
	struct written written;

	record.cause.id = "no-shared-cipher";
	strcpy(record.cause.summary, "a \"summary\"\n");
	strcpy(record.cause.fix, "a fix");
	strcpy(record.cause.evidence[0], "rule: cipher");
	strcpy(record.cause.evidence[1], "error: x");
	record.cause.evidence_count = 2;
	written = write_record(&record);
	is_text(&written, "cause", "id", "no-shared-cipher");
	is_text(&written, "cause", "summary", "a \"summary\"\n");
	is_text(&written, "cause", "fix", "a fix");
	is_list(&written, "cause", "evidence", "rule: cipher error: x");
	is_null(&written, "cause", "directive");
	written_free(&written);
}

Test(json, latency_and_tcp)
{
	struct record record = fixture_record(NULL);
	struct written written = write_record(&record);

	is_int(&written, "latency_us", "total", 1204);
	is_null(&written, "latency_us", "tcp_connect");
	is_int(&written, "latency_us", "hello_wait", 310);
	is_int(&written, "latency_us", "pickup", 42);
	is_int(&written, "latency_us", "crypto", 801);
	is_int(&written, "latency_us", "peer_wait", 51);
	is_int(&written, "tcp", "rtt_us", 221);
	is_int(&written, "tcp", "retransmits", 0);
	is_null(&written, "tcp", "reset");
	written_free(&written);
	record.latency = (struct record_latency){-1, 0, -1, -1, -1, -1};
	record.rtt_us = -1;
	record.reset = RESET_BY_PEER;
	written = write_record(&record);
	is_null(&written, "latency_us", "total");
	is_int(&written, "latency_us", "tcp_connect", 0);
	is_null(&written, "tcp", "rtt_us");
	is_text(&written, "tcp", "reset", "peer");
	written_free(&written);
}

Test(json, messages)
{
	struct record record = fixture_record(NULL);
	struct written written;

	record.message_count = 3;
	record.messages[1] = (struct record_message){-5, ALERT_SENT, false, 99, 0};
	record.messages[2] = (struct record_message){900, ALERT_RECEIVED, true, 48, 2};
	written = write_record(&record);
	cr_assert(strstr(
		written.text,
		"\"messages\":[{\"offset_us\":310,\"direction\":\"received\","
		"\"type\":\"ClientHello\",\"facts\":[]},"
		"{\"offset_us\":-5,\"direction\":\"sent\",\"type\":\"handshake 99\",\"facts\":[]},"
		"{\"offset_us\":900,\"direction\":\"received\",\"type\":\"Alert\","
		"\"facts\":[\"fatal\",\"unknown_ca\"]}]"));
	written_free(&written);
}

Test(json, endpoints)
{
	struct record record = fixture_record(NULL);
	struct written written;

	record.side = SIDE_UPSTREAM;
	record.peer = (struct endpoint){AF_INET6, {0x20, 0x01, 0x0d, 0xb8, [15] = 1}, 65535};
	record.local = (struct endpoint){0};
	record.proxied_peer = fixture_ipv4(203, 0, 113, 9, 1);
	record.worker_pid = 0;
	strcpy(record.previous, "4a1f-16");
	written = write_record(&record);
	is_text(&written, "side", NULL, "upstream");
	is_text(&written, "peer", "address", "2001:db8::1");
	is_int(&written, "peer", "port", 65535);
	is_null(&written, "local", NULL);
	is_text(&written, "proxied_peer", "address", "203.0.113.9");
	is_null(&written, "worker_pid", NULL);
	is_text(&written, "previous", NULL, "4a1f-16");
	written_free(&written);
}

/* Every byte there is, in SNI and ALPN: one valid line, and nothing raw that a reader would obey.
 */
Test(json, hostile_bytes)
{
	uint8_t bytes[256], alpn[256];
	struct client_hello hello = fixture_hello();
	struct record record;
	struct written written;

	for (int i = 0; i < 256; i++)
		bytes[i] = (uint8_t)i;
	alpn[0] = 255;
	memcpy(alpn + 1, bytes, 255);
	hello.sni = SPAN_OF(bytes);
	hello.alpn = SPAN_OF(alpn);
	record = fixture_record(&hello);
	record.tls.alpn = SPAN_OF(bytes);
	strcpy(record.history, "C\"\\");
	written = write_record(&record);
	for (size_t i = 0; i + 1 < written.len; i++)
		cr_assert((uint8_t)written.text[i] >= 0x20 && (uint8_t)written.text[i] < 0x7f);
	cr_assert(strstr(written.text, "\\u0000\\u0001"));
	cr_assert(strstr(written.text, "\\u00fe\\u00ff\""));
	written_free(&written);
}

Test(json, empty_sni_is_not_null)
{
	struct client_hello hello = fixture_hello();
	struct record record;
	struct written written;

	hello.sni.len = 0;
	record = fixture_record(&hello);
	written = write_record(&record);
	is_text(&written, "sni", NULL, "");
	written_free(&written);
}

Test(json, times)
{
	static const struct {
		uint64_t ns;
		const char *text;
	} cases[] = {
		{0, "1970-01-01T00:00:00.000000Z"},
		{951782399999999999, "2000-02-28T23:59:59.999999Z"},
		{951782400000000000, "2000-02-29T00:00:00.000000Z"},
		{1735689600000001000, "2025-01-01T00:00:00.000001Z"},
		{4107542399000000000, "2100-02-28T23:59:59.000000Z"},
	};
	struct record record = fixture_record(NULL);

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct written written;

		record.time_ns = cases[i].ns;
		written = write_record(&record);
		is_text(&written, "time", NULL, cases[i].text);
		written_free(&written);
	}
}
