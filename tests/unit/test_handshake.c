/* SPDX-License-Identifier: BSD-2-Clause */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "tls/handshake.h"

Test(handshake, names_and_letters)
{
	cr_assert_str_eq(handshake_name(HANDSHAKE_HELLO_REQUEST), "HelloRequest");
	cr_assert_str_eq(handshake_name(HANDSHAKE_CLIENT_HELLO), "ClientHello");
	cr_assert_str_eq(handshake_name(HANDSHAKE_FINISHED), "Finished");
	cr_assert_str_eq(handshake_name(24), "KeyUpdate");
	cr_assert_null(handshake_name(7));
	cr_assert_null(handshake_name(255));
	cr_assert_eq(handshake_letter(HANDSHAKE_CLIENT_HELLO), 'c');
	cr_assert_eq(handshake_letter(HANDSHAKE_SERVER_HELLO), 's');
	cr_assert_eq(handshake_letter(HANDSHAKE_CERTIFICATE), 'x');
	cr_assert_eq(handshake_letter(HANDSHAKE_CLIENT_KEY_EXCHANGE), 'g');
	cr_assert_eq(handshake_letter(7), 0);
}

/* Every letter stands for one message alone, and none without a name. */
Test(handshake, letters_are_unique)
{
	bool seen[256] = {false};

	for (int type = 0; type < 256; type++) {
		unsigned char letter = (unsigned char)handshake_letter((uint8_t)type);

		if (!letter)
			continue;
		cr_assert(letter >= 'a' && letter <= 'z');
		cr_assert_not(seen[letter], "%c twice", letter);
		cr_assert_not_null(handshake_name((uint8_t)type));
		seen[letter] = true;
	}
}

Test(handshake, certificates)
{
	static const uint8_t body[] = {0, 0, 11, 0, 0, 3, 'o', 'n', 'e', 0, 0, 2, 't', 'w'};
	struct span spans[4];

	cr_assert_eq(certificate_message_parse(body, sizeof(body), spans, 4), 2);
	cr_assert_eq(spans[0].len, 3);
	cr_assert_arr_eq(spans[0].at, "one", 3);
	cr_assert_eq(spans[1].len, 2);
	cr_assert_arr_eq(spans[1].at, "tw", 2);
	/* No more than there is room for. */
	cr_assert_eq(certificate_message_parse(body, sizeof(body), spans, 1), 1);
	/* A client without one sends an empty list (RFC 5246 section 7.4.6). */
	cr_assert_eq(certificate_message_parse((const uint8_t *)"\0\0", 3, spans, 4), 0);
}

Test(handshake, broken_certificates)
{
	uint8_t body[] = {0, 0, 11, 0, 0, 3, 'o', 'n', 'e', 0, 0, 2, 't', 'w'};
	struct span spans[4];

	for (size_t len = 0; len < sizeof(body); len++)
		cr_assert_eq(certificate_message_parse(body, len, spans, 4), -EBADMSG);
	body[11] = 3;
	cr_assert_eq(certificate_message_parse(body, sizeof(body), spans, 4), -EBADMSG);
	body[11] = 1;
	cr_assert_eq(certificate_message_parse(body, sizeof(body), spans, 4), -EBADMSG);
	cr_assert_eq(certificate_message_parse((const uint8_t *)"\0\0\3\0\0", 6, spans, 4),
		     -EBADMSG);
}

Test(handshake, certificate_request)
{
	/* types; signature algorithms; two names. */
	static const uint8_t body[] = {2, 1, 64, 0,   4,   4,	3, 8, 4,   0,
				       9, 0, 3,	 'a', 'b', 'c', 0, 2, 'd', 'e'};
	/* TLS 1.1: no algorithms. */
	static const uint8_t older[] = {1, 1, 0, 5, 0, 3, 'a', 'b', 'c'};
	struct span names[4];

	cr_assert_eq(certificate_request_parse(body, sizeof(body), names, 4), 2);
	cr_assert_arr_eq(names[0].at, "abc", 3);
	cr_assert_eq(names[1].len, 2);
	for (size_t len = 0; len < sizeof(body); len++) {
		int count = certificate_request_parse(body, len, names, 4);

		/* Cut behind the algorithms it reads like an older one, with broken names. */
		cr_assert_eq(count, -EBADMSG, "cut to %zu: %d", len, count);
	}
	cr_assert_eq(certificate_request_parse(older, sizeof(older), names, 4), 1);
	cr_assert_arr_eq(names[0].at, "abc", 3);
	cr_assert_eq(certificate_request_parse((const uint8_t *)"\1\1\0\2\4\3\0", 8, names, 4), 0);
}
