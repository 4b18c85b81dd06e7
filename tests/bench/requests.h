/* SPDX-License-Identifier: BSD-2-Clause */
/* A counted number of HTTP requests on one connection, over TLS or in the clear. */
#ifndef TLSWHY_BENCH_REQUESTS_H
#define TLSWHY_BENCH_REQUESTS_H

#include <netinet/in.h>
#include <stdbool.h>

struct requests;

/*
 * Connects, and handshakes (TLS 1.3) where `tls`; with the client certificate and key of the file
 * `certificate` unless that is NULL. NULL after saying why.
 */
struct requests *requests_new(const struct sockaddr_in *server, bool tls, const char *certificate);

/* Sends `count` requests one after the other, each answered with 200; 0, or -1 after saying why. */
int requests_run(struct requests *requests, unsigned int count);

void requests_free(struct requests *requests);

#endif
