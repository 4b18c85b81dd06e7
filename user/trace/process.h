/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One process as /proc tells it, and what it is to nginx.
 *
 * A process is nginx when its title says so ("nginx: master process …": ngx_setproctitle() writes
 * "<name>: master process", "worker process", "cache manager process" …), or when its executable
 * contains "nginx version: " (what `nginx -v` prints; it stays in .rodata of a stripped and of a
 * renamed binary) or exports ngx_* symbols (linked with -Wl,-E, so in .dynsym of any build that can
 * load modules; forks that renamed the product, such as Angie, keep them).
 */
#ifndef TLSWHY_TRACE_PROCESS_H
#define TLSWHY_TRACE_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "bpf/abi.h"

/* A title is bounded by the argv and environ that nginx overwrites; more of it is never of use. */
#define PROCESS_TITLE_MAX 256
/* Nested pid namespaces are at most 32 deep (MAX_PID_NS_LEVEL). */
#define PROCESS_NS_DEPTH_MAX 33

struct process {
	pid_t pid; /* tgid, in the pid namespace of the mounted /proc: tlswhy's own */
	pid_t parent;
	pid_t ns_pids[PROCESS_NS_DEPTH_MAX]; /* NSpid: from /proc's namespace inwards */
	int ns_count;
	uid_t uid;  /* effective */
	char state; /* R S D T Z X … */
	bool kernel_thread;
	bool is_thread;	      /* the id asked for is a thread of `pid` */
	uint64_t start_ticks; /* since boot: with pid it names a process for ever */
	uint64_t start_stack; /* 0 without the right to look; equal in a child that only forked */
	char comm[16];
	char title[PROCESS_TITLE_MAX]; /* the first argument, as far as it is printable */
	uint32_t role; /* ROLE_*, by title alone; ROLE_UNKNOWN where the title says nothing */
};

/* Reads what /proc/ID says; ID may be a thread's. 0, -ESRCH (no such process), -EACCES, -errno. */
int process_read(pid_t id, struct process *ret);

/* ROLE_* by title: ROLE_UNKNOWN where it is not nginx's. */
uint32_t process_role(const char *title);

/* What the title calls it ("worker process", "cache manager process"), NULL where it is not
 * nginx's. */
const char *process_kind(const char *title);

/* Every process and its parent, in one pass over /proc. *ret is to be freed. The number, or -errno.
 */
struct process_link {
	pid_t pid, parent;
};

int process_table(struct process_link **ret);

/* Pids of all live children, oldest first; *ret is to be freed. The number, or -errno. */
int process_children(pid_t pid, pid_t **ret);

/* Where the executable is, as the process sees it, without " (deleted)". 0 or -errno. */
int process_executable(pid_t pid, char *ret, size_t size);

/* Is its executable an nginx (see above)? *ret_version gets "nginx/1.22.1" (any length is cut to
 * size) or "" where it is not in there. 1, 0, or -errno (-EACCES without the right to look). */
int process_is_nginx(pid_t pid, char *ret_version, size_t size);

/* Inode of /proc/PID/ns/NAME ("net", "pid", "mnt", "cgroup"); 0 where it cannot be read. */
uint64_t process_namespace(pid_t pid, const char *name);

/* Are tlswhy's pids those that BPF programs see? False inside a container's pid namespace. */
bool process_pids_are_global(void);

/* The process whose pid *inside* the pid namespace of `inode` is `ns_pid`; 0 where there is none.
 */
pid_t process_translate(uint64_t inode, pid_t ns_pid);

#endif
