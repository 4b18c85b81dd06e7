/* SPDX-License-Identifier: BSD-2-Clause */
/* The cgroup v2 hierarchy: where cgroup_skb programs attach, and which cgroup a process is in. */
#ifndef TLSWHY_TRACE_CGROUP_H
#define TLSWHY_TRACE_CGROUP_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/failure.h"

/*
 * An O_RDONLY descriptor of the cgroup2 root directory (as far as tlswhy's own mounts reach). Where
 * it is mounted nowhere (cgroup v1 hosts) a detached mount is made that no directory shows
 * (fsmount, Linux 5.2): the hierarchy exists all the same, and the descriptor keeps it open. -1
 * with *why: EXIT_HOST (no cgroup v2 in this kernel), EXIT_PERMISSION.
 */
int cgroup_open_root(struct failure *why);

/* The part of it for hosts without a mount: the descriptor, or -errno. */
int cgroup_open_detached(void);

/* Where cgroup2 is mounted in tlswhy's mount namespace: the mount that shows the most of it.
 * *ret_is_root: it shows the hierarchy's own root. 0, -ENOENT, -errno. */
int cgroup_find_mount(char *ret_path, size_t size, bool *ret_is_root);

/* A process's path in the v2 hierarchy ("/system.slice/nginx.service"). 0, -ENOENT, -errno. */
int cgroup_of_process(pid_t pid, char *ret_path, size_t size);

/* The container's id in a process's cgroup paths (64 hex digits, as Docker, containerd, CRI-O and
 * Podman name their cgroups), of v1 or v2. 0, -ENOENT (in no container), -errno. */
int cgroup_container(pid_t pid, char ret_id[65]);

#endif
