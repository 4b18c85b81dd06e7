// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Whose socket it is, and how its TCP connection lives.
 *
 * A passive transition runs on the peer's task or on whoever took the interrupt: the current
 * process says something only for LISTEN, SYN_SENT and the states that close() enters.
 */
#include "bpf/tlswhy.bpf.h"

struct marks marks SEC(".maps");
struct early_walks early_walks SEC(".maps");

static __always_inline void tuple_fill(struct event_tuple *tuple, struct sock *sk)
{
	struct inet_sock *inet = (struct inet_sock *)sk;

	__builtin_memset(tuple, 0, sizeof(*tuple));
	tuple->family = sk->__sk_common.skc_family;
	if (tuple->family == AF_INET6) {
		BPF_CORE_READ_INTO(&tuple->local, sk, __sk_common.skc_v6_rcv_saddr);
		BPF_CORE_READ_INTO(&tuple->remote, sk, __sk_common.skc_v6_daddr);
	} else {
		*(__be32 *)tuple->local = sk->__sk_common.skc_rcv_saddr;
		*(__be32 *)tuple->remote = sk->__sk_common.skc_daddr;
	}
	/* inet_sport outlives inet_num: at CLOSE the port was given back already */
	tuple->local_port = bpf_ntohs(BPF_CORE_READ(inet, inet_sport));
	tuple->remote_port = bpf_ntohs(sk->__sk_common.skc_dport);
	tuple->netns = sk->__sk_common.skc_net.net->ns.inum;
}

static __always_inline void listener_found(struct sock *sk, __u64 now)
{
	struct mark fresh = {};
	struct event *event;

	fresh.listener_cookie = bpf_get_socket_cookie(sk);
	if (!bpf_sk_storage_get(&marks, sk, &fresh, BPF_SK_STORAGE_GET_F_CREATE)) {
		lost_count(&lost.map_full);
		return;
	}
	event = event_reserve(EVENT_LISTENER, EVENT_SIZE(event_listener), now, fresh.listener_cookie);
	if (!event)
		return;
	tuple_fill(&event->listener.tuple, sk);
	event->listener.tuple.local_port = sk->__sk_common.skc_num;
	event->listener.reserved = 0;
	event_submit(event);
}

static __always_inline void connect_began(struct sock *sk, __u64 now)
{
	struct mark fresh = {};

	fresh.flags = MARK_ACTIVE;
	fresh.connect_ns = now;
	fresh.owner = bpf_get_current_pid_tgid() >> 32;
	if (!bpf_sk_storage_get(&marks, sk, &fresh, BPF_SK_STORAGE_GET_F_CREATE))
		lost_count(&lost.map_full);
}

static __always_inline void opened(struct sock *sk, struct mark *mark, __u64 now)
{
	struct tcp_sock *tcp = bpf_skc_to_tcp_sock(sk);
	struct event_open *open;
	struct event *event;
	__u32 active = mark->flags & MARK_ACTIVE;

	if (!tcp)
		return;
	event = event_reserve(EVENT_OPEN, EVENT_SIZE(event_open), now, bpf_get_socket_cookie(sk));
	if (!event)
		return;
	open = &event->open;
	tuple_fill(&open->tuple, sk);
	open->flags = active ? OPEN_ACTIVE : 0;
	open->listener_cookie = mark->listener_cookie;
	open->connect_ns = mark->connect_ns;
	open->owner = mark->owner;
	open->srtt_us = tcp->srtt_us >> 3;
	open->remote_isn = tcp->rcv_nxt - (__u32)tcp->bytes_received;
	/* an active open's SYN was acknowledged and counted (tcp_snd_una_update) */
	open->local_isn = tcp->snd_una - (__u32)tcp->bytes_acked + (active ? 1 : 0);
	if (mark->flags & MARK_EARLY) {
		struct early_key key = {};

		__builtin_memcpy(key.remote, open->tuple.remote, sizeof(key.remote));
		key.remote_port = open->tuple.remote_port;
		key.local_port = open->tuple.local_port;
		early_take(mark, &key);
	}
	event_submit(event);
}

static __always_inline void close_fill(struct event_close *close, struct sock *sk,
				       const struct mark *mark, int old, int new)
{
	close->flags = mark->flags & MARK_ACTIVE ? CLOSE_ACTIVE : 0;
	close->sk_err = sk->sk_err;
	close->old_state = old;
	close->new_state = new;
	close->reserved = 0;
	close->owner = mark->owner;
}

static __always_inline void closed(struct sock *sk, struct mark *mark, int old, int new, __u64 now)
{
	struct event *event;

	event = event_reserve(EVENT_CLOSE, EVENT_CLOSE_SIZE, now, bpf_get_socket_cookie(sk));
	if (!event)
		return;
	close_fill(&event->close, sk, mark, old, new);
	event_submit(event);
}

static __always_inline void connect_failed(struct sock *sk, struct mark *mark, int new, __u64 now)
{
	struct event *event;

	event = event_reserve(EVENT_CLOSE, EVENT_CONNECT_FAILED_SIZE, now,
			      bpf_get_socket_cookie(sk));
	if (!event)
		return;
	close_fill(&event->close, sk, mark, TCP_SYN_SENT, new);
	event->close.connect_ns = mark->connect_ns;
	event->close.reserved2 = 0;
	tuple_fill(&event->close.tuple, sk);
	event_submit(event);
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(inet_sock_set_state, struct sock *sk, int old, int new)
{
	struct mark *mark;
	__u64 now;

	if (new == TCP_LISTEN || new == TCP_SYN_SENT) {
		/* other protocols share this tracepoint; MPTCP's subflows are TCP */
		if (sk->sk_protocol != IPPROTO_TCP || !tracee_current())
			return 0;
		if (new == TCP_LISTEN)
			listener_found(sk, bpf_ktime_get_ns());
		else
			connect_began(sk, bpf_ktime_get_ns());
		return 0;
	}
	/* what follows one of these was said when it was entered */
	if (new != TCP_ESTABLISHED && new != TCP_CLOSE_WAIT && new != TCP_FIN_WAIT1 &&
	    new != TCP_LAST_ACK && new != TCP_CLOSE)
		return 0;
	if (new == TCP_CLOSE && old != TCP_ESTABLISHED && old != TCP_CLOSE_WAIT &&
	    old != TCP_SYN_SENT && old != TCP_SYN_RECV)
		return 0;
	mark = bpf_sk_storage_get(&marks, sk, 0, 0);
	if (!mark)
		return 0;
	now = bpf_ktime_get_ns();
	if (new == TCP_ESTABLISHED) {
		opened(sk, mark, now);
	} else if (new == TCP_CLOSE_WAIT) {
		struct event *event = event_reserve(EVENT_PEER_FIN, EVENT_HEADER_SIZE, now,
						    bpf_get_socket_cookie(sk));
		if (event)
			event_submit(event);
	} else if (old == TCP_SYN_SENT) {
		connect_failed(sk, mark, new, now);
	} else {
		closed(sk, mark, old, new, now);
	}
	return 0;
}

SEC("tp_btf/tcp_retransmit_skb")
int BPF_PROG(tcp_retransmit_skb, struct sock *sk)
{
	struct event *event;

	if (!bpf_sk_storage_get(&marks, sk, 0, 0))
		return 0;
	event = event_reserve(EVENT_RETRANSMIT, EVENT_HEADER_SIZE, bpf_ktime_get_ns(),
			      bpf_get_socket_cookie(sk));
	if (event)
		event_submit(event);
	return 0;
}
