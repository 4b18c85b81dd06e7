/* SPDX-License-Identifier: BSD-2-Clause */
#include "handshakes.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_IN_FLIGHT 64
#define MAX_HELLO 1024 /* a ClientHello of TLS 1.1 has some 120 bytes */
#define STALL_MS 10000 /* a server that says nothing for so long has failed */

enum slot_state {
	SLOT_FREE,
	SLOT_CONNECT,
	SLOT_HANDSHAKE,
	SLOT_DRAIN, /* until the server's FIN: then all its work on the connection is done */
};

struct slot {
	enum slot_state state;
	SSL *ssl;
};

struct handshakes {
	struct handshake_kind kind;
	struct sockaddr_in server;
	SSL_CTX *context;
	SSL_SESSION *session;
	unsigned char hello[MAX_HELLO];
	size_t hello_len;
	unsigned int in_flight;
	struct slot slots[MAX_IN_FLIGHT];
	struct pollfd polls[MAX_IN_FLIGHT]; /* beside the slots; fd -1 where free */
};

static int complain(const char *what)
{
	unsigned long code = ERR_get_error();

	if (code)
		fprintf(stderr, "tlsload: %s: %s\n", what, ERR_reason_error_string(code));
	else if (errno != 0)
		fprintf(stderr, "tlsload: %s: %s\n", what, strerror(errno));
	else
		fprintf(stderr, "tlsload: %s\n", what);
	return -1;
}

SSL_CTX *handshakes_context(int version)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());

	/* Level 0: above it OpenSSL 3 signs no hello of TLS 1.1, not even to be refused. */
	if (!context || !SSL_CTX_set_min_proto_version(context, version) ||
	    !SSL_CTX_set_max_proto_version(context, version) ||
	    !SSL_CTX_set_cipher_list(context, version == TLS1_1_VERSION
						      ? "ECDHE-RSA-AES128-SHA:@SECLEVEL=0"
						      : "ECDHE-RSA-AES128-GCM-SHA256") ||
	    !SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256") ||
	    !SSL_CTX_set1_groups_list(context, "X25519")) {
		complain("cannot make an SSL_CTX");
		SSL_CTX_free(context);
		return NULL;
	}
	return context;
}

