/* SPDX-License-Identifier: BSD-2-Clause */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "tls/proxy.h"
#include "tls/proxy_address.h"

#define V2_SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define V2_TCP4                                                                                    \
	V2_SIGNATURE "\x21\x11\0\x0c"                                                              \
		     "\xc0\0\x02\x01\x7f\0\0\x01\xc3\x50\x01\xbb"
#define V2_TCP6                                                                                    \
	V2_SIGNATURE "\x21\x21\0\x24"                                                              \
		     "\x20\x01\x0d\xb8\x12\x34\x56\x78\x9a\xbc\xde\xf0\x01\x02\x03\x04"            \
		     "\0\0\0\0\0\0\0\0\0\0\xff\xff\x7f\0\0\x09"                                    \
		     "\xc3\x50\x01\xbb"

#define PARSE(header, bytes) proxy_header_parse(header, (const uint8_t *)(bytes), sizeof(bytes) - 1)

Test(proxy, version_1)
{
	struct proxy_header header;
	static const uint8_t six[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 7};

	cr_assert_eq(PARSE(&header, "PROXY TCP4 192.0.2.17 127.0.0.1 50000 443\r\nGET /"), 0);
	cr_assert_eq(header.version, 1);
	cr_assert(header.known);
	cr_assert_eq(header.family, AF_INET);
	cr_assert_arr_eq(header.source, "\xc0\x00\x02\x11", 4);
	cr_assert_arr_eq(header.destination, "\x7f\x00\x00\x01", 4);
	cr_assert_eq(header.source_port, 50000);
	cr_assert_eq(header.destination_port, 443);
	cr_assert_eq(header.len, strlen("PROXY TCP4 192.0.2.17 127.0.0.1 50000 443\r\n"));

	cr_assert_eq(PARSE(&header, "PROXY TCP6 2001:db8::7 ::1 1 65535\r\n"), 0);
	cr_assert_eq(header.family, AF_INET6);
	cr_assert_arr_eq(header.source, six, 16);
	cr_assert_eq(header.destination_port, 65535);
}

Test(proxy, version_1_unknown)
{
	struct proxy_header header;

	cr_assert_eq(PARSE(&header, "PROXY UNKNOWN\r\n"), 0);
	cr_assert_not(header.known);
	cr_assert_eq(header.len, 15);
	cr_assert_eq(PARSE(&header, "PROXY UNKNOWN ffff:: ? 1 2 3\r\n\x16\x03"), 0);
	cr_assert_not(header.known);
	cr_assert_eq(header.len, 30);
}

Test(proxy, broken_version_1)
{
	static const char *const lines[] = {
		"PROXY \r\n",
		"PROXY TCP5 1.2.3.4 1.2.3.4 1 2\r\n",
		"PROXY TCP4\r\n",
		"PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n",
		"PROXY TCP4 1.2.3.4 1.2.3.4 1 \r\n",
		"PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n",
		"PROXY TCP4  1.2.3.4 1.2.3.4 1 2\r\n",
		"PROXY TCP4 1.2.3 1.2.3.4 1 2\r\n",
		"PROXY TCP4 1.2.3.256 1.2.3.4 1 2\r\n",
		"PROXY TCP4 1.2.3.4.5 1.2.3.4 1 2\r\n",
		"PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n",
		"PROXY TCP4 1.2.3.4 1.2.3.4 -1 2\r\n",
		"PROXY TCP4 1.2.3.4 1.2.3.4 000001 2\r\n",
		"PROXY TCP4 ::1 ::1 1 2\r\n",
		"PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n",
		"PROXY TCP6 1::2::3 ::1 1 2\r\n",
	};

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct proxy_header header;

		cr_assert_eq(
			proxy_header_parse(&header, (const uint8_t *)lines[i], strlen(lines[i])),
			-EBADMSG, "%s", lines[i]);
		cr_assert_not(header.known);
	}
}

Test(proxy, version_1_may_not_be_longer_than_107)
{
	struct proxy_header header;
	char line[200] = "PROXY UNKNOWN ";

	memset(line + strlen(line), 'x', 93);
	cr_assert_eq(strlen(line), 107);
	cr_assert_eq(proxy_header_parse(&header, (uint8_t *)line, 106), -EAGAIN);
	cr_assert_eq(proxy_header_parse(&header, (uint8_t *)line, 107), -EBADMSG);
	memcpy(line + 105, "\r\n", 2);
	cr_assert_eq(proxy_header_parse(&header, (uint8_t *)line, 107), 0);
	cr_assert_eq(header.len, 107);
	memcpy(line + 105, "x\r\n", 4);
	cr_assert_eq(proxy_header_parse(&header, (uint8_t *)line, 108), -EBADMSG);
}

