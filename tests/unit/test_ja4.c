/* SPDX-License-Identifier: BSD-2-Clause */
#include <criterion/criterion.h>
#include <string.h>

#include "tls/ja4.h"
#include "unit/hellos.h"

static void fingerprint_of(const char *hex, char transport, char out[static JA4_SIZE])
{
	struct hello_bytes bytes = hello_bytes(hex);
	struct client_hello hello;

	cr_assert_eq(client_hello_parse(&hello, bytes.at + 9, bytes.len - 9), 0);
	ja4_fingerprint(&hello, transport, out);
	cr_assert_eq(strlen(out), JA4_SIZE - 1);
}

/* The example of FoxIO's JA4.md: its ciphers, extensions and signature algorithms. */
Test(ja4, published_example)
{
	char out[JA4_SIZE];

	fingerprint_of(hello_chrome, 't', out);
	cr_assert_str_eq(out, "t13d1516h2_8daaf6152771_e5627efa2ab1");
	fingerprint_of(hello_chrome, 'q', out);
	cr_assert_str_eq(out, "q13d1516h2_8daaf6152771_e5627efa2ab1");
}

/* The fingerprint published for Chrome with ECH and the new ALPS code point. */
Test(ja4, chrome_with_post_quantum_share)
{
	char out[JA4_SIZE];

	fingerprint_of(hello_post_quantum, 't', out);
	cr_assert_str_eq(out, "t13d1516h2_8daaf6152771_d8a2da3f94cd");
}

/* Computed with FoxIO's rules in another program (Python's hashlib) from the same captures. */
Test(ja4, real_clients)
{
	char out[JA4_SIZE];

	fingerprint_of(hello_openssl, 't', out);
	cr_assert_str_eq(out, "t13d3111h2_e8f1e7e78f70_1f22a2ca17c4");
	fingerprint_of(hello_openssl_tls12, 't', out);
	cr_assert_str_eq(out, "t12d280700_d943125447b4_e7e480e5a997");
	fingerprint_of(hello_openssl_bare, 't', out);
	cr_assert_str_eq(out, "t13i050900_0afc1687a68f_78f1d400d464");
	fingerprint_of(hello_curl, 't', out);
	cr_assert_str_eq(out, "t13d3112h2_e8f1e7e78f70_b26ce05bbdd6");
	fingerprint_of(hello_gnutls, 't', out);
	cr_assert_str_eq(out, "t13d291300_723694b0fccc_2cc26d266019");
	fingerprint_of(hello_python, 't', out);
	cr_assert_str_eq(out, "t13d1812h1_85036bcba153_d41ae481755e");
}

static struct span span(const void *bytes, size_t len)
{
	return (struct span){.at = bytes, .len = len};
}

Test(ja4, nothing_to_hash)
{
	struct client_hello hello = {.legacy_version = 0x0301};
	char out[JA4_SIZE];

	ja4_fingerprint(&hello, 't', out);
	cr_assert_str_eq(out, "t10i000000_000000000000_000000000000");
	/* SNI and ALPN are counted, but no part of the hash. */
	hello.has_sni = true;
	hello.extensions = span("\0\0\0\0\0\x10\0\0", 8);
	ja4_fingerprint(&hello, 't', out);
	cr_assert_str_eq(out, "t10d000200_000000000000_000000000000");
}

Test(ja4, without_signature_algorithms_no_underscore)
{
	/* JA4.md: 0005,000a,000b,000d,0012,0015,0017,001b,0023,002b,002d,0033,4469,ff01 */
	static const uint8_t extensions[] = {
		0xff, 0x01, 0, 0, 0, 0x05, 0, 0, 0, 0x0a, 0, 0, 0,    0x0b, 0, 0, 0, 0x0d, 0, 0,
		0,    0x12, 0, 0, 0, 0x15, 0, 0, 0, 0x17, 0, 0, 0,    0x1b, 0, 0, 0, 0x23, 0, 0,
		0,    0x2b, 0, 0, 0, 0x2d, 0, 0, 0, 0x33, 0, 0, 0x44, 0x69, 0, 0,
	};
	struct client_hello hello = {.legacy_version = 0x0303};
	char out[JA4_SIZE];

	hello.extensions = span(extensions, sizeof(extensions));
	ja4_fingerprint(&hello, 't', out);
	cr_assert_str_eq(out, "t12i001400_000000000000_6d807ffa2a79");
}

Test(ja4, versions)
{
	static const struct {
		uint16_t version;
		const char *code;
	} table[] = {
		{0x0304, "t13"}, {0x0303, "t12"}, {0x0302, "t11"}, {0x0301, "t10"},
		{0x0300, "ts3"}, {0x0002, "ts2"}, {0xfefd, "td2"}, {0x7f1c, "t00"},
	};
	char out[JA4_SIZE];

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct client_hello hello = {.legacy_version = table[i].version};

		ja4_fingerprint(&hello, 't', out);
		cr_assert(!strncmp(out, table[i].code, 3), "%s, not %s", out, table[i].code);
	}
}

/* JA4.md, "ALPN Extension Value". */
Test(ja4, alpn)
{
	static const struct {
		const char *list;
		size_t len;
		const char *code;
	} table[] = {
		{"\2h2\10http/1.1", 12, "h2"},
		{"\10http/1.1\2h2", 12, "h1"},
		{"\1a", 2, "aa"},
		{"\1\xab", 2, "ab"},
		{"\2\xab\xcd", 3, "ad"},
		{"\2\x30\xab", 3, "3b"},
		{"\4\x30\x31\xab\xcd", 5, "3d"},
		{"\4\x30\xab\xcd\x31", 5, "01"},
		{"\0", 1, "00"},
		{"", 0, "00"},
		{"\5ab", 3, "00"},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct client_hello hello = {.has_alpn = true};
		char out[JA4_SIZE];

		hello.alpn = span(table[i].list, table[i].len);
		ja4_fingerprint(&hello, 't', out);
		cr_assert(!strncmp(out + 8, table[i].code, 2), "%zu: %s, not %s", i, out,
			  table[i].code);
	}
}

Test(ja4, counts_stop_at_99_and_grease_does_not_count)
{
	static uint8_t ciphers[2 * 8192];
	struct client_hello hello = {.legacy_version = 0x0303};
	char out[JA4_SIZE], first[JA4_SIZE];

	for (size_t i = 0; i < 8192; i++) {
		ciphers[2 * i] = (uint8_t)(i >> 8);
		ciphers[2 * i + 1] = (uint8_t)i;
	}
	hello.ciphers.bytes = span(ciphers, 2 * 99);
	ja4_fingerprint(&hello, 't', out);
	cr_assert(!strncmp(out, "t12i990000_", 11), "%s", out);
	hello.ciphers.bytes = span(ciphers, sizeof(ciphers));
	ja4_fingerprint(&hello, 't', first);
	cr_assert(!strncmp(first, "t12i990000_", 11), "%s", first);
	/* The last one is still hashed. */
	ciphers[sizeof(ciphers) - 1] ^= 1;
	ja4_fingerprint(&hello, 't', out);
	cr_assert_str_neq(out, first);
	hello.ciphers.bytes = span("\x0a\x0a\x13\x01\xfa\xfa", 6);
	ja4_fingerprint(&hello, 't', out);
	cr_assert(!strncmp(out, "t12i010000_", 11), "%s", out);
}
