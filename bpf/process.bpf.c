// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Which processes are the target's: a new worker's first handshake is seen because the kernel says so. */
#include "bpf/tlswhy.bpf.h"

__u32 tracee_tags[TRACEES] = {};
struct tracee tracees[TRACEES] = {};

/* Not set where one worker alone is traced. */
const volatile bool follow_forks = true;

static __always_inline void tracee_clear(struct tracee *tracee)
{
	__builtin_memset(tracee, 0, sizeof(*tracee));
}

/* Forks are the master's, one after the other, so nobody races for a place. */
static __always_inline bool tracee_add(__u32 tgid)
{
	__u32 at = tgid % TRACEE_SETS * TRACEE_WAYS;

	for (__u32 i = 0; i < TRACEE_WAYS; i++) {
		if (tracee_tags[at + i])
			continue;
		tracee_clear(&tracees[at + i]);
		tracee_tags[at + i] = tgid;
		return true;
	}
	return false;
}

static __always_inline bool tracee_remove(__u32 tgid)
{
	__u32 at = tgid % TRACEE_SETS * TRACEE_WAYS;

	for (__u32 i = 0; i < TRACEE_WAYS; i++) {
		if (tracee_tags[at + i] == tgid) {
			tracee_tags[at + i] = 0;
			return true;
		}
	}
	return false;
}

enum { SIGHUP = 1, SIGQUIT = 3, SIGUSR2 = 12, SIGTERM = 15 };

SEC("tp_btf/sched_process_fork")
int BPF_PROG(sched_process_fork, struct task_struct *parent, struct task_struct *child)
{
	__u32 parent_tgid = BPF_CORE_READ(parent, tgid);
	__u32 child_tgid = BPF_CORE_READ(child, tgid);
	struct event *event;

	if (!follow_forks || parent_tgid == child_tgid)
		return 0;
	if (!tracee_find(parent_tgid))
		return 0;
	if (!tracee_add(child_tgid))
		lost_count(&lost.map_full);
	event = event_reserve(EVENT_FORK, EVENT_SIZE(event_fork), bpf_ktime_get_ns(), 0);
	if (!event)
		return 0;
	event->fork.child = child_tgid;
	event->fork.reserved = 0;
	event_submit_now(event);
	return 0;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(sched_process_exec, struct task_struct *task)
{
	__u32 tgid = BPF_CORE_READ(task, tgid);
	struct tracee *tracee = tracee_find(tgid);
	struct event *event;

	if (!tracee)
		return 0;
	tracee_clear(tracee); /* its addresses are gone */
	event = event_reserve(EVENT_EXEC, EVENT_HEADER_SIZE, bpf_ktime_get_ns(), 0);
	if (event)
		event_submit_now(event);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(sched_process_exit, struct task_struct *task)
{
	__u32 tgid = BPF_CORE_READ(task, tgid);
	struct event *event;

	if ((__u32)BPF_CORE_READ(task, pid) != tgid)
		return 0;
	if (!tracee_remove(tgid))
		return 0;
	event = event_reserve(EVENT_EXIT, EVENT_SIZE(event_exit), bpf_ktime_get_ns(), 0);
	if (!event)
		return 0;
	event->exit.exit_code = BPF_CORE_READ(task, exit_code);
	event->exit.reserved = 0;
	event_submit_now(event);
	return 0;
}

/* What nginx's master was asked for: a reload, a binary upgrade, an end. */
SEC("tp_btf/signal_deliver")
int BPF_PROG(signal_deliver, int number)
{
	struct tracee *tracee;
	struct event *event;

	if (number != SIGHUP && number != SIGQUIT && number != SIGUSR2 && number != SIGTERM)
		return 0;
	tracee = tracee_current();
	if (!tracee)
		return 0;
	event = event_reserve(EVENT_SIGNAL, EVENT_SIZE(event_signal), bpf_ktime_get_ns(), 0);
	if (!event)
		return 0;
	event->signal.number = number;
	event->signal.reserved = 0;
	event_submit_now(event);
	return 0;
}