Test(proxy, version_2)
{
	struct proxy_header header;

	cr_assert_eq(PARSE(&header, V2_TCP4 "\x16\x03\x01"), 0);
	cr_assert_eq(header.version, 2);
	cr_assert(header.known);
	cr_assert_eq(header.family, AF_INET);
	cr_assert_arr_eq(header.source, "\xc0\x00\x02\x01", 4);
	cr_assert_arr_eq(header.destination, "\x7f\x00\x00\x01", 4);
	cr_assert_eq(header.source_port, 50000);
	cr_assert_eq(header.destination_port, 443);
	cr_assert_eq(header.len, 28);

	cr_assert_eq(PARSE(&header, V2_TCP6), 0);
	cr_assert_eq(header.family, AF_INET6);
	cr_assert_eq(header.source[0], 0x20);
	cr_assert_eq(header.destination[15], 9);
	cr_assert_eq(header.source_port, 50000);
	cr_assert_eq(header.len, 52);
}

Test(proxy, version_2_without_addresses)
{
	struct proxy_header header;

	/* LOCAL; AF_UNSPEC with a TLV; a socket of AF_UNIX; UDP; what no document defines. */
	cr_assert_eq(PARSE(&header, V2_SIGNATURE "\x20\0\0\0"), 0);
	cr_assert_not(header.known);
	cr_assert_eq(header.len, 16);
	cr_assert_eq(PARSE(&header, V2_SIGNATURE "\x21\0\0\x04\x04\0\x01\0"), 0);
	cr_assert_not(header.known);
	cr_assert_eq(header.len, 20);
	cr_assert_eq(PARSE(&header, V2_SIGNATURE "\x21\x31\0\x01x"), 0);
	cr_assert_not(header.known);
	cr_assert_eq(PARSE(&header, V2_SIGNATURE "\x21\x12\0\0"), 0);
	cr_assert_not(header.known);
	cr_assert_eq(PARSE(&header, V2_SIGNATURE "\x2f\x11\0\0"), 0);
	cr_assert_not(header.known);
}

Test(proxy, version_2_with_extras)
{
	struct proxy_header header;

	cr_assert_eq(PARSE(&header, V2_SIGNATURE "\x21\x11\0\x10"
						 "\x01\x02\x03\x04\x05\x06\x07\x08\0\x01\0\x02"
						 "\x04\0\x01\0"),
		     0);
	cr_assert(header.known);
	cr_assert_eq(header.len, 32);
	cr_assert_eq(header.destination_port, 2);
}

Test(proxy, broken_version_2)
{
	struct proxy_header header;

	cr_assert_eq(PARSE(&header, V2_SIGNATURE "\x11\x11\0\x0c"), -EBADMSG);
	cr_assert_eq(PARSE(&header, V2_SIGNATURE "\x31"), -EBADMSG);
	cr_assert_eq(PARSE(&header, V2_SIGNATURE "\x21\x11\0\x0b"
						 "0123456789a"),
		     -EBADMSG);
	cr_assert_eq(PARSE(&header, V2_SIGNATURE "\x21\x21\0\x0c"
						 "0123456789ab"),
		     -EBADMSG);
	cr_assert_not(header.known);
}

Test(proxy, something_else)
{
	struct proxy_header header;

	cr_assert_eq(PARSE(&header, "GET / HTTP/1.1\r\n"), -ENOENT);
	cr_assert_eq(PARSE(&header, "\x16\x03\x01"), -ENOENT);
	cr_assert_eq(PARSE(&header, "PROXX"), -ENOENT);
	cr_assert_eq(PARSE(&header, "PROXY\r\n"), -ENOENT);
	cr_assert_eq(PARSE(&header, "\r\n\r\n\r"), -ENOENT);
}

Test(proxy, every_beginning_asks_for_more)
{
	static const struct {
		const char *bytes;
		size_t len;
	} headers[] = {
		{V2_TCP4, sizeof(V2_TCP4) - 1},
		{V2_TCP6, sizeof(V2_TCP6) - 1},
		{"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n", 32},
	};

	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
		struct proxy_header header;

		for (size_t len = 0; len < headers[i].len; len++)
			cr_assert_eq(
				proxy_header_parse(&header, (const uint8_t *)headers[i].bytes, len),
				-EAGAIN, "header %zu cut to %zu", i, len);
		cr_assert_eq(proxy_header_parse(&header, (const uint8_t *)headers[i].bytes,
						headers[i].len),
			     0);
	}
}

static void anonymized(const char *before, const char *after)
{
	uint8_t bytes[256];
	size_t len = strlen(before);
	struct proxy_header header;

	memcpy(bytes, before, len);
	proxy_header_anonymize(bytes, len);
	cr_assert_eq(strlen(after), len);
	cr_assert(!memcmp(bytes, after, len), "%.*s, not %s", (int)len, (char *)bytes, after);
	/* What could be read before can be read after. */
	if (proxy_header_parse(&header, (const uint8_t *)before, len) == 0)
		cr_assert_eq(proxy_header_parse(&header, bytes, len), 0);
}

