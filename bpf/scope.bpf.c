// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * In which cgroup nginx's listening sockets are. A socket's is that of whoever made it, and a child's
 * is its listener's: where it is not nginx's own (systemd's socket activation), the packets' programs
 * must be attached higher up.
 */
#include "bpf/tlswhy.bpf.h"

static __always_inline __u64 cgroup_of(struct file *file)
{
	struct socket *socket;
	struct sock *sk;

	if (!bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_sock_from_file) ||
	    !bpf_core_field_exists(struct sock_cgroup_data, cgroup))
		return 0;
	socket = bpf_sock_from_file(file);
	if (!socket)
		return 0;
	sk = socket->sk;
	if (!sk || BPF_CORE_READ(sk, __sk_common.skc_state) != TCP_LISTEN ||
	    BPF_CORE_READ(sk, sk_protocol) != IPPROTO_TCP)
		return 0;
	return BPF_CORE_READ(sk, sk_cgrp_data.cgroup, kn, id);
}

/* Writes the id (8 bytes) for each listening TCP socket of each process that is traced. */
SEC("iter/task_file")
int listener_cgroups(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	__u64 id;

	if (!task || !file || task->pid != task->tgid || !tracee_find(task->tgid))
		return 0;
	id = cgroup_of(file);
	if (id)
		bpf_seq_write(ctx->meta->seq, &id, sizeof(id));
	return 0;
}
