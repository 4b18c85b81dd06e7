/* SPDX-License-Identifier: BSD-2-Clause */
#include "tls/proxy.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "tls/proxy_address.h"
#include "tls/reader.h"

#define V1_PREFIX "PROXY "
#define V1_PREFIX_LEN 6
#define V1_MAX 107 /* section 2.1, its CRLF included */

#define V2_SIGNATURE_LEN 12
#define V2_FIXED_LEN 16
#define V2_COMMAND_PROXY 1

static const uint8_t v2_signature[V2_SIGNATURE_LEN] = "\r\n\r\n\0\r\nQUIT\n";

/* The family's length of addresses and ports (section 2.2), for the ones over a stream. */
#define V2_TCP4 0x11
#define V2_TCP6 0x21
#define V2_TCP4_LEN 12
#define V2_TCP6_LEN 36

/* Up to a space or the end; false when there is no character. */
static bool word_read(struct span *line, struct span *ret)
{
	size_t len = 0;

	while (len < line->len && line->at[len] != ' ')
		len++;
	if (!len)
		return false;
	read_bytes(line, len, ret);
	if (line->len) {
		line->at++;
		line->len--;
		return line->len > 0;
	}
	return true;
}

static bool word_is(struct span word, const char *text)
{
	return word.len == strlen(text) && !memcmp(word.at, text, word.len);
}

static bool port_read(struct span word, uint16_t *ret)
{
	uint32_t port = 0;

	if (word.len > 5)
		return false;
	for (size_t i = 0; i < word.len; i++) {
		if (word.at[i] < '0' || word.at[i] > '9')
			return false;
		port = port * 10 + (uint32_t)(word.at[i] - '0');
	}
	if (port > 65535)
		return false;
	*ret = (uint16_t)port;
	return true;
}

static bool address_read(struct span word, uint16_t family, uint8_t address[static 16])
{
	return family == AF_INET ? proxy_address_parse4(word, address)
				 : proxy_address_parse6(word, address);
}

static int v1_line_parse(struct proxy_header *header, struct span line)
{
	struct span family, source, destination, source_port, destination_port;

	if (!word_read(&line, &family))
		return -EBADMSG;
	/* "the receiver must ignore anything presented before the CRLF" after UNKNOWN. */
	if (word_is(family, "UNKNOWN"))
		return 0;
	if (word_is(family, "TCP4"))
		header->family = AF_INET;
	else if (word_is(family, "TCP6"))
		header->family = AF_INET6;
	else
		return -EBADMSG;
	if (!word_read(&line, &source) || !word_read(&line, &destination) ||
	    !word_read(&line, &source_port) || !word_read(&line, &destination_port) || line.len ||
	    !address_read(source, header->family, header->source) ||
	    !address_read(destination, header->family, header->destination) ||
	    !port_read(source_port, &header->source_port) ||
	    !port_read(destination_port, &header->destination_port))
		return -EBADMSG;
	header->known = true;
	return 0;
}

static const uint8_t *v1_end(const uint8_t *bytes, size_t len)
{
	for (size_t i = 1; i < len; i++)
		if (bytes[i - 1] == '\r' && bytes[i] == '\n')
			return bytes + i + 1;
	return NULL;
}

static int v1_parse(struct proxy_header *header, const uint8_t *bytes, size_t len)
{
	size_t searched = len < V1_MAX ? len : V1_MAX;
	const uint8_t *end = v1_end(bytes, searched);

	header->version = 1;
	if (!end)
		return len < V1_MAX ? -EAGAIN : -EBADMSG;
	header->len = (size_t)(end - bytes);
	return v1_line_parse(header,
			     span_of(bytes + V1_PREFIX_LEN, header->len - V1_PREFIX_LEN - 2));
}

static int v2_addresses_parse(struct proxy_header *header, struct span rest, size_t address_len)
{
	struct span source, destination;

	if (!read_bytes(&rest, address_len, &source) ||
	    !read_bytes(&rest, address_len, &destination) ||
	    !read_u16(&rest, &header->source_port) || !read_u16(&rest, &header->destination_port))
		return -EBADMSG;
	memcpy(header->source, source.at, address_len);
	memcpy(header->destination, destination.at, address_len);
	header->family = address_len == 4 ? AF_INET : AF_INET6;
	header->known = true;
	return 0;
}

