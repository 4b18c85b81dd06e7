/* SPDX-License-Identifier: BSD-2-Clause */
#include "tls/hello.h"

#include <errno.h>
#include <string.h>

#include "tls/names.h"
#include "tls/reader.h"

/* IANA "TLS ExtensionType Values". */
enum extension {
	EXTENSION_SERVER_NAME = 0,
	EXTENSION_SUPPORTED_GROUPS = 10,
	EXTENSION_SIGNATURE_ALGORITHMS = 13,
	EXTENSION_ALPN = 16,
	EXTENSION_EXTENDED_MASTER_SECRET = 23,
	EXTENSION_SESSION_TICKET = 35,
	EXTENSION_PRE_SHARED_KEY = 41,
	EXTENSION_EARLY_DATA = 42,
	EXTENSION_SUPPORTED_VERSIONS = 43,
	EXTENSION_KEY_SHARE = 51,
	EXTENSION_ENCRYPTED_CLIENT_HELLO = 0xfe0d,
	EXTENSION_RENEGOTIATION_INFO = 0xff01,
};

#define SCSV_RENEGOTIATION 0x00ff /* RFC 5746 section 3.3 */
#define SCSV_FALLBACK 0x5600	  /* RFC 7507 */

#define RANDOM_LEN 32
#define SESSION_ID_MAX 32

/* RFC 8446 section 4.1.3: SHA-256 of "HelloRetryRequest". */
static const uint8_t hello_retry_random[RANDOM_LEN] = {
	0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c,
	0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb,
	0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
};

/* A vector of code points that fills `data`; one with an odd byte keeps its whole pairs. */
static bool code_list_read(struct span data, size_t width, struct code_list *list)
{
	bool good = read_vector(&data, width, &list->bytes) && data.len == 0;

	if (list->bytes.len % 2) {
		list->bytes.len--;
		return false;
	}
	return good && list->bytes.len > 0;
}

/* RFC 6066 section 3: at most one name of a type. The first host_name is kept. */
static bool server_name_read(struct span data, struct span *ret_name)
{
	struct span list, name;
	uint8_t type;
	bool found = false, repeated = false;

	if (!read_vector(&data, 2, &list) || !list.len)
		return false;
	while (list.len) {
		if (!read_u8(&list, &type) || !read_vector(&list, 2, &name) || !name.len)
			return false;
		if (type != 0)
			continue;
		if (found)
			repeated = true;
		else
			*ret_name = name;
		found = true;
	}
	return !data.len && !repeated;
}

/* RFC 7301 section 3.1. A list with an empty or cut name in it keeps the good ones before. */
static bool alpn_read(struct span data, struct span *ret_list)
{
	struct span list, rest, name;

	if (!read_vector(&data, 2, &list) || !list.len)
		return false;
	*ret_list = rest = list;
	while (rest.len) {
		ret_list->len = (size_t)(rest.at - list.at);
		if (!read_vector(&rest, 1, &name) || !name.len)
			return false;
	}
	ret_list->len = list.len;
	return !data.len;
}

static bool client_extension(struct client_hello *hello, uint16_t type, struct span data)
{
	switch (type) {
	case EXTENSION_SERVER_NAME:
		hello->has_sni = true;
		return server_name_read(data, &hello->sni);
	case EXTENSION_SUPPORTED_VERSIONS:
		hello->has_versions = true;
		return code_list_read(data, 1, &hello->versions);
	case EXTENSION_SUPPORTED_GROUPS:
		hello->has_groups = true;
		return code_list_read(data, 2, &hello->groups);
	case EXTENSION_SIGNATURE_ALGORITHMS:
		hello->has_signature_algorithms = true;
		return code_list_read(data, 2, &hello->signature_algorithms);
	case EXTENSION_ALPN:
		hello->has_alpn = true;
		return alpn_read(data, &hello->alpn);
	case EXTENSION_KEY_SHARE:
		hello->has_key_share = true;
		return true;
	case EXTENSION_PRE_SHARED_KEY:
		hello->has_pre_shared_key = true;
		return true;
	case EXTENSION_EARLY_DATA:
		hello->has_early_data = true;
		return true;
	case EXTENSION_SESSION_TICKET:
		hello->has_session_ticket = true;
		hello->session_ticket_len = data.len;
		return true;
	case EXTENSION_ENCRYPTED_CLIENT_HELLO:
		/* ECHClientHelloType: outer(0), inner(1). */
		hello->has_ech = data.len > 0 && data.at[0] == 0;
		return data.len > 0;
	case EXTENSION_EXTENDED_MASTER_SECRET:
		hello->has_extended_master_secret = true;
		return true;
	case EXTENSION_RENEGOTIATION_INFO:
		hello->has_renegotiation_info = true;
		return true;
	default:
		return true;
	}
}

