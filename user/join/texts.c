/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Texts of error codes, as the target's own libcrypto writes them. A text is a pure function of
 * library and code, so it is learned once; another version's strings differ (OpenSSL 3.5 says
 * "ssl/tls alert …" where 3.0 says "sslv3 alert …"), so our own serve only where they are the same.
 */
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>

#include "join/internal.h"

static struct text *text_find(struct joiner *joiner, uint64_t code)
{
	struct text *text;

	HASH_FIND(hh, joiner->texts, &code, sizeof(code), text);
	return text;
}

void text_learn(struct joiner *joiner, uint64_t code, const char *string, size_t len)
{
	struct text *text = text_find(joiner, code);

	if (!len || text || HASH_COUNT(joiner->texts) >= LIMIT_TEXTS)
		return;
	text = calloc(1, sizeof(*text));
	if (!text)
		return;
	text->code = code;
	text->text = strndup(string, len);
	if (!text->text) {
		free(text);
		return;
	}
	HASH_ADD(hh, joiner->texts, code, sizeof(text->code), text);
}

const char *text_of(struct joiner *joiner, uint64_t code)
{
	struct text *text = text_find(joiner, code);
	char buffer[ERROR_TEXT_MAX];

	if (text)
		return text->text;
	if (!joiner->config.same_openssl)
		return NULL;
	OPENSSL_init_ssl(OPENSSL_INIT_LOAD_SSL_STRINGS | OPENSSL_INIT_LOAD_CRYPTO_STRINGS, NULL);
	ERR_error_string_n(code, buffer, sizeof(buffer));
	text_learn(joiner, code, buffer, strlen(buffer));
	text = text_find(joiner, code);
	return text ? text->text : NULL;
}

void texts_free(struct joiner *joiner)
{
	struct text *text, *next;

	HASH_ITER(hh, joiner->texts, text, next) {
		HASH_DELETE(hh, joiner->texts, text);
		free(text->text);
		free(text);
	}
}
