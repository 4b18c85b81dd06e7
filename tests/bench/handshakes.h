/* SPDX-License-Identifier: BSD-2-Clause */
/* A counted number of TLS handshakes of one kind, several at a time from one thread. */
#ifndef TLSWHY_BENCH_HANDSHAKES_H
#define TLSWHY_BENCH_HANDSHAKES_H

#include <netinet/in.h>
#include <openssl/ssl.h>
#include <stdbool.h>

struct handshakes;

struct handshake_kind {
	int version;  /* TLS1_2_VERSION or TLS1_3_VERSION */
	bool resumed; /* all of them with the session of one full handshake before */
	bool refused; /* a ClientHello of TLS 1.1 instead, and the server's alert read */
};

/* Prepares and, for resumed ones, gets the session. NULL after saying why. */
struct handshakes *handshakes_new(const struct handshake_kind *kind,
				  const struct sockaddr_in *server, unsigned int in_flight);

/*
 * Makes `count` handshakes, each over a connection of its own that is read to its end. 0, or -1
 * after saying which was not of the kind asked for.
 */
int handshakes_run(struct handshakes *handshakes, unsigned int count);

void handshakes_free(struct handshakes *handshakes);

/* A client's context of exactly this version, with one cipher, so that hosts compare. */
SSL_CTX *handshakes_context(int version);

/* A connected blocking socket, -1 after saying why. */
int handshakes_connect(const struct sockaddr_in *server);

#endif
