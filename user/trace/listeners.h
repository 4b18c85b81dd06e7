/* SPDX-License-Identifier: BSD-2-Clause */
/* The TCP sockets that nginx listens on, taken from its own descriptor tables (Linux 5.6). */
#ifndef TLSWHY_TRACE_LISTENERS_H
#define TLSWHY_TRACE_LISTENERS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "bpf/abi.h"

/* Four IPv4 and four IPv6 addresses on a hundred ports, reuseport in 64 workers: a wide margin. */
#define LISTENERS_MAX 65536

struct listener {
	int fd;			  /* a duplicate: valid during the call only */
	uint64_t cookie;	  /* SO_COOKIE */
	struct event_tuple tuple; /* local address and port; netns of the process */
	bool mptcp; /* IPPROTO_MPTCP: the fd is the mptcp_sock, the TCP listener is its `first` */
	pid_t pid;  /* in whose table it was found first */
};

/* 0 goes on; anything else ends the walk and is returned by listeners_each(). */
typedef int listeners_fn(const struct listener *listener, void *data);

/*
 * Calls `each` once for every listening TCP socket that these processes hold, whatever number of
 * them shares it. Processes that end meanwhile are skipped. The number of sockets; -EPERM where
 * ptrace access to a process is refused (Yama, no CAP_SYS_PTRACE) and -ENOSYS before 5.6: then the
 * socket storage must be set another way; else -errno or what `each` returned.
 */
int listeners_each(const pid_t *pids, int count, listeners_fn *each, void *data);

#endif
