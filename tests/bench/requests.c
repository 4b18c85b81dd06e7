/* SPDX-License-Identifier: BSD-2-Clause */
#include "requests.h"

#include "handshakes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define MAX_ANSWER 4096 /* the server's answers have some 200 bytes */

struct requests {
	SSL_CTX *context;
	SSL *ssl; /* NULL in the clear */
	int fd;
};

static int complain(const char *what)
{
	fprintf(stderr, "tlsload: %s\n", what);
	return -1;
}

static int start_tls(struct requests *requests, const char *certificate)
{
	requests->context = handshakes_context(TLS1_3_VERSION);
	if (!requests->context)
		return -1;
	if (certificate &&
	    (SSL_CTX_use_certificate_file(requests->context, certificate, SSL_FILETYPE_PEM) != 1 ||
	     SSL_CTX_use_PrivateKey_file(requests->context, certificate, SSL_FILETYPE_PEM) != 1))
		return complain("cannot use the client certificate");
	requests->ssl = SSL_new(requests->context);
	if (!requests->ssl || !SSL_set_fd(requests->ssl, requests->fd) ||
	    SSL_connect(requests->ssl) != 1)
		return complain("the handshake before the requests failed");
	return 0;
}

struct requests *requests_new(const struct sockaddr_in *server, bool tls, const char *certificate)
{
	const struct timeval patience = {.tv_sec = 10};
	struct requests *requests = calloc(1, sizeof(*requests));

	if (!requests)
		return NULL;
	requests->fd = handshakes_connect(server);
	if (requests->fd >= 0)
		setsockopt(requests->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (requests->fd < 0 || (tls && start_tls(requests, certificate) < 0)) {
		requests_free(requests);
		return NULL;
	}
	return requests;
}

void requests_free(struct requests *requests)
{
	if (!requests)
		return;
	if (requests->ssl)
		SSL_shutdown(requests->ssl);
	SSL_free(requests->ssl);
	SSL_CTX_free(requests->context);
	if (requests->fd >= 0)
		close(requests->fd);
	free(requests);
}

static int transport_write(struct requests *requests, const char *bytes, int length)
{
	if (requests->ssl)
		return SSL_write(requests->ssl, bytes, length);
	return (int)send(requests->fd, bytes, (size_t)length, MSG_NOSIGNAL);
}

static int transport_read(struct requests *requests, char *bytes, int length)
{
	if (requests->ssl)
		return SSL_read(requests->ssl, bytes, length);
	return (int)recv(requests->fd, bytes, (size_t)length, 0);
}

/* The whole answer's length once its head is complete, 0 before. */
static size_t answer_length(const char *answer)
{
	static const char field[] = "\r\nContent-Length: ";
	const char *end = strstr(answer, "\r\n\r\n"), *length = strstr(answer, field);

	if (!end || !length || length > end)
		return 0;
	return (size_t)(end - answer) + 4 + strtoul(length + sizeof(field) - 1, NULL, 10);
}

static int request_once(struct requests *requests)
{
	static const char request[] = "GET / HTTP/1.1\r\nHost: bench.test\r\n\r\n";
	char answer[MAX_ANSWER];
	size_t length = 0, wanted = 0;

	if (transport_write(requests, request, (int)sizeof(request) - 1) !=
	    (int)sizeof(request) - 1)
		return complain("cannot send a request");
	while (wanted == 0 || length < wanted) {
		int got = transport_read(requests, answer + length,
					 (int)(sizeof(answer) - 1 - length));

		if (got <= 0)
			return complain("no answer to a request");
		length += (size_t)got;
		answer[length] = '\0';
		wanted = answer_length(answer);
		if (wanted >= sizeof(answer))
			return complain("an answer too long");
	}
	if (length != wanted || strncmp(answer, "HTTP/1.1 200 ", 13) != 0)
		return complain("an answer that is not 200");
	return 0;
}

int requests_run(struct requests *requests, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		if (request_once(requests) < 0)
			return -1;
	return 0;
}
