/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Certificate, CertificateRequest and ServerKeyExchange of TLS 1.2. The first byte chooses, the
 * next two are the cipher of the last.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#include "tls/handshake.h"
#include "tls/hello.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition))                                                                  \
			abort();                                                                   \
	} while (0)

#define SPANS 3

static void check_spans(const struct span *spans, int count, const uint8_t *body, size_t len)
{
	CHECK(count == -EBADMSG || (count >= 0 && count <= SPANS));
	for (int i = 0; i < count; i++) {
		CHECK(spans[i].len > 0);
		CHECK(spans[i].at >= body && spans[i].at + spans[i].len <= body + len);
		CHECK(i == 0 || spans[i].at > spans[i - 1].at);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span spans[SPANS];
	uint16_t cipher, group, signature;
	int err;

	if (size < 3)
		return 0;
	cipher = (uint16_t)(data[1] << 8 | data[2]);
	switch (data[0] % 3) {
	case 0:
		check_spans(spans, certificate_message_parse(data + 3, size - 3, spans, SPANS),
			    data + 3, size - 3);
		break;
	case 1:
		check_spans(spans, certificate_request_parse(data + 3, size - 3, spans, SPANS),
			    data + 3, size - 3);
		break;
	default:
		err = server_key_exchange_parse(data + 3, size - 3, cipher, &group, &signature);
		CHECK(err == 0 || err == -EBADMSG);
		CHECK(err == 0 || signature == 0);
		CHECK(handshake_name(data[0]) != NULL || handshake_letter(data[0]) == 0);
		break;
	}
	return 0;
}
