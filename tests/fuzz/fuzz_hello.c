/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ClientHello, SSLv2-style hello and ServerHello from the body on, and all that is made of them.
 * The first byte chooses the parser.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tls/hello.h"
#include "tls/ja4.h"
#include "tls/names.h"
#include "tls/preface.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition))                                                                  \
			abort();                                                                   \
	} while (0)

/* Whatever a parser says, its spans lie in what it was given. */
static void check_span(struct span span, const uint8_t *body, size_t len)
{
	if (!span.len)
		return;
	CHECK(span.at >= body && span.at + span.len <= body + len);
}

static volatile uint32_t sum;

static void read_list(const struct code_list *list, const uint8_t *body, size_t len)
{
	char buf[8];

	CHECK(list->bytes.len % 2 == 0);
	check_span(list->bytes, body, len);
	for (size_t i = 0; i < code_list_count(list); i++) {
		uint16_t code = code_list_at(list, i);

		sum += (uint32_t)name_or_hex(name_cipher(code), code, buf, sizeof(buf))[0];
		sum += (uint32_t)name_or_hex(name_group(code), code, buf, sizeof(buf))[0];
		sum += (uint32_t)name_or_hex(name_signature_scheme(code), code, buf,
					     sizeof(buf))[0];
		sum += name_cipher_openssl(code) != NULL;
	}
}

static void read_client(const struct client_hello *hello, const uint8_t *body, size_t len)
{
	char ja4[JA4_SIZE];

	check_span(hello->random, body, len);
	check_span(hello->session_id, body, len);
	check_span(hello->compression, body, len);
	check_span(hello->extensions, body, len);
	check_span(hello->sni, body, len);
	check_span(hello->alpn, body, len);
	read_list(&hello->versions, body, len);
	read_list(&hello->groups, body, len);
	read_list(&hello->signature_algorithms, body, len);
	CHECK(client_hello_min_version(hello) <= client_hello_max_version(hello));
	ja4_fingerprint(hello, 't', ja4);
	CHECK(strlen(ja4) == JA4_SIZE - 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct client_hello client;
	struct server_hello server;
	uint8_t ciphers[64];

	if (!size)
		return 0;
	sum += (uint32_t)preface_describe(preface_of(data, size))[0];
	switch (data[0] % 3) {
	case 0:
		client_hello_parse(&client, data + 1, size - 1);
		read_list(&client.ciphers, data + 1, size - 1);
		read_client(&client, data + 1, size - 1);
		break;
	case 1:
		client_hello_parse_sslv2(&client, data + 1, size - 1, ciphers, sizeof(ciphers));
		read_list(&client.ciphers, ciphers, sizeof(ciphers));
		read_client(&client, data + 1, size - 1);
		break;
	default:
		server_hello_parse(&server, data + 1, size - 1);
		check_span(server.random, data + 1, size - 1);
		check_span(server.session_id, data + 1, size - 1);
		check_span(server.alpn, data + 1, size - 1);
		break;
	}
	return 0;
}