/* RFC 8446 section 4.2: no type twice. The types that matter here are below 64, bar two whose
 * repetition changes nothing. */
static bool extension_is_new(uint64_t *seen, uint16_t type)
{
	uint64_t bit;

	if (type >= 64)
		return true;
	bit = 1ULL << type;
	if (*seen & bit)
		return false;
	*seen |= bit;
	return true;
}

static bool client_extensions(struct client_hello *hello)
{
	struct span rest = hello->extensions, data;
	uint64_t seen = 0;
	bool good = true;
	uint16_t type;

	while (rest.len) {
		if (!read_u16(&rest, &type) || !read_vector(&rest, 2, &data))
			return false;
		if (!extension_is_new(&seen, type) || !client_extension(hello, type, data))
			good = false;
	}
	return good;
}

static void signalling_ciphers(struct client_hello *hello)
{
	for (size_t i = 0; i < code_list_count(&hello->ciphers); i++) {
		uint16_t cipher = code_list_at(&hello->ciphers, i);

		if (cipher == SCSV_RENEGOTIATION)
			hello->has_renegotiation_info = true;
		else if (cipher == SCSV_FALLBACK)
			hello->fallback_scsv = true;
	}
}

/* The extension block to the end of the body. One whose length lies is read as far as it goes. */
static bool extension_block(struct span *body, struct span *ret_block)
{
	struct span rest;
	uint32_t len;

	if (!read_number(body, 2, &len))
		return false;
	rest = *body;
	if (len < rest.len)
		rest.len = len;
	*ret_block = rest;
	return len == body->len;
}

int client_hello_parse(struct client_hello *hello, const uint8_t *body, size_t len)
{
	struct span rest = span_of(body, len);
	bool good = true;

	memset(hello, 0, sizeof(*hello));
	if (!read_u16(&rest, &hello->legacy_version) ||
	    !read_bytes(&rest, RANDOM_LEN, &hello->random) ||
	    !read_vector(&rest, 1, &hello->session_id) ||
	    !read_vector(&rest, 2, &hello->ciphers.bytes))
		return -EBADMSG;
	if (hello->session_id.len > SESSION_ID_MAX)
		good = false;
	if (hello->ciphers.bytes.len % 2 || !hello->ciphers.bytes.len) {
		hello->ciphers.bytes.len &= ~(size_t)1;
		good = false;
	}
	signalling_ciphers(hello);
	if (!read_vector(&rest, 1, &hello->compression))
		return -EBADMSG;
	if (!hello->compression.len)
		good = false;
	/* RFC 5246 section 7.4.1.2: a hello without extensions may end here. */
	if (!rest.len)
		return good ? 0 : -EBADMSG;
	if (!extension_block(&rest, &hello->extensions))
		good = false;
	if (!client_extensions(hello))
		good = false;
	return good ? 0 : -EBADMSG;
}

/* Three-byte specs (RFC 5246 appendix E.2): those that begin with 0 are TLS ciphers. */
static size_t sslv2_ciphers(struct span specs, uint8_t *ciphers, size_t size)
{
	size_t have = 0;

	for (size_t i = 0; i + 3 <= specs.len && have + 2 <= size; i += 3) {
		if (specs.at[i])
			continue;
		ciphers[have++] = specs.at[i + 1];
		ciphers[have++] = specs.at[i + 2];
	}
	return have;
}

int client_hello_parse_sslv2(struct client_hello *hello, const uint8_t *body, size_t len,
			     uint8_t *ciphers, size_t ciphers_size)
{
	struct span rest = span_of(body, len), specs;
	uint16_t specs_len, session_id_len, challenge_len;
	uint8_t type;

	memset(hello, 0, sizeof(*hello));
	hello->sslv2_style = true;
	if (!read_u8(&rest, &type) || type != 1 || !read_u16(&rest, &hello->legacy_version) ||
	    !read_u16(&rest, &specs_len) || !read_u16(&rest, &session_id_len) ||
	    !read_u16(&rest, &challenge_len) || !read_bytes(&rest, specs_len, &specs))
		return -EBADMSG;
	hello->ciphers.bytes = span_of(ciphers, sslv2_ciphers(specs, ciphers, ciphers_size));
	signalling_ciphers(hello);
	if (!read_bytes(&rest, session_id_len, &hello->session_id) ||
	    !read_bytes(&rest, challenge_len, &hello->random))
		return -EBADMSG;
	if (specs_len % 3 || !specs_len || session_id_len > SESSION_ID_MAX ||
	    challenge_len > RANDOM_LEN || rest.len)
		return -EBADMSG;
	return 0;
}

