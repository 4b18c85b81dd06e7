/* SPDX-License-Identifier: BSD-2-Clause */
/* Facts in words. What came from the wire is written in printable ASCII, the rest as \xNN. */
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "base/address.h"
#include "diagnose/facts.h"
#include "diagnose/reasons.h"
#include "tls/names.h"

/* So many names of a list are written; the rest is counted. */
#define SAY_NAMES 4

static const char *say_bytes(const struct span *bytes, char buf[static FACTS_TEXT])
{
	size_t used = 0;

	for (size_t i = 0; i < bytes->len && used + sizeof("\\xNN...") < FACTS_TEXT; i++) {
		uint8_t byte = bytes->at[i];

		if (byte > ' ' && byte < 0x7f && byte != '\\')
			buf[used++] = (char)byte;
		else if (byte == ' ')
			buf[used++] = ' ';
		else
			used += (size_t)snprintf(buf + used, FACTS_TEXT - used, "\\x%02x", byte);
	}
	buf[used] = '\0';
	return buf;
}

const char *facts_say_sni(const struct facts *facts, char buf[static FACTS_TEXT])
{
	if (facts->record->sni.at)
		return say_bytes(&facts->record->sni, buf);
	snprintf(buf, FACTS_TEXT, facts->hello ? "no name (no SNI)" : "an unknown name");
	return buf;
}

const char *facts_say_version(uint16_t version, char buf[static FACTS_TEXT])
{
	char hex[8];

	snprintf(buf, FACTS_TEXT, "%s",
		 version ? name_or_hex(name_version(version), version, hex, sizeof(hex))
			 : "an unknown version");
	return buf;
}

static bool is_signalling_cipher(uint16_t cipher)
{
	return cipher == 0x00ff || cipher == 0x5600;
}

static const char *say_codes(const struct code_list *list, const char *(*name)(uint16_t),
			     char buf[static FACTS_TEXT])
{
	size_t used = 0, total = 0;
	unsigned written = 0;
	char hex[8];

	buf[0] = '\0';
	for (size_t i = 0; i < code_list_count(list); i++) {
		uint16_t code = code_list_at(list, i);

		if (name_is_grease(code) || is_signalling_cipher(code))
			continue;
		total++;
		if (written == SAY_NAMES)
			continue;
		used += (size_t)snprintf(buf + used, FACTS_TEXT - used, "%s%.40s",
					 written ? ", " : "",
					 name_or_hex(name(code), code, hex, sizeof(hex)));
		written++;
	}
	if (total > written)
		snprintf(buf + used, FACTS_TEXT - used, " and %zu more", total - written);
	if (!total)
		snprintf(buf, FACTS_TEXT, "none");
	return buf;
}

const char *facts_say_versions(const struct facts *facts, char buf[static FACTS_TEXT])
{
	if (facts->hello && facts->hello->has_versions)
		return say_codes(&facts->hello->versions, name_version, buf);
	return facts_say_version(facts->max_version, buf);
}

static const char *directive_cipher(uint16_t cipher)
{
	const char *name = name_cipher_openssl(cipher);

	return name ? name : name_cipher(cipher);
}

const char *facts_say_ciphers(const struct facts *facts, char buf[static FACTS_TEXT])
{
	return facts->hello ? say_codes(&facts->hello->ciphers, directive_cipher, buf) : "unknown";
}

/* As ssl_ecdh_curve takes them: OpenSSL's names of the same curves. */
static const char *directive_group(uint16_t group)
{
	switch (group) {
	case 0x0017:
		return "prime256v1";
	case 0x001d:
		return "X25519";
	case 0x001e:
		return "X448";
	default:
		return name_group(group);
	}
}

const char *facts_say_groups(const struct facts *facts, char buf[static FACTS_TEXT])
{
	return facts->hello ? say_codes(&facts->hello->groups, directive_group, buf) : "unknown";
}

const char *facts_say_signatures(const struct facts *facts, char buf[static FACTS_TEXT])
{
	return facts->hello
		       ? say_codes(&facts->hello->signature_algorithms, name_signature_scheme, buf)
		       : "unknown";
}

const char *facts_say_alpn(const struct facts *facts, char buf[static FACTS_TEXT])
{
	char name[FACTS_TEXT];
	const struct span *list = facts->hello ? &facts->hello->alpn : NULL;
	size_t used = 0;

	snprintf(buf, FACTS_TEXT, "none");
	for (size_t at = 0; list && at < list->len;) {
		struct span one = {list->at + at + 1, list->at[at]};

		at += 1 + one.len;
		if (at > list->len)
			break;
		say_bytes(&one, name);
		if (used + strlen(name) + 3 > FACTS_TEXT)
			break;
		used += (size_t)snprintf(buf + used, FACTS_TEXT - used, "%s%s", used ? ", " : "",
					 name);
	}
	return buf;
}

const char *facts_say_alert(int alert, char buf[static FACTS_TEXT])
{
	const char *name = alert >= 0 && alert <= 255 ? name_alert((uint8_t)alert) : NULL;

	if (name)
		snprintf(buf, FACTS_TEXT, "%s (%d)", name, alert);
	else
		snprintf(buf, FACTS_TEXT, "number %d", alert);
	return buf;
}

const char *facts_say_first_bytes(const struct facts *facts, char buf[static FACTS_TEXT])
{
	return say_bytes(&facts->record->first_bytes, buf);
}

const char *facts_say_error(const struct record_error *error, char buf[static FACTS_TEXT])
{
	const char *text = error_reason_text(error->text);
	char data[FACTS_TEXT];
	int reason = error_ssl_reason(error->code, error->text);
	const struct reason *known = reason >= 0 ? reason_find((unsigned)reason) : NULL;

	if (!text)
		text = known ? known->text : "text unknown";
	/* "SSL alert number N" repeats what the reason says; other data names a file, say. */
	if (error->data && strncmp(error->data, "SSL alert", 9)) {
		struct span bytes = {(const uint8_t *)error->data, strlen(error->data)};

		snprintf(buf, FACTS_TEXT, "%08" PRIX64 " %.80s (%.90s)", error->code, text,
			 say_bytes(&bytes, data));
	} else {
		snprintf(buf, FACTS_TEXT, "%08" PRIX64 " %.80s", error->code, text);
	}
	return buf;
}

const char *facts_say_address(const struct endpoint *endpoint, char buf[static FACTS_TEXT])
{
	char address[ADDRESS_TEXT];

	address_text(endpoint->family, endpoint->address, address);
	if (!address[0])
		snprintf(buf, FACTS_TEXT, "HOST:PORT");
	else
		snprintf(buf, FACTS_TEXT, endpoint->family == AF_INET6 ? "[%s]:%u" : "%s:%u",
			 address, endpoint->port);
	return buf;
}

const char *facts_say_after(const struct facts *facts, char buf[static FACTS_TEXT])
{
	int64_t us = facts->record->latency.total_us;

	if (us < 0)
		buf[0] = '\0';
	else if (us < 1000000)
		snprintf(buf, FACTS_TEXT, " (at %" PRId64 ".%" PRId64 " ms)", us / 1000,
			 us % 1000 / 100);
	else
		snprintf(buf, FACTS_TEXT, " (at %" PRId64 ".%" PRId64 " s)", us / 1000000,
			 us % 1000000 / 100000);
	return buf;
}
