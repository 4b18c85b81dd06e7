/* SPDX-License-Identifier: BSD-2-Clause */
#include "tls/hello.h"

#include <errno.h>
#include <string.h>

#include "tls/names.h"
#include "tls/reader.h"

#define CURVE_NAMED 3 /* RFC 8422 section 5.4: the only ECCurveType left */

/* What a cipher's ServerKeyExchange holds, told by its IANA name: longer prefixes first. */
struct exchange {
	const char *prefix;
	bool hint; /* psk_identity_hint comes first: RFC 4279 section 3, RFC 5489 section 2 */
	bool named_curve;
	bool finite_field;
	bool is_signed;
};

static const struct exchange exchanges[] = {
	{"TLS_ECDHE_PSK_", .hint = true, .named_curve = true},
	{"TLS_ECDHE_", .named_curve = true, .is_signed = true},
	{"TLS_ECDH_anon_", .named_curve = true},
	{"TLS_DHE_PSK_", .hint = true, .finite_field = true},
	{"TLS_PSK_DHE_", .hint = true, .finite_field = true},
	{"TLS_DHE_", .finite_field = true, .is_signed = true},
	{"TLS_DH_anon_", .finite_field = true},
};

static const struct exchange *exchange_of(uint16_t cipher)
{
	const char *name = name_cipher(cipher);

	if (!name)
		return NULL;
	for (size_t i = 0; i < sizeof(exchanges) / sizeof(exchanges[0]); i++)
		if (!strncmp(name, exchanges[i].prefix, strlen(exchanges[i].prefix)))
			return &exchanges[i];
	return NULL;
}

static bool curve_read(struct span *rest, uint16_t *ret_group)
{
	struct span point;
	uint8_t type;

	return read_u8(rest, &type) && type == CURVE_NAMED && read_u16(rest, ret_group) &&
	       read_vector(rest, 1, &point) && point.len;
}

static bool finite_field_read(struct span *rest)
{
	struct span prime, generator, public_value;

	return read_vector(rest, 2, &prime) && read_vector(rest, 2, &generator) &&
	       read_vector(rest, 2, &public_value) && prime.len && generator.len &&
	       public_value.len;
}

/* TLS 1.2 puts the scheme before the signature, its predecessors do not: only one of the two
 * readings ends where the message does. */
static bool signature_read(struct span rest, uint16_t *ret_scheme)
{
	struct span older = rest, signature;

	if (read_vector(&older, 2, &signature) && !older.len)
		return true;
	return read_u16(&rest, ret_scheme) && read_vector(&rest, 2, &signature) && !rest.len;
}

int server_key_exchange_parse(const uint8_t *body, size_t len, uint16_t cipher, uint16_t *ret_group,
			      uint16_t *ret_signature)
{
	const struct exchange *exchange = exchange_of(cipher);
	struct span rest = span_of(body, len), hint;
	uint16_t group = 0, scheme = 0;

	*ret_group = 0;
	*ret_signature = 0;
	if (!exchange)
		return 0;
	if (exchange->hint && !read_vector(&rest, 2, &hint))
		return -EBADMSG;
	if (exchange->named_curve && !curve_read(&rest, &group))
		return -EBADMSG;
	if (exchange->finite_field && !finite_field_read(&rest))
		return -EBADMSG;
	*ret_group = group;
	if (!exchange->is_signed)
		return rest.len ? -EBADMSG : 0;
	if (!signature_read(rest, &scheme))
		return -EBADMSG;
	*ret_signature = scheme;
	return 0;
}
