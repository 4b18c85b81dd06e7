/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A stream that takes what is written to it at once and writes it to a descriptor in a thread of its
 * own: whoever reads tlswhy's output slowly must not hold up the reading of the kernel's ring.
 */
#ifndef TLSWHY_OUTPUT_SPOOL_H
#define TLSWHY_OUTPUT_SPOOL_H

#include <stdio.h>

/* A busy host's records of some seconds (2 KB each), well inside the 32 MiB that tlswhy may take. */
#define SPOOL_LIMIT (8 * 1024 * 1024)

/* Where the spool is full a write waits: then the ring fills, and what it loses is counted. A write
 * fails with the descriptor's error once it had one. fclose() waits until everything is written;
 * `fd` stays open. NULL with errno set: no memory, no thread. */
FILE *spool_open(int fd);

#endif