int handshakes_connect(const struct sockaddr_in *server)
{
	int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (const struct sockaddr *)server, sizeof(*server)) < 0) {
		complain("cannot connect");
		if (fd >= 0)
			close(fd);
		return -1;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

/* OpenSSL itself writes the hello once; the flood then repeats its bytes. */
static int make_refused_hello(struct handshakes *handshakes)
{
	SSL *ssl = SSL_new(handshakes->context);
	BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
	int length;

	if (!ssl || !in || !out)
		return complain("cannot make a ClientHello");
	SSL_set_bio(ssl, in, out);
	SSL_connect(ssl);
	length = BIO_read(out, handshakes->hello, sizeof(handshakes->hello));
	SSL_free(ssl);
	ERR_clear_error();
	if (length < 6 || handshakes->hello[0] != 0x16)
		return complain("OpenSSL here writes no hello of TLS 1.1");
	handshakes->hello_len = (size_t)length;
	return 0;
}

/* In TLS 1.3 the session is in a ticket behind the handshake: reading to the end brings it. */
static int keep_session(SSL *ssl, SSL_SESSION *session)
{
	struct handshakes *handshakes = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

	if (handshakes->session)
		return 0;
	handshakes->session = session;
	return 1;
}

static int get_session(struct handshakes *handshakes)
{
	static const char request[] = "GET / HTTP/1.0\r\n\r\n";
	SSL *ssl = SSL_new(handshakes->context);
	int fd = handshakes_connect(&handshakes->server);
	char answer[4096];

	if (fd < 0)
		return -1;
	SSL_CTX_set_app_data(handshakes->context, handshakes);
	SSL_CTX_set_session_cache_mode(handshakes->context,
				       SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(handshakes->context, keep_session);
	SSL_set_fd(ssl, fd);
	if (SSL_connect(ssl) == 1 && SSL_write(ssl, request, sizeof(request) - 1) > 0) {
		while (SSL_read(ssl, answer, sizeof(answer)) > 0)
			;
		SSL_shutdown(ssl);
	}
	SSL_free(ssl);
	close(fd);
	/* With a client's cache tls_finish_handshake() lets a TLS 1.3 session be used only once. */
	SSL_CTX_set_session_cache_mode(handshakes->context, SSL_SESS_CACHE_OFF);
	return handshakes->session ? 0 : complain("the server gave no session");
}

struct handshakes *handshakes_new(const struct handshake_kind *kind,
				  const struct sockaddr_in *server, unsigned int in_flight)
{
	struct handshakes *handshakes = calloc(1, sizeof(*handshakes));

	if (!handshakes)
		return NULL;
	handshakes->kind = *kind;
	handshakes->server = *server;
	handshakes->in_flight = in_flight < MAX_IN_FLIGHT ? in_flight : MAX_IN_FLIGHT;
	for (size_t i = 0; i < MAX_IN_FLIGHT; i++)
		handshakes->polls[i].fd = -1;
	handshakes->context = handshakes_context(kind->version);
	if (!handshakes->context || (kind->refused && make_refused_hello(handshakes) < 0) ||
	    (kind->resumed && get_session(handshakes) < 0)) {
		handshakes_free(handshakes);
		return NULL;
	}
	return handshakes;
}

void handshakes_free(struct handshakes *handshakes)
{
	if (!handshakes)
		return;
	for (size_t i = 0; i < MAX_IN_FLIGHT; i++) {
		SSL_free(handshakes->slots[i].ssl);
		if (handshakes->polls[i].fd >= 0)
			close(handshakes->polls[i].fd);
	}
	SSL_SESSION_free(handshakes->session);
	SSL_CTX_free(handshakes->context);
	free(handshakes);
}

static int slot_open(struct handshakes *handshakes, unsigned int i)
{
	struct slot *slot = &handshakes->slots[i];
	int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return complain("cannot make a socket");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	handshakes->polls[i].fd = fd;
	handshakes->polls[i].events = POLLOUT;
	slot->state = SLOT_CONNECT;
	if (connect(fd, (const struct sockaddr *)&handshakes->server, sizeof(handshakes->server)) <
		    0 &&
	    errno != EINPROGRESS)
		return complain("cannot connect");
	return 0;
}

static int slot_connected(struct handshakes *handshakes, unsigned int i)
{
	struct slot *slot = &handshakes->slots[i];
	int fd = handshakes->polls[i].fd, error = 0;
	socklen_t length = sizeof(error);

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0 || error != 0) {
		errno = error;
		return complain("cannot connect");
	}
	handshakes->polls[i].events = POLLIN;
	if (handshakes->kind.refused) {
		slot->state = SLOT_DRAIN;
		if (send(fd, handshakes->hello, handshakes->hello_len, MSG_NOSIGNAL) !=
		    (ssize_t)handshakes->hello_len)
			return complain("cannot send a hello");
		return 0;
	}
	slot->state = SLOT_HANDSHAKE;
	slot->ssl = SSL_new(handshakes->context);
	if (!slot->ssl || !SSL_set_fd(slot->ssl, fd) ||
	    (handshakes->session && !SSL_set_session(slot->ssl, handshakes->session)))
		return complain("cannot make an SSL");
	SSL_set_connect_state(slot->ssl);
	return 0;
}

/* A client that has what it wants: close_notify and FIN. The server answers with its own. */
static int slot_handshake(struct handshakes *handshakes, unsigned int i)
{
	struct slot *slot = &handshakes->slots[i];
	int result = SSL_do_handshake(slot->ssl);

	if (result < 1) {
		switch (SSL_get_error(slot->ssl, result)) {
		case SSL_ERROR_WANT_READ:
			handshakes->polls[i].events = POLLIN;
			return 0;
		case SSL_ERROR_WANT_WRITE:
			handshakes->polls[i].events = POLLOUT;
			return 0;
		default:
			return complain("a handshake failed");
		}
	}
	if (SSL_version(slot->ssl) != handshakes->kind.version)
		return complain("a handshake of another version");
	if (SSL_session_reused(slot->ssl) != handshakes->kind.resumed)
		return complain(handshakes->kind.resumed ? "a session was not resumed"
							 : "a session was resumed");
	SSL_shutdown(slot->ssl);
	if (shutdown(handshakes->polls[i].fd, SHUT_WR) < 0)
		return complain("cannot shut a connection down");
	handshakes->polls[i].events = POLLIN;
	slot->state = SLOT_DRAIN;
	return 0;
}

/* 1 at the server's FIN. What comes before it (tickets, alerts) is of no interest. */
static int slot_drain(struct handshakes *handshakes, unsigned int i)
{
	struct slot *slot = &handshakes->slots[i];
	char bytes[4096];
	ssize_t length;

	do
		length = recv(handshakes->polls[i].fd, bytes, sizeof(bytes), 0);
	while (length > 0);
	if (length < 0)
		return errno == EAGAIN ? 0 : complain("a connection broke");
	SSL_free(slot->ssl);
	close(handshakes->polls[i].fd);
	handshakes->polls[i].fd = -1;
	slot->ssl = NULL;
	slot->state = SLOT_FREE;
	return 1;
}

/* 1 when the slot is free again, 0 to wait, -1. */
static int slot_step(struct handshakes *handshakes, unsigned int i)
{
	struct slot *slot = &handshakes->slots[i];

	ERR_clear_error();
	if (slot->state == SLOT_CONNECT && slot_connected(handshakes, i) < 0)
		return -1;
	if (slot->state == SLOT_HANDSHAKE && slot_handshake(handshakes, i) < 0)
		return -1;
	return slot->state == SLOT_DRAIN ? slot_drain(handshakes, i) : 0;
}

int handshakes_run(struct handshakes *handshakes, unsigned int count)
{
	unsigned int started = 0, done = 0;

	while (done < count) {
		for (unsigned int i = 0; i < handshakes->in_flight && started < count; i++) {
			if (handshakes->slots[i].state != SLOT_FREE)
				continue;
			if (slot_open(handshakes, i) < 0)
				return -1;
			started++;
		}
		if (poll(handshakes->polls, handshakes->in_flight, STALL_MS) <= 0)
			return complain("the server does not answer");
		for (unsigned int i = 0; i < handshakes->in_flight; i++) {
			int result;

			if (handshakes->polls[i].fd < 0 || handshakes->polls[i].revents == 0)
				continue;
			result = slot_step(handshakes, i);
			if (result < 0)
				return -1;
			done += (unsigned int)result;
		}
	}
	return 0;
}
