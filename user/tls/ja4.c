/* SPDX-License-Identifier: BSD-2-Clause */
/* After FoxIO's technical_details/JA4.md; GREASE is ignored wherever it stands. */
/* OpenSSL 1.1's interface: 3.0's SHA256() looks the algorithm up at each call, twice the time. */
#define OPENSSL_API_COMPAT 0x10100000L

#include "tls/ja4.h"

#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

#include "tls/names.h"
#include "tls/reader.h"
#include "tls/stream.h"

#define EXTENSION_SERVER_NAME 0x0000
#define EXTENSION_ALPN 0x0010

/* Every code point takes two bytes of a hello, and no longer one gets here. */
#define CODES_MAX (STREAM_CAP / 2)

#define HASH_CHARACTERS 12

struct codes {
	uint16_t at[CODES_MAX];
	size_t count;
};

static void codes_add(struct codes *codes, uint16_t code)
{
	if (codes->count < CODES_MAX)
		codes->at[codes->count++] = code;
}

static int compare_codes(const void *a, const void *b)
{
	return (int)*(const uint16_t *)a - (int)*(const uint16_t *)b;
}

static void codes_sort(struct codes *codes)
{
	/* A hello's lists are short: insertion beats qsort()'s calls there. */
	if (codes->count > 64) {
		qsort(codes->at, codes->count, sizeof(codes->at[0]), compare_codes);
		return;
	}
	for (size_t i = 1; i < codes->count; i++) {
		uint16_t code = codes->at[i];
		size_t j = i;

		for (; j && codes->at[j - 1] > code; j--)
			codes->at[j] = codes->at[j - 1];
		codes->at[j] = code;
	}
}

static const char hex_digits[] = "0123456789abcdef";

/* "1301,1302"; returns the end. */
static char *codes_print(const struct codes *codes, char *to)
{
	for (size_t i = 0; i < codes->count; i++) {
		uint16_t code = codes->at[i];

		if (i)
			*to++ = ',';
		*to++ = hex_digits[code >> 12];
		*to++ = hex_digits[code >> 8 & 15];
		*to++ = hex_digits[code >> 4 & 15];
		*to++ = hex_digits[code & 15];
	}
	return to;
}

static char *hash_print(const char *text, size_t len, char *to)
{
	uint8_t digest[SHA256_DIGEST_LENGTH];
	SHA256_CTX state;

	SHA256_Init(&state);
	SHA256_Update(&state, text, len);
	SHA256_Final(digest, &state);
	for (size_t i = 0; i < HASH_CHARACTERS / 2; i++) {
		*to++ = hex_digits[digest[i] >> 4];
		*to++ = hex_digits[digest[i] & 15];
	}
	return to;
}

static const char *version_code(uint16_t version)
{
	static const struct {
		uint16_t version;
		char code[3];
	} table[] = {
		{0x0304, "13"}, {0x0303, "12"}, {0x0302, "11"}, {0x0301, "10"}, {0x0300, "s3"},
		{0x0002, "s2"}, {0xfeff, "d1"}, {0xfefd, "d2"}, {0xfefc, "d3"},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (table[i].version == version)
			return table[i].code;
	return "00";
}

static bool is_alphanumeric(uint8_t byte)
{
	return (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') ||
	       (byte >= 'a' && byte <= 'z');
}

static char *alpn_print(struct span alpn, char *to)
{
	struct span name;
	uint8_t first, last;

	if (!read_vector(&alpn, 1, &name) || !name.len) {
		*to++ = '0';
		*to++ = '0';
		return to;
	}
	first = name.at[0];
	last = name.at[name.len - 1];
	if (is_alphanumeric(first) && is_alphanumeric(last)) {
		*to++ = (char)first;
		*to++ = (char)last;
	} else {
		*to++ = hex_digits[first >> 4];
		*to++ = hex_digits[last & 15];
	}
	return to;
}

static char *count_print(size_t count, char *to)
{
	if (count > 99)
		count = 99;
	*to++ = (char)('0' + count / 10);
	*to++ = (char)('0' + count % 10);
	return to;
}

static void codes_of_list(struct codes *codes, const struct code_list *list)
{
	codes->count = 0;
	for (size_t i = 0; i < code_list_count(list); i++) {
		uint16_t code = code_list_at(list, i);

		if (!name_is_grease(code))
			codes_add(codes, code);
	}
}

/* Those that are hashed; returns how many there are in all. */
static size_t codes_of_extensions(struct codes *codes, struct span block)
{
	struct span data;
	uint16_t type;
	size_t count = 0;

	codes->count = 0;
	while (read_u16(&block, &type) && read_vector(&block, 2, &data)) {
		if (name_is_grease(type))
			continue;
		count++;
		if (type != EXTENSION_SERVER_NAME && type != EXTENSION_ALPN)
			codes_add(codes, type);
	}
	return count;
}

static char *ciphers_hash_print(struct codes *ciphers, char *text, char *to)
{
	if (!ciphers->count) {
		memset(to, '0', HASH_CHARACTERS);
		return to + HASH_CHARACTERS;
	}
	codes_sort(ciphers);
	return hash_print(text, (size_t)(codes_print(ciphers, text) - text), to);
}

static char *extensions_hash_print(struct codes *extensions, const struct codes *signatures,
				   char *text, char *to)
{
	char *end;

	if (!extensions->count) {
		memset(to, '0', HASH_CHARACTERS);
		return to + HASH_CHARACTERS;
	}
	codes_sort(extensions);
	end = codes_print(extensions, text);
	if (signatures->count) {
		*end++ = '_';
		end = codes_print(signatures, end);
	}
	return hash_print(text, (size_t)(end - text), to);
}

void ja4_fingerprint(const struct client_hello *hello, char transport, char out[static JA4_SIZE])
{
	struct codes ciphers, extensions, signatures;
	char text[2 * CODES_MAX * 5]; /* "1301," */
	size_t extension_count;
	char *to = out;

	codes_of_list(&ciphers, &hello->ciphers);
	extension_count = codes_of_extensions(&extensions, hello->extensions);
	codes_of_list(&signatures, &hello->signature_algorithms);

	*to++ = transport;
	memcpy(to, version_code(client_hello_max_version(hello)), 2);
	to += 2;
	*to++ = hello->has_sni ? 'd' : 'i';
	to = count_print(ciphers.count, to);
	to = count_print(extension_count, to);
	to = alpn_print(hello->alpn, to);
	*to++ = '_';
	to = ciphers_hash_print(&ciphers, text, to);
	*to++ = '_';
	to = extensions_hash_print(&extensions, &signatures, text, to);
	*to = '\0';
}