Test(proxy, version_1_anonymized)
{
	anonymized("PROXY TCP4 192.0.2.217 127.0.0.1 50000 443\r\nGET 9",
		   "PROXY TCP4 192.0.2.000 127.0.0.0 50000 443\r\nGET 9");
	anonymized("PROXY TCP6 2001:db8:12:34:5678:9abc:def0:1234 ::1 50000 443\r\n",
		   "PROXY TCP6 2001:db8:12:00:0000:0000:0000:0000 ::0 50000 443\r\n");
	anonymized("PROXY TCP6 2001:db8::ff:1 fe80::1 50000 443\r\n",
		   "PROXY TCP6 2001:db8::00:0 fe80::0 50000 443\r\n");
	anonymized("PROXY TCP6 ::ffff:192.0.2.217 ::ffff:c000:2d9 1 2\r\n",
		   "PROXY TCP6 ::ffff:192.0.2.000 ::ffff:c000:200 1 2\r\n");
	anonymized("PROXY UNKNOWN 2001:db8:1:2::3 1.2.3.4 1 2\r\n",
		   "PROXY UNKNOWN 2001:db8:1:0::0 1.2.3.0 1 2\r\n");
	anonymized("PROXY UNKNOWN\r\n", "PROXY UNKNOWN\r\n");
}

Test(proxy, broken_ones_anonymized)
{
	anonymized("PROXY TCP4  192.0.2.217 127.0.0.1", "PROXY TCP4  192.0.2.000 127.0.0.0");
	anonymized("PROXY 192.0.2.217 host.example\r\n", "PROXY 192.0.2.000 0000.0000000\r\n");
	anonymized("PROXY TCP4 192.0.2.217\t9 1\r\n", "PROXY TCP4 000.0.0.000\t0 1\r\n");
	anonymized("GET 192.0.2.217", "GET 192.0.2.217");
}

Test(proxy, version_2_anonymized)
{
	uint8_t bytes[sizeof(V2_TCP6) - 1];
	struct proxy_header header;

	memcpy(bytes, V2_TCP4, sizeof(V2_TCP4) - 1);
	proxy_header_anonymize(bytes, sizeof(V2_TCP4) - 1);
	cr_assert_eq(proxy_header_parse(&header, bytes, sizeof(V2_TCP4) - 1), 0);
	cr_assert_arr_eq(header.source, "\xc0\x00\x02\x00", 4);
	cr_assert_arr_eq(header.destination, "\x7f\x00\x00\x00", 4);
	cr_assert_eq(header.source_port, 50000);

	memcpy(bytes, V2_TCP6, sizeof(V2_TCP6) - 1);
	proxy_header_anonymize(bytes, sizeof(V2_TCP6) - 1);
	cr_assert_eq(proxy_header_parse(&header, bytes, sizeof(V2_TCP6) - 1), 0);
	cr_assert_arr_eq(header.source, "\x20\x01\x0d\xb8\x12\x34\0\0\0\0\0\0\0\0\0\0", 16);
	cr_assert_arr_eq(header.destination, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x7f\0\0\0", 16);
	cr_assert_eq(header.destination_port, 443);
}

/* libc's parser is the judge of ours, bar leading zeros. */
Test(proxy, addresses_as_libc_reads_them)
{
	static const char *const texts[] = {
		"::",
		"::1",
		"1::",
		"1:2:3:4:5:6:7:8",
		"1:2:3:4:5:6:7::",
		"::2:3:4:5:6:7:8",
		"2001:DB8::a",
		"::ffff:1.2.3.4",
		"1:2:3:4:5:6:1.2.3.4",
		"::1.2.3.4",
		"64:ff9b::8.8.8.8",
		"",
		":",
		":::",
		"1",
		"1:",
		":1",
		"1:2:3:4:5:6:7",
		"1:2:3:4:5:6:7:8:9",
		"1::2::3",
		"12345::",
		"g::",
		"1:2:3:4:5:6:7:1.2.3.4",
		"::1.2.3",
		"::1.2.3.4:5",
		"1:2:3:4:5:6:7:8::",
		"::1.2.3.256",
		"1.2.3.4",
		"fe80::1%lo",
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct span text = {.at = (const uint8_t *)texts[i], .len = strlen(texts[i])};
		uint8_t ours[16] = {0}, theirs[16] = {0};
		bool good = inet_pton(AF_INET6, texts[i], theirs) == 1;

		cr_assert_eq(proxy_address_parse6(text, ours), good, "%s", texts[i]);
		if (good)
			cr_assert_arr_eq(ours, theirs, 16, "%s", texts[i]);
	}
}
