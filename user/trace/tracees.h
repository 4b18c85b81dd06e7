/* SPDX-License-Identifier: BSD-2-Clause */
/* The kernel side's table of processes (bpf/abi.h), seen from user space: it is global data. */
#ifndef TLSWHY_TRACE_TRACEES_H
#define TLSWHY_TRACE_TRACEES_H

#include <stdbool.h>
#include <sys/types.h>

#include "bpf/abi.h"

struct tracees {
	__u32 *tags; /* TRACEES of each, in the skeleton's .bss */
	struct tracee *table;
};

/* Enters a process, or its role. False: there is no place; it goes unseen. */
bool tracees_enter(const struct tracees *tracees, pid_t pid, __u32 role);

/* The kernel side takes out who exits: none left means that the target is gone. */
bool tracees_any(const struct tracees *tracees);

#endif
