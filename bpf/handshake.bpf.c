// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * SSL_set_fd, SSL_do_handshake, SSL_read_early_data.
 *
 * This is the path of every handshake that succeeds: one look-up a program, and one event for what
 * SSL_set_fd and the first SSL_do_handshake say together, since nginx calls the one right before
 * the other (ngx_ssl_create_connection, ngx_ssl_handshake).
 */
#include "bpf/tlswhy.bpf.h"

/* The socket behind a file descriptor of the current process. */
static __always_inline struct sock *socket_of_fd(int fd)
{
	struct file **table, *file = 0;
	struct socket *socket;

	/* Linux 5.11: walked with loads instead of a helper's call for each */
	if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_get_current_task_btf))
		table = bpf_get_current_task_btf()->files->fdt->fd;
	else
		table = BPF_CORE_READ((struct task_struct *)bpf_get_current_task(), files, fdt, fd);
	if (bpf_probe_read_kernel(&file, sizeof(file), &table[(__u32)fd]) || !file)
		return 0;
	/* SSL_set_fd is given sockets; of anything else comes a number that no connection has */
	socket = BPF_CORE_READ(file, private_data);
	return BPF_CORE_READ(socket, sk);
}

static __always_inline __u64 cookie_of_fd(int fd)
{
	struct sock *sk = socket_of_fd(fd);
	__u64 cookie = BPF_CORE_READ(sk, __sk_common.skc_cookie.counter);

	/* a TCP socket got its cookie when it was established, the latest; MPTCP's has none: the
	 * connection's first subflow stands for it */
	if (!cookie && sk && bpf_core_field_exists(struct mptcp_sock, first) &&
	    BPF_CORE_READ(sk, sk_protocol) == IPPROTO_MPTCP)
		cookie = BPF_CORE_READ((struct mptcp_sock *)sk, first, __sk_common.skc_cookie.counter);
	return cookie;
}

SEC("?uprobe")
int BPF_KPROBE(ssl_set_fd_entry, __u64 ssl, int fd)
{
	struct tracee *tracee = tracee_current();
	struct event *event;
	__u64 now;

	if (!tracee)
		return 0;
	now = bpf_ktime_get_ns();
	if (tracee->set_ssl) {
		/* no handshake followed the one before: nginx gave that connection up */
		event = event_reserve(EVENT_SET_FD, EVENT_SIZE(event_set_fd), now,
				      tracee->set_cookie);
		if (event) {
			event->set_fd.ssl = tracee->set_ssl;
			event->set_fd.set_fd_ns = tracee->set_ns;
			event_submit(event);
		}
	}
	tracee->set_ssl = ssl;
	tracee->set_ns = now;
	tracee->set_cookie = cookie_of_fd(fd);
	return 0;
}

SEC("?uprobe")
int BPF_KPROBE(ssl_do_handshake_entry, __u64 ssl)
{
	struct tracee *tracee = tracee_current();

	if (!tracee)
		return 0;
	tracee->call_ssl = ssl;
	tracee->call_ns = bpf_ktime_get_ns();
	return 0;
}

static __always_inline void call_returned(struct tracee *tracee, __u64 task, __u32 kind, __u64 ssl,
					  __u64 entry_ns, __s32 result, __u32 flags)
{
	__u64 cookie = 0, set_fd_ns = 0;
	struct event *event;

	if (tracee->set_ssl == ssl) {
		flags |= HANDSHAKE_FIRST;
		cookie = tracee->set_cookie;
		set_fd_ns = tracee->set_ns;
		tracee->set_ssl = 0;
	}
	event = event_reserve_of(kind, EVENT_SIZE(event_handshake), bpf_ktime_get_ns(), cookie, task);
	if (!event) {
		if (flags & HANDSHAKE_FIRST)
			lost_count(&lost.first_handshakes);
		return;
	}
	event->handshake.ssl = ssl;
	event->handshake.entry_ns = entry_ns;
	event->handshake.set_fd_ns = set_fd_ns;
	event->handshake.result = result;
	event->handshake.flags = flags;
	event_submit(event);
}

SEC("?uretprobe")
int BPF_KRETPROBE(ssl_do_handshake_exit, int result)
{
	__u64 task = bpf_get_current_pid_tgid(), ssl;
	struct tracee *tracee = tracee_of_task(task);

	if (!tracee || !tracee->call_ssl)
		return 0;
	ssl = tracee->call_ssl;
	tracee->call_ssl = 0;
	call_returned(tracee, task, EVENT_HANDSHAKE, ssl, tracee->call_ns, result,
		      tracee->early_ssl == ssl ? HANDSHAKE_IN_EARLY_DATA : 0);
	return 0;
}

SEC("?uprobe")
int BPF_KPROBE(ssl_read_early_data_entry, __u64 ssl)
{
	struct tracee *tracee = tracee_current();

	if (!tracee)
		return 0;
	tracee->early_ssl = ssl;
	tracee->early_ns = bpf_ktime_get_ns();
	return 0;
}

SEC("?uretprobe")
int BPF_KRETPROBE(ssl_read_early_data_exit, int result)
{
	__u64 task = bpf_get_current_pid_tgid(), ssl;
	struct tracee *tracee = tracee_of_task(task);

	if (!tracee || !tracee->early_ssl)
		return 0;
	ssl = tracee->early_ssl;
	tracee->early_ssl = 0;
	call_returned(tracee, task, EVENT_EARLY_DATA, ssl, tracee->early_ns, result, 0);
	return 0;
}