/* Like nginx's ngx_proxy_protocol_v2_read(): another version is broken, while a command, family or
 * transport that it does not know only leaves the addresses unset. */
static int v2_parse(struct proxy_header *header, const uint8_t *bytes, size_t len)
{
	struct span rest = span_of(bytes, len), addresses;
	uint8_t version_command, family;
	uint16_t rest_len;

	header->version = 2;
	rest.at += V2_SIGNATURE_LEN;
	rest.len -= V2_SIGNATURE_LEN;
	if (!read_u8(&rest, &version_command))
		return -EAGAIN;
	if (version_command >> 4 != 2)
		return -EBADMSG;
	if (!read_u8(&rest, &family) || !read_u16(&rest, &rest_len))
		return -EAGAIN;
	header->len = V2_FIXED_LEN + rest_len;
	if (!read_bytes(&rest, rest_len, &addresses))
		return -EAGAIN;
	if ((version_command & 15) != V2_COMMAND_PROXY)
		return 0;
	if (family == V2_TCP4)
		return v2_addresses_parse(header, addresses, 4);
	if (family == V2_TCP6)
		return v2_addresses_parse(header, addresses, 16);
	return 0;
}

/* How the bytes compare with a prefix: 1 it is there, 0 a part of it is, -1 it is not. */
static int prefix_of(const uint8_t *bytes, size_t len, const void *prefix, size_t prefix_len)
{
	if (memcmp(bytes, prefix, len < prefix_len ? len : prefix_len))
		return -1;
	return len >= prefix_len;
}

int proxy_header_parse(struct proxy_header *header, const uint8_t *bytes, size_t len)
{
	int v1, v2;

	memset(header, 0, sizeof(*header));
	if (!len)
		return -EAGAIN;
	v1 = prefix_of(bytes, len, V1_PREFIX, V1_PREFIX_LEN);
	if (v1 == 1)
		return v1_parse(header, bytes, len);
	v2 = prefix_of(bytes, len, v2_signature, V2_SIGNATURE_LEN);
	if (v2 == 1)
		return v2_parse(header, bytes, len);
	return v1 == 0 || v2 == 0 ? -EAGAIN : -ENOENT;
}

static bool is_protocol(struct span word)
{
	return word_is(word, "TCP4") || word_is(word, "TCP6") || word_is(word, "UNKNOWN");
}

/* Wherever a word stands, in a broken line too: only the protocol and the ports stay whole. */
static void v1_anonymize(uint8_t *bytes, size_t len)
{
	const uint8_t *line_end = v1_end(bytes, len);
	size_t end = line_end ? (size_t)(line_end - bytes) - 2 : len;
	uint16_t port;

	for (size_t at = V1_PREFIX_LEN; at < end; at++) {
		size_t start = at;
		struct span word;

		while (at < end && bytes[at] != ' ')
			at++;
		word = span_of(bytes + start, at - start);
		if (!is_protocol(word) && !port_read(word, &port))
			proxy_address_cut(bytes + start, word.len);
	}
}

static void v2_anonymize(uint8_t *bytes, size_t len)
{
	size_t address_len;

	if (len <= V2_FIXED_LEN)
		return;
	switch (bytes[13] >> 4) {
	case 1:
		address_len = 4;
		break;
	case 2:
		address_len = 16;
		break;
	default:
		return;
	}
	for (size_t i = 0; i < 2; i++) {
		size_t start = V2_FIXED_LEN + i * address_len;

		if (start < len)
			proxy_address_cut_bytes(bytes + start, address_len, len - start);
	}
}

void proxy_header_anonymize(uint8_t *bytes, size_t len)
{
	if (prefix_of(bytes, len, V1_PREFIX, V1_PREFIX_LEN) == 1)
		v1_anonymize(bytes, len);
	else if (prefix_of(bytes, len, v2_signature, V2_SIGNATURE_LEN) == 1)
		v2_anonymize(bytes, len);
}
