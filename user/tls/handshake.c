/* SPDX-License-Identifier: BSD-2-Clause */
#include "tls/handshake.h"

#include <errno.h>

#include "tls/reader.h"

struct handshake {
	const char *name;
	char letter; /* as in Zeek's scripts/base/protocols/ssl/main.zeek */
};

/* IANA "TLS HandshakeType", written as the RFCs write the messages. */
static const struct handshake handshakes[256] = {
	[HANDSHAKE_HELLO_REQUEST] = {"HelloRequest", 'h'},
	[HANDSHAKE_CLIENT_HELLO] = {"ClientHello", 'c'},
	[HANDSHAKE_SERVER_HELLO] = {"ServerHello", 's'},
	[3] = {"HelloVerifyRequest", 'v'},
	[HANDSHAKE_NEW_SESSION_TICKET] = {"NewSessionTicket", 't'},
	[5] = {"EndOfEarlyData", 'e'},
	[6] = {"HelloRetryRequest", 'j'},
	[HANDSHAKE_ENCRYPTED_EXTENSIONS] = {"EncryptedExtensions", 'o'},
	[9] = {"RequestConnectionId", 0},
	[10] = {"NewConnectionId", 0},
	[HANDSHAKE_CERTIFICATE] = {"Certificate", 'x'},
	[HANDSHAKE_SERVER_KEY_EXCHANGE] = {"ServerKeyExchange", 'k'},
	[HANDSHAKE_CERTIFICATE_REQUEST] = {"CertificateRequest", 'r'},
	[HANDSHAKE_SERVER_HELLO_DONE] = {"ServerHelloDone", 'n'},
	[HANDSHAKE_CERTIFICATE_VERIFY] = {"CertificateVerify", 'y'},
	[HANDSHAKE_CLIENT_KEY_EXCHANGE] = {"ClientKeyExchange", 'g'},
	[17] = {"ClientCertificateRequest", 0},
	[HANDSHAKE_FINISHED] = {"Finished", 'f'},
	[21] = {"CertificateUrl", 'w'},
	[HANDSHAKE_CERTIFICATE_STATUS] = {"CertificateStatus", 'u'},
	[23] = {"SupplementalData", 'a'},
	[24] = {"KeyUpdate", 'p'},
	[25] = {"CompressedCertificate", 0},
	[26] = {"EKTKey", 0},
	[254] = {"MessageHash", 'm'},
};

const char *handshake_name(uint8_t type)
{
	return handshakes[type].name;
}

char handshake_letter(uint8_t type)
{
	return handshakes[type].letter;
}

/* Non-empty vectors to the end of `list`, the first `max` of them kept. */
static int spans_read(struct span list, size_t width, struct span *spans, size_t max)
{
	struct span one;
	size_t count = 0;

	while (list.len) {
		if (!read_vector(&list, width, &one) || !one.len)
			return -EBADMSG;
		if (count < max)
			spans[count++] = one;
	}
	return (int)count;
}

int certificate_message_parse(const uint8_t *body, size_t len, struct span *certificates,
			      size_t max)
{
	struct span rest = span_of(body, len), list;

	if (!read_vector(&rest, 3, &list) || rest.len)
		return -EBADMSG;
	return spans_read(list, 3, certificates, max);
}

int certificate_request_parse(const uint8_t *body, size_t len, struct span *names, size_t max)
{
	struct span rest = span_of(body, len), types, first, list;

	if (!read_vector(&rest, 1, &types) || !read_vector(&rest, 2, &first))
		return -EBADMSG;
	/* TLS 1.2 put the signature algorithms before the names (RFC 5246); where nothing follows,
	 * `first` are an older version's names (RFC 4346 section 7.4.4). */
	if (!rest.len)
		list = first;
	else if (!read_vector(&rest, 2, &list) || rest.len)
		return -EBADMSG;
	return spans_read(list, 2, names, max);
}
