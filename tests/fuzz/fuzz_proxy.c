/* SPDX-License-Identifier: BSD-2-Clause */
/* PROXY headers: parsed, cut short, and anonymized without becoming unreadable. */
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tls/preface.h"
#include "tls/proxy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition))                                                                  \
			abort();                                                                   \
	} while (0)

static void check_cut(const struct proxy_header *header)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	size_t from, len = header->family == AF_INET ? 4 : 16;
	const uint8_t *addresses[] = {header->source, header->destination};

	for (size_t i = 0; i < 2; i++) {
		from = len == 4 ? 3 : !memcmp(addresses[i], mapped, 12) ? 15 : 6;
		for (; from < len; from++)
			CHECK(addresses[i][from] == 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct proxy_header header, after;
	uint8_t *copy = malloc(size ? size : 1);
	int err = proxy_header_parse(&header, data, size);

	CHECK(err == 0 || err == -ENOENT || err == -EAGAIN || err == -EBADMSG);
	CHECK(err != 0 || (header.len <= size && (header.version == 1 || header.version == 2)));
	CHECK(err == 0 || !header.known);
	if (err == -ENOENT) {
		enum preface preface = preface_of(data, size);

		CHECK(preface != PREFACE_PROXY_V2 || size < 12);
	}
	memcpy(copy, data, size);
	proxy_header_anonymize(copy, size);
	if (err == 0) {
		CHECK(proxy_header_parse(&after, copy, size) == 0);
		CHECK(after.len == header.len && after.known == header.known);
		if (after.known)
			check_cut(&after);
		/* A header that ends where its bytes do: what follows is not touched. */
		if (header.version == 1)
			CHECK(!memcmp(copy + header.len, data + header.len, size - header.len));
	}
	free(copy);
	return 0;
}
