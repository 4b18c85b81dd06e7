/* SPDX-License-Identifier: BSD-2-Clause */
/* What a slice of load is measured by: the worker's CPU time and the tracer's uprobe hits. */
#ifndef TLSWHY_BENCH_METER_H
#define TLSWHY_BENCH_METER_H

#include <stdint.h>

struct reading {
	uint64_t cpu_ns; /* that the worker has run, in user space and in the kernel */
	uint64_t traps;	 /* runs of the tracer's uprobe programs */
};

/*
 * Has the kernel count runs of BPF programs until the returned descriptor is closed, at the latest
 * by the end of the process: unlike kernel.bpf_stats_enabled nothing is left on after a crash.
 * -1 after saying why.
 */
int meter_count_traps(void);

/*
 * Reads both; `tracer` 0 leaves the traps at 0. The worker must be about to sleep: the kernel
 * brings a running task's time up to date only at ticks. 0, or -1 after saying why.
 */
int meter_read(int worker, int tracer, struct reading *ret_reading);

#endif
