/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* What the BPF files share: the ring, the counters of what was lost, the processes traced. */
#ifndef TLSWHY_BPF_H
#define TLSWHY_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_endian.h>

#include "bpf/abi.h"

/* include/net/tcp_states.h */
enum {
	TCP_ESTABLISHED = 1,
	TCP_SYN_SENT = 2,
	TCP_SYN_RECV = 3,
	TCP_FIN_WAIT1 = 4,
	TCP_CLOSE = 7,
	TCP_CLOSE_WAIT = 8,
	TCP_LAST_ACK = 9,
	TCP_LISTEN = 10,
};

enum { AF_INET = 2, AF_INET6 = 10, IPPROTO_TCP = 6, IPPROTO_MPTCP = 262 };

/* ---- the ring: owned by ring.bpf.c ---- */

struct ring {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 2 * 1024 * 1024); /* user space sets what --ring-size says */
};
extern struct ring events SEC(".maps");
extern struct event_lost lost;
extern const volatile __u32 ring_wakeup_bytes;
extern __u32 ring_woken;

static __always_inline void lost_count(__u64 *counter)
{
	__sync_fetch_and_add(counter, 1);
}

/* Reserves an event and fills its header; NULL was counted. `size` must be a constant. `task` is
 * bpf_get_current_pid_tgid()'s, 0 where it means nothing. */
static __always_inline void *event_reserve_of(__u32 kind, __u64 size, __u64 now, __u64 cookie,
					      __u64 task)
{
	struct event_header *header = bpf_ringbuf_reserve(&events, size, 0);

	if (!header) {
		lost_count(&lost.by_kind[kind]);
		return 0;
	}
	header->size = size;
	header->kind = kind;
	header->ts_ns = now;
	header->tgid = task >> 32;
	header->tid = (__u32)task;
	header->cookie = cookie;
	return header;
}

static __always_inline void *event_reserve(__u32 kind, __u64 size, __u64 now, __u64 cookie)
{
	return event_reserve_of(kind, size, now, cookie, bpf_get_current_pid_tgid());
}

#define EVENT_SIZE(arm) (EVENT_HEADER_SIZE + sizeof(struct arm))

/* Waking the reader costs more than all the rest of a program, so records wait for its timer... */
static __always_inline void event_submit(void *event)
{
	bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP);
}

/* ...but bulky ones wake it when a quarter of the ring is full... */
static __always_inline void event_submit_bulk(void *event)
{
	__u64 flags = BPF_RB_NO_WAKEUP;

	if (bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA) > ring_wakeup_bytes) {
		if (!ring_woken) {
			ring_woken = 1; /* once, until the reader has been there: it costs 10 µs */
			flags = BPF_RB_FORCE_WAKEUP;
		}
	} else if (ring_woken) {
		ring_woken = 0;
	}
	bpf_ringbuf_submit(event, flags);
}

/* ...and what user space must act on wakes it at once. */
static __always_inline void event_submit_now(void *event)
{
	bpf_ringbuf_submit(event, BPF_RB_FORCE_WAKEUP);
}

/* ---- processes of the target: owned by process.bpf.c ---- */

extern __u32 tracee_tags[TRACEES];
extern struct tracee tracees[TRACEES];

static __always_inline struct tracee *tracee_find(__u32 tgid)
{
	__u32 at = tgid % TRACEE_SETS * TRACEE_WAYS;

	for (__u32 i = 0; i < TRACEE_WAYS; i++) {
		if (tracee_tags[at + i] == tgid)
			return &tracees[at + i];
	}
	return 0;
}

/* The process that runs now, if it is the target's, and on its main thread. */
static __always_inline struct tracee *tracee_of_task(__u64 task)
{
	struct tracee *tracee = tracee_find(task >> 32);

	if (tracee && (__u32)task != (__u32)(task >> 32)) {
		lost_count(&lost.foreign_threads);
		return 0;
	}
	return tracee;
}

static __always_inline struct tracee *tracee_current(void)
{
	return tracee_of_task(bpf_get_current_pid_tgid());
}

/* ---- marks on sockets: owned by socket.bpf.c ---- */

enum {
	WALK_START = 0,
	WALK_PROXIED = 1, /* behind a PROXY header */
	WALK_TLS = 2,
	WALK_ASLEEP = 3, /* not TLS: until STARTTLS */
	WALK_DONE = 4,
};

/* Where the record walk of one direction stands. Offsets count the stream's payload from 0. */
struct walk {
	__u32 next; /* where the next record header begins */
	__u32 seen; /* everything before this was looked at */
	__u8 mode; /* WALK_* */
	__u8 header_len; /* bytes of a header that a packet cut: in `header` */
	__u8 header[4];
	__u16 base; /* where the records began, for the cap */
};

enum { MARK_ACTIVE = 1 << 0, MARK_EARLY = 1 << 1 };

/* On every socket of nginx's. A listener's is cloned into each child by the kernel. */
struct mark {
	__u64 listener_cookie; /* 0 with MARK_ACTIVE */
	__u64 connect_ns;
	__u32 owner; /* tgid that connected */
	__u32 flags; /* MARK_* */
	struct walk walk[2]; /* WIRE_IN, WIRE_OUT */
};
_Static_assert(sizeof(struct mark) <= 64, "the price of a mark is paid by every socket of nginx");

struct marks {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
	__type(key, int);
	__type(value, struct mark);
};
extern struct marks marks SEC(".maps");

/* A walk that began on the listening socket, for the child that does not exist yet. */
struct early_key {
	__u8 remote[16];
	__u16 remote_port;
	__u16 local_port;
	__u32 reserved;
};

struct early_walks {
	__uint(type, BPF_MAP_TYPE_HASH);
	/* half-open connections whose child is a moment away; a full table is counted */
	__uint(max_entries, 4096);
	__type(key, struct early_key);
	__type(value, struct walk);
};
extern struct early_walks early_walks SEC(".maps");

static __always_inline void early_take(struct mark *mark, const struct early_key *key)
{
	struct walk *early = bpf_map_lookup_elem(&early_walks, key);

	if (!early)
		return;
	if (mark->walk[WIRE_IN].mode == WALK_START && !mark->walk[WIRE_IN].seen)
		mark->walk[WIRE_IN] = *early;
	bpf_map_delete_elem(&early_walks, key);
}

#endif
