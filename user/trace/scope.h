/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where the packets' programs are attached: in nginx's own cgroup, so that the rest of the host does not
 * pay for them; at the root where that would miss a socket, or where it cannot be known.
 */
#ifndef TLSWHY_TRACE_SCOPE_H
#define TLSWHY_TRACE_SCOPE_H

#include <limits.h>
#include <stdbool.h>

#include <bpf/libbpf.h>

#include "trace/target.h"

struct scope {
	bool root;
	char path[PATH_MAX]; /* in the hierarchy, where not root: "/system.slice/nginx.service" */
	struct bpf_program *ingress, *egress, *listeners; /* listeners: an iterator */
	struct bpf_link *links[2];
};

/* Chooses and attaches; the target's processes are in the table of tracees by now. 0, or -1 with
 * *why. */
int scope_open(struct scope *scope, const struct target *target, struct failure *why);

/* A process that came later lives elsewhere: attaches at the root instead, if it can. */
void scope_admit(struct scope *scope, pid_t pid);

void scope_close(struct scope *scope);

#endif