/* In a ServerHello the group and the share, in a HelloRetryRequest the group alone. */
static bool server_key_share_read(struct server_hello *hello, struct span data)
{
	struct span share;

	if (!read_u16(&data, &hello->group))
		return false;
	if (hello->hello_retry_request)
		return !data.len;
	return read_vector(&data, 2, &share) && share.len && !data.len;
}

/* RFC 7301 section 3.1: a list of exactly one name. */
static bool server_alpn_read(struct span data, struct span *ret_name)
{
	struct span list, name;

	if (!read_vector(&data, 2, &list) || data.len || !read_vector(&list, 1, &name) ||
	    !name.len || list.len)
		return false;
	*ret_name = name;
	return true;
}

static bool server_extension(struct server_hello *hello, uint16_t type, struct span data)
{
	switch (type) {
	case EXTENSION_SUPPORTED_VERSIONS:
		return read_u16(&data, &hello->version) && !data.len;
	case EXTENSION_KEY_SHARE:
		return server_key_share_read(hello, data);
	case EXTENSION_PRE_SHARED_KEY:
		hello->has_pre_shared_key = true;
		return data.len == 2;
	case EXTENSION_ALPN:
		return server_alpn_read(data, &hello->alpn);
	case EXTENSION_SESSION_TICKET:
		hello->has_session_ticket = true;
		return true;
	case EXTENSION_RENEGOTIATION_INFO:
		hello->has_renegotiation_info = true;
		return true;
	case EXTENSION_EXTENDED_MASTER_SECRET:
		hello->has_extended_master_secret = true;
		return true;
	default:
		return true;
	}
}

static bool server_extensions(struct server_hello *hello, struct span rest)
{
	struct span data;
	uint64_t seen = 0;
	bool good = true;
	uint16_t type;

	while (rest.len) {
		if (!read_u16(&rest, &type) || !read_vector(&rest, 2, &data))
			return false;
		if (!extension_is_new(&seen, type) || !server_extension(hello, type, data))
			good = false;
	}
	return good;
}

int server_hello_parse(struct server_hello *hello, const uint8_t *body, size_t len)
{
	struct span rest = span_of(body, len), block = {0};
	uint8_t compression;
	bool good;

	memset(hello, 0, sizeof(*hello));
	if (!read_u16(&rest, &hello->legacy_version))
		return -EBADMSG;
	hello->version = hello->legacy_version;
	if (!read_bytes(&rest, RANDOM_LEN, &hello->random))
		return -EBADMSG;
	hello->hello_retry_request = !memcmp(hello->random.at, hello_retry_random, RANDOM_LEN);
	if (!read_vector(&rest, 1, &hello->session_id) || !read_u16(&rest, &hello->cipher) ||
	    !read_u8(&rest, &compression))
		return -EBADMSG;
	good = hello->session_id.len <= SESSION_ID_MAX;
	if (rest.len) {
		if (!extension_block(&rest, &block))
			good = false;
		if (!server_extensions(hello, block))
			good = false;
	}
	return good ? 0 : -EBADMSG;
}

uint16_t client_hello_max_version(const struct client_hello *hello)
{
	uint16_t max = 0;

	if (!hello->has_versions)
		return hello->legacy_version;
	for (size_t i = 0; i < code_list_count(&hello->versions); i++) {
		uint16_t version = code_list_at(&hello->versions, i);

		if (!name_is_grease(version) && version > max)
			max = version;
	}
	return max;
}

uint16_t client_hello_min_version(const struct client_hello *hello)
{
	uint16_t min = 0;

	if (!hello->has_versions)
		return hello->legacy_version;
	for (size_t i = 0; i < code_list_count(&hello->versions); i++) {
		uint16_t version = code_list_at(&hello->versions, i);

		if (!name_is_grease(version) && (!min || version < min))
			min = version;
	}
	return min;
}
