// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Which processes are the target's: a new worker's first handshake is seen because the kernel says so. */
#include "bpf/tlswhy.bpf.h"

struct processes processes SEC(".maps");

/* Not set where one worker alone is traced. */
const volatile bool follow_forks = true;

enum { SIGHUP = 1, SIGQUIT = 3, SIGUSR2 = 12, SIGTERM = 15 };

SEC("tp_btf/sched_process_fork")
int BPF_PROG(sched_process_fork, struct task_struct *parent, struct task_struct *child)
{
	__u32 parent_tgid = BPF_CORE_READ(parent, tgid);
	__u32 child_tgid = BPF_CORE_READ(child, tgid);
	struct process fresh = { .role = ROLE_UNKNOWN };
	struct event *event;

	if (!follow_forks || parent_tgid == child_tgid)
		return 0;
	if (!bpf_map_lookup_elem(&processes, &parent_tgid))
		return 0;
	if (bpf_map_update_elem(&processes, &child_tgid, &fresh, BPF_ANY))
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
	struct process *process = bpf_map_lookup_elem(&processes, &tgid);
	struct process fresh = { .role = ROLE_UNKNOWN };
	struct event *event;

	if (!process)
		return 0;
	*process = fresh; /* its addresses are gone */
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
	if (bpf_map_delete_elem(&processes, &tgid))
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
	struct process *process;
	struct event *event;

	if (number != SIGHUP && number != SIGQUIT && number != SIGUSR2 && number != SIGTERM)
		return 0;
	process = process_current();
	if (!process)
		return 0;
	event = event_reserve(EVENT_SIGNAL, EVENT_SIZE(event_signal), bpf_ktime_get_ns(), 0);
	if (!event)
		return 0;
	event->signal.number = number;
	event->signal.reserved = 0;
	event_submit_now(event);
	return 0;
}
