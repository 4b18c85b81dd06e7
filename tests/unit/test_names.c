/* SPDX-License-Identifier: BSD-2-Clause */
#include <criterion/criterion.h>
#include <string.h>

#include "tls/names.h"

#define SAME(actual, expected) cr_assert_str_eq(actual, expected)

Test(names, versions_as_nginx_writes_them)
{
	SAME(name_version(0x0002), "SSLv2");
	SAME(name_version(0x0300), "SSLv3");
	SAME(name_version(0x0301), "TLSv1");
	SAME(name_version(0x0302), "TLSv1.1");
	SAME(name_version(0x0303), "TLSv1.2");
	SAME(name_version(0x0304), "TLSv1.3");
	cr_assert_null(name_version(0x0305));
	cr_assert_null(name_version(0x0000));
}

Test(names, ciphers)
{
	SAME(name_cipher(0x0000), "TLS_NULL_WITH_NULL_NULL");
	SAME(name_cipher(0x000a), "TLS_RSA_WITH_3DES_EDE_CBC_SHA");
	SAME(name_cipher(0x00ff), "TLS_EMPTY_RENEGOTIATION_INFO_SCSV");
	SAME(name_cipher(0x1301), "TLS_AES_128_GCM_SHA256");
	SAME(name_cipher(0x1303), "TLS_CHACHA20_POLY1305_SHA256");
	SAME(name_cipher(0x5600), "TLS_FALLBACK_SCSV");
	SAME(name_cipher(0xc02f), "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256");
	SAME(name_cipher(0xcca8), "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256");
	SAME(name_cipher(0xd005), "TLS_ECDHE_PSK_WITH_AES_128_CCM_SHA256");
	cr_assert_null(name_cipher(0x1308));
	cr_assert_null(name_cipher(0x0a0a));
	cr_assert_null(name_cipher(0xffff));
}

Test(names, openssl_names_of_ciphers)
{
	SAME(name_cipher_openssl(0x002f), "AES128-SHA");
	SAME(name_cipher_openssl(0x000a), "DES-CBC3-SHA");
	SAME(name_cipher_openssl(0x0005), "RC4-SHA");
	SAME(name_cipher_openssl(0x1301), "TLS_AES_128_GCM_SHA256");
	SAME(name_cipher_openssl(0xc02f), "ECDHE-RSA-AES128-GCM-SHA256");
	SAME(name_cipher_openssl(0xcca9), "ECDHE-ECDSA-CHACHA20-POLY1305");
	cr_assert_null(name_cipher_openssl(0x0000));
	cr_assert_null(name_cipher_openssl(0x00ff));
	cr_assert_null(name_cipher_openssl(0xffff));
}

/* Two numbers with one name would be a slip of the table. */
Test(names, no_cipher_name_twice)
{
	static const char *iana[65536], *openssl[65536];
	size_t count = 0, openssl_count = 0;

	for (uint32_t cipher = 0; cipher <= 0xffff; cipher++) {
		const char *name = name_cipher((uint16_t)cipher);
		const char *other = name_cipher_openssl((uint16_t)cipher);

		if (name) {
			cr_assert(!strncmp(name, "TLS_", 4), "%s", name);
			for (size_t i = 0; i < count; i++)
				cr_assert_str_neq(name, iana[i]);
			iana[count++] = name;
		}
		if (other) {
			cr_assert_not_null(name);
			for (size_t i = 0; i < openssl_count; i++)
				cr_assert_str_neq(other, openssl[i]);
			openssl[openssl_count++] = other;
		}
	}
	cr_assert_geq(count, 350);
	cr_assert_geq(openssl_count, 158);
}

Test(names, groups)
{
	SAME(name_group(23), "secp256r1");
	SAME(name_group(29), "x25519");
	SAME(name_group(26), "brainpoolP256r1");
	SAME(name_group(31), "brainpoolP256r1tls13");
	SAME(name_group(256), "ffdhe2048");
	SAME(name_group(260), "ffdhe8192");
	SAME(name_group(0x11eb), "SecP256r1MLKEM768");
	SAME(name_group(0x11ec), "X25519MLKEM768");
	SAME(name_group(0x11ed), "SecP384r1MLKEM1024");
	SAME(name_group(0x6399), "X25519Kyber768Draft00");
	SAME(name_group(0xff02), "arbitrary_explicit_char2_curves");
	cr_assert_null(name_group(0));
	cr_assert_null(name_group(0x11f0));
	cr_assert_null(name_group(0xffff));
}

Test(names, signature_schemes)
{
	SAME(name_signature_scheme(0x0101), "rsa_pkcs1_md5");
	SAME(name_signature_scheme(0x0201), "rsa_pkcs1_sha1");
	SAME(name_signature_scheme(0x0202), "dsa_sha1");
	SAME(name_signature_scheme(0x0203), "ecdsa_sha1");
	SAME(name_signature_scheme(0x0301), "rsa_pkcs1_sha224");
	SAME(name_signature_scheme(0x0403), "ecdsa_secp256r1_sha256");
	SAME(name_signature_scheme(0x0804), "rsa_pss_rsae_sha256");
	SAME(name_signature_scheme(0x0807), "ed25519");
	SAME(name_signature_scheme(0x080b), "rsa_pss_pss_sha512");
	SAME(name_signature_scheme(0x0905), "mldsa65");
	cr_assert_null(name_signature_scheme(0x0000));
	cr_assert_null(name_signature_scheme(0xffff));
}

Test(names, alerts)
{
	SAME(name_alert(0), "close_notify");
	SAME(name_alert(40), "handshake_failure");
	SAME(name_alert(48), "unknown_ca");
	SAME(name_alert(70), "protocol_version");
	SAME(name_alert(112), "unrecognized_name");
	SAME(name_alert(116), "certificate_required");
	SAME(name_alert(121), "ech_required");
	cr_assert_null(name_alert(1));
	cr_assert_null(name_alert(255));
}

Test(names, grease_is_two_equal_bytes_that_end_in_a)
{
	int count = 0;

	for (uint32_t value = 0; value <= 0xffff; value++)
		count += name_is_grease((uint16_t)value);
	cr_assert_eq(count, 16);
	cr_assert(name_is_grease(0x0a0a));
	cr_assert(name_is_grease(0xfafa));
	cr_assert_not(name_is_grease(0x0a1a));
	cr_assert_not(name_is_grease(0x1a0a));
}

Test(names, or_hex)
{
	char buf[8];

	SAME(name_or_hex(name_group(29), 29, buf, sizeof(buf)), "x25519");
	SAME(name_or_hex(NULL, 0xfe12, buf, sizeof(buf)), "0xFE12");
	SAME(name_or_hex(name_cipher(0x00fe), 0x00fe, buf, sizeof(buf)), "0x00FE");
}
