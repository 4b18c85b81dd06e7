/* SPDX-License-Identifier: BSD-2-Clause */
/* The nginx that is traced: what -p named, and the processes that belong to it. */
#ifndef TLSWHY_TRACE_TARGET_H
#define TLSWHY_TRACE_TARGET_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

#include "base/failure.h"
#include "trace/process.h"

/* worker_processes is the number of CPUs as a rule; old workers stay for a while after a reload. */
#define TARGET_PROCESSES_MAX 4096

struct target_process {
	pid_t pid;
	pid_t parent;
	uint32_t
		role; /* ROLE_* of bpf/abi.h; the one process of `master_process off` is a worker */
	uint64_t start_ticks;
};

struct target {
	pid_t pid;	 /* as given */
	pid_t master;	 /* 0: one worker was given, or master_process is off */
	bool single;	 /* only `pid` is traced, and nothing that comes after it */
	bool master_off; /* single because nginx runs without a master */
	struct target_process *processes; /* the given one first, then its descendants */
	int process_count;
	char nginx_version[64];	   /* "nginx/1.22.1"; "" where the executable does not say */
	char executable[PATH_MAX]; /* as the process sees it */
};

/*
 * Finds the nginx that `pid_or_file` names: a pid, or a file that contains one. A pid file of a
 * container ("/proc/123/root/run/nginx.pid", or one whose number is no nginx here but is one inside
 * exactly one other pid namespace) is translated. 0, or -1 with *why: EXIT_TARGET, EXIT_PERMISSION.
 */
int target_open(struct target *target, const char *pid_or_file, struct failure *why);

/* Reads the processes again: new workers, ended ones. 0, or -1 when the target is gone. */
int target_refresh(struct target *target, struct failure *why);

/* How many of its processes are ROLE_WORKER. */
int target_worker_count(const struct target *target);

/* Frees what target_open() took; NULL and a zeroed target are fine. */
void target_close(struct target *target);

#endif
