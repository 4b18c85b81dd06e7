/* SPDX-License-Identifier: BSD-2-Clause */
/* Every table that traffic can grow, with the reason for its size; and every deadline. */
#ifndef TLSWHY_JOIN_LIMITS_H
#define TLSWHY_JOIN_LIMITS_H

#include <stdint.h>

#define MS_NS UINT64_C(1000000)

/* Connections followed at once, about 300 bytes each when established. Beyond it the oldest that
 * was written is forgotten (a late refusal would go unseen), else the oldest is counted as lost. */
#define LIMIT_CONNECTIONS 65536

/* Ended without an SSL, on listeners not yet known to do TLS: kept so that the first connections to
 * a TLS port are not missed while nobody has shaken hands on it yet. */
#define LIMIT_SILENT 1024
#define SILENT_KEPT_NS (600 * 1000 * MS_NS)

/* Bytes that came to a listening socket before their connection was established. */
#define LIMIT_EARLY 1024
#define EARLY_KEPT_NS (10 * 1000 * MS_NS)

/* Sockets nginx listens on: reuseport has one per worker and address. */
#define LIMIT_LISTENERS 16384

/* Upstream addresses that did TLS, for connects that fail. */
#define LIMIT_UPSTREAMS 4096

/* nginx's processes, old and new. */
#define LIMIT_PROCESSES 4096

/* Different error codes whose text was learned. OpenSSL has some 2,500; a server meets dozens. */
#define LIMIT_TEXTS 1024

/* Codes that one thread holds until its next close: nginx's own log line has room for about ten. */
#define LIMIT_THREAD_CODES 16

/* A code is drained microseconds before its socket is closed. On two busy cores a worker was seen to
 * be off its CPU for 10 ms between the two. */
#define CODE_FRESH_NS (25 * MS_NS)

/* A record is not held longer than this after its handshake ended. */
#define HOLD_MAX_NS (1000 * MS_NS)
/* The least an upstream's refusal is waited for: its answer needs a round trip, and scheduling. */
#define HOLD_UPSTREAM_NS (50 * MS_NS)

/* After the kernel ended a connection (reset), nginx may still read what came before, and say why. */
#define SETTLE_NS (1000 * MS_NS)
/* After a call returned on a connection that is over, its codes follow at once. */
#define SETTLE_CALL_NS (20 * MS_NS)

/* Shorter than this no timeout of nginx's is: what it closes sooner it closes for another reason. */
#define SILENCE_NS (100 * MS_NS)

/* A master that got HUP and made no worker within this did not load its configuration. */
#define RELOAD_FAILED_NS (5 * 1000 * MS_NS)
/* After the first new worker the others follow at once. */
#define RELOAD_SETTLE_NS (500 * MS_NS)

/* How often deadlines are looked at when events drive the clock. */
#define ADVANCE_NS (50 * MS_NS)

#endif
