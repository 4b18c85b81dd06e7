// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * The bytes of handshakes, and of nothing else.
 *
 * Each direction's TLS record headers are walked at stream offsets. What lies before the first
 * application_data record is copied; with that record the direction is done for ever, so no byte of
 * a request, encrypted or early, is ever copied. What is not TLS shows at most 12 bytes.
 */
#include "bpf/tlswhy.bpf.h"

#define RECORD_HEADER 5 /* RFC 8446 section 5.1: type, legacy version, length */
#define RECORD_ALERT 21
#define RECORD_HANDSHAKE 22
#define RECORD_APPLICATION_DATA 23
#define RECORDS_PER_PACKET 16 /* a TLS 1.2 flight with each message in a record of its own has 5 */
#define PIECES_PER_PACKET 8 /* events of WIRE_LARGE bytes */
#define NAME_MAX 12 /* names a protocol that is not TLS: "SSH-2.0-", "GET" */
#define SLEEP_MAX (64 * 1024) /* a STARTTLS dialogue is shorter */
#define PROXY_V1_MAX 107 /* proxy-protocol.txt section 2.1 */
#define PROXY_V2_MIN 16

enum { ETH_P_IP = 0x0800, ETH_P_IPV6 = 0x86dd };

/* One packet, seen from its payload. */
struct packet {
	__u32 tcp; /* offset of the TCP header in the skb */
	__u32 payload; /* offset of the first payload byte in the skb */
	__u32 len; /* of the payload */
	__u32 seq; /* of its first byte */
};

/* The TCP header of an IPv6 packet behind its extension headers (RFC 8200 section 4). */
static __always_inline int tcp_of_ipv6(struct __sk_buff *skb)
{
	__u8 next, pair[2];
	__u32 at = 40;

	if (bpf_skb_load_bytes(skb, 6, &next, 1))
		return -1;
	/* hop-by-hop 0, routing 43, fragment 44, destination options 60 */
	for (int i = 0; i < 6 && next != IPPROTO_TCP; i++) {
		if (next != 0 && next != 43 && next != 44 && next != 60)
			return -1;
		if (bpf_skb_load_bytes(skb, at, pair, 2))
			return -1;
		at += next == 44 ? 8 : (pair[1] + 1) * 8;
		next = pair[0];
	}
	return next == IPPROTO_TCP ? at : -1;
}

/* Seq to flags: the part of a TCP header that is read (RFC 9293 section 3.1). */
struct tcp_part {
	__be32 seq, ack;
	__u8 data_offset, flags;
};

/* The usual packet at one look: an IPv4 header without options, and the TCP header's beginning. */
struct usual_packet {
	__u8 version_length;
	__u8 ip_rest[19];
	__be32 ports;
	struct tcp_part tcp;
	__u8 pad[2];
};
#define USUAL_PACKET_LEN 34

static __always_inline int packet_parse(struct __sk_buff *skb, struct packet *packet)
{
	struct usual_packet usual;
	int at;

	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		if (bpf_skb_load_bytes(skb, 0, &usual, USUAL_PACKET_LEN))
			return -1;
		at = (usual.version_length & 0x0f) * 4;
		if (at != 20 && bpf_skb_load_bytes(skb, at + 4, &usual.tcp, 10))
			return -1;
	} else if (skb->protocol == bpf_htons(ETH_P_IPV6)) {
		at = tcp_of_ipv6(skb);
		if (at < 0 || bpf_skb_load_bytes(skb, at + 4, &usual.tcp, 10))
			return -1;
	} else {
		return -1;
	}
	packet->tcp = at;
	packet->payload = at + (usual.tcp.data_offset >> 4) * 4;
	if (skb->len <= packet->payload)
		return -1;
	packet->len = skb->len - packet->payload;
	/* the SYN takes a number */
	packet->seq = bpf_ntohl(usual.tcp.seq) + (usual.tcp.flags & 0x02 ? 1 : 0);
	return 0;
}

/* Of a received packet: the source is the peer. A listening socket knows no remote port, so it is
 * read from the TCP header, whose offset is `tcp`. */
static __always_inline void skb_addresses(struct __sk_buff *skb, __u32 tcp,
					  struct event_tuple *tuple)
{
	__be16 port = 0;

	bpf_skb_load_bytes(skb, tcp, &port, sizeof(port));
	tuple->remote_port = bpf_ntohs(port);
	tuple->local_port = skb->local_port;
	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		tuple->family = AF_INET;
		bpf_skb_load_bytes(skb, 12, tuple->remote, 4);
		bpf_skb_load_bytes(skb, 16, tuple->local, 4);
	} else {
		tuple->family = AF_INET6;
		bpf_skb_load_bytes(skb, 8, tuple->remote, 16);
		bpf_skb_load_bytes(skb, 24, tuple->local, 16);
	}
}


/* Where the payload lies, and whose it is. */
struct source {
	struct __sk_buff *skb;
	__u32 payload; /* skb offset of stream offset `offset` */
	__u32 offset;
	__u32 flags; /* SOURCE_* */
	__u32 seq; /* of stream offset 0, with SOURCE_EARLY */
};

/* Above the WIRE_* of an event; and above these, the TCP header's offset with SOURCE_EARLY. */
enum { SOURCE_OUT = 1 << 8, SOURCE_EARLY = 1 << 9, SOURCE_TCP_SHIFT = 16 };

static __always_inline int load(const struct source *source, __u32 at, void *into, __u32 len)
{
	return bpf_skb_load_bytes(source->skb, source->payload + (at - source->offset), into, len);
}

/* Whatever the task on the CPU is, the packet is not its: these events name none. */

/*
 * The emitters are global functions: the verifier judges them once, alone, and not again on every
 * path that leads to them. Such a function takes the context and numbers, no more than five (and on
 * 5.10 no pointers), so the cookie and the time are asked for here.
 */
__noinline int emit_small(struct __sk_buff *skb, __u32 from, __u32 at, __u32 len, __u32 flags)
{
	struct event *event = event_reserve_of(EVENT_WIRE, EVENT_SIZE(event_wire) + WIRE_SMALL,
					       bpf_ktime_get_ns(), bpf_get_socket_cookie(skb), 0);
	__u32 n = (len - 1) & (WIRE_SMALL - 1);

	if (!event)
		return -1;
	event->wire.offset = at;
	event->wire.direction = flags & SOURCE_OUT ? WIRE_OUT : WIRE_IN;
	event->wire.flags = flags;
	event->wire.len = n + 1;
	if (bpf_skb_load_bytes(skb, from, event->wire.bytes, n + 1))
		event->wire.len = 0;
	event_submit(event);
	return 0;
}

__noinline int emit_large(struct __sk_buff *skb, __u32 from, __u32 at, __u32 len, __u32 flags)
{
	for (int i = 0; i < PIECES_PER_PACKET && len; i++) {
		__u32 piece = len < WIRE_LARGE ? len : WIRE_LARGE;
		__u32 n = (piece - 1) & (WIRE_LARGE - 1);
		struct event *event = event_reserve_of(
			EVENT_WIRE, EVENT_SIZE(event_wire) + WIRE_LARGE, bpf_ktime_get_ns(),
			bpf_get_socket_cookie(skb), 0);

		if (!event)
			return -1;
		event->wire.offset = at;
		event->wire.direction = flags & SOURCE_OUT ? WIRE_OUT : WIRE_IN;
		event->wire.flags = flags;
		event->wire.len = n + 1;
		if (bpf_skb_load_bytes(skb, from, event->wire.bytes, n + 1))
			event->wire.len = 0;
		event_submit_bulk(event);
		from += piece;
		at += piece;
		len -= piece;
		flags &= ~WIRE_START;
	}
	return 0;
}

__noinline int emit_early(struct __sk_buff *skb, __u32 from, __u32 seq, __u32 len, __u32 flags)
{
	for (int i = 0; i < PIECES_PER_PACKET && len; i++) {
		__u32 piece = len < WIRE_LARGE ? len : WIRE_LARGE;
		__u32 n = (piece - 1) & (WIRE_LARGE - 1);
		struct event *event;

		event = event_reserve_of(EVENT_WIRE_EARLY,
					 EVENT_SIZE(event_wire_early) + WIRE_LARGE,
					 bpf_ktime_get_ns(), bpf_get_socket_cookie(skb), 0);
		if (!event)
			return -1;
		__builtin_memset(&event->wire_early.tuple, 0, sizeof(event->wire_early.tuple));
		skb_addresses(skb, flags >> SOURCE_TCP_SHIFT, &event->wire_early.tuple);
		event->wire_early.seq = seq;
		event->wire_early.flags = flags;
		event->wire_early.len = n + 1;
		if (bpf_skb_load_bytes(skb, from, event->wire_early.bytes, n + 1))
			event->wire_early.len = 0;
		event_submit_bulk(event);
		from += piece;
		seq += piece;
		len -= piece;
		flags &= ~WIRE_START;
	}
	return 0;
}

/* Length of the PROXY v1 line at this skb offset, its line feed included; up to the end if cut. */
__noinline int proxy_v1_len(struct __sk_buff *skb, __u32 from, __u32 len)
{
	__u8 byte = 0;

	for (__u32 i = 0; i < PROXY_V1_MAX; i++) {
		if (i >= len || bpf_skb_load_bytes(skb, from + i, &byte, 1))
			return i;
		if (byte == '\n')
			return i + 1;
	}
	return PROXY_V1_MAX;
}

/* Emits stream bytes from .. to of this packet. */
static __always_inline void emit(const struct source *source, __u32 from, __u32 to, __u8 flags)
{
	__u32 at = source->payload + (from - source->offset);

	if (from >= to)
		return;
	if (source->flags & SOURCE_EARLY)
		emit_early(source->skb, at, source->seq + from, to - from, source->flags | flags);
	else if (to - from <= WIRE_SMALL)
		emit_small(source->skb, at, from, to - from, source->flags | flags);
	else
		emit_large(source->skb, at, from, to - from, source->flags | flags);
}

/* What follows a record header whose type and version are these. */
enum verdict { COPY_RECORD, STOP_BEFORE, STOP_BEHIND };

static __always_inline enum verdict header_verdict(__u8 type, __u8 major, __u32 len)
{
	if (type == RECORD_APPLICATION_DATA && major == 3)
		return STOP_BEFORE; /* of a request not even the header */
	if (type == RECORD_ALERT && major == 3 && len > 2)
		return STOP_BEFORE; /* encrypted, as is all that follows: TLS 1.2 behind its Finished */
	if (type < 20 || type > 23 || major != 3)
		return STOP_BEHIND; /* no TLS any more: its header says so, the rest is nobody's business */
	return COPY_RECORD;
}

/* The rest of a header that the packet before cut: rare, and at most four bytes. */
static __always_inline bool header_complete(const struct source *source, struct walk *walk,
					    __u32 *at, __u32 end)
{
	__u32 have = walk->header_len;

	for (int i = 0; i < RECORD_HEADER - 1; i++) {
		__u8 byte;

		if (have >= RECORD_HEADER)
			break;
		if (*at >= end || load(source, *at, &byte, 1)) {
			walk->header_len = have;
			walk->next = end;
			return false;
		}
		if (have < 4)
			walk->header[have & 3] = byte;
		else
			*at += (__u32)walk->header[3] << 8 | byte;
		have++;
		*at += 1;
	}
	walk->header_len = 0;
	walk->next = *at;
	return true;
}

/*
 * Walks record headers from walk->next on and returns where copying stops: the end of the packet, or
 * of the last record that may be copied. A header that the packet cuts is carried in the walk.
 */
static __always_inline __u32 walk_records(const struct source *source, struct walk *walk, __u32 end)
{
	__u8 header[RECORD_HEADER];
	__u32 at = walk->next, len, left;

	if (walk->header_len && !header_complete(source, walk, &at, end))
		return end;
	for (int i = 0; i < RECORDS_PER_PACKET; i++) {
		enum verdict verdict;

		if (at >= end || end - at < RECORD_HEADER)
			break;
		if (load(source, at, header, RECORD_HEADER))
			break;
		len = (__u32)header[3] << 8 | header[4];
		verdict = header_verdict(header[0], header[1], len);
		if (verdict != COPY_RECORD) {
			walk->mode = WALK_DONE;
			return verdict == STOP_BEFORE ? at : at + RECORD_HEADER;
		}
		at += RECORD_HEADER + len;
	}
	walk->next = at;
	if (at >= end)
		return end;
	left = end - at;
	if (left >= RECORD_HEADER || load(source, at, header, 1) ||
	    header_verdict(header[0], 3, 0) != COPY_RECORD) {
		/* more records than any handshake has in one packet, or data begins */
		walk->mode = WALK_DONE;
		return at;
	}
	walk->header[0] = header[0];
	if (left > 1)
		load(source, at + 1, &walk->header[1], 1);
	if (left > 2)
		load(source, at + 2, &walk->header[2], 1);
	if (left > 3)
		load(source, at + 3, &walk->header[3], 1);
	walk->header_len = left;
	walk->next = end;
	return end;
}

/* At most 12 bytes, to the first space or line end: they name the protocol. */
static __always_inline __u32 name_len(const __u8 *first, __u32 len)
{
	__u32 n = len < NAME_MAX ? len : NAME_MAX;

	for (__u32 i = 1; i < NAME_MAX; i++)
		if (i < n && (first[i] == ' ' || first[i] == '\r' || first[i] == '\n'))
			n = i;
	return n;
}

static __always_inline void first_load(const struct source *source, __u32 at, __u32 len,
				       __u8 *first)
{
	__u32 n = ((len < 16 ? len : 16) - 1) & 15;

	__builtin_memset(first, 0, 16);
	load(source, at, first, n + 1);
}

/* The length of the PROXY header that begins with these bytes, 0 for none. */
static __always_inline __u32 proxy_len(const struct source *source, const __u8 *first, __u32 at,
				       __u32 len)
{
	__u32 header = 0;

	if (len >= PROXY_V2_MIN && first[0] == 0x0d && first[1] == 0x0a && first[2] == 0x0d &&
	    first[3] == 0x0a && first[4] == 0x00 && first[5] == 0x0d && first[6] == 0x0a &&
	    first[7] == 'Q')
		header = PROXY_V2_MIN + ((__u32)first[14] << 8 | first[15]);
	else if (len >= 6 && first[0] == 'P' && first[1] == 'R' && first[2] == 'O' &&
		 first[3] == 'X' && first[4] == 'Y' && first[5] == ' ')
		header = proxy_v1_len(source->skb, source->payload + (at - source->offset), len);
	if (header > len)
		header = len;
	return header < WIRE_LARGE ? header : WIRE_LARGE;
}

/* A direction's bytes begin here, at stream offset `at`. True: as TLS records, and walk->next says
 * where their headers go on. */
static __always_inline bool walk_begin(const struct source *source, struct walk *walk, __u32 at,
				       __u32 end, const __u8 *first)
{
	__u32 len = end - at;

	walk->base = at;
	walk->seen = at;
	walk->header_len = 0;
	if (first[0] >= 20 && first[0] <= 22 && (len == 1 || first[1] == 3)) {
		walk->mode = WALK_TLS;
		walk->next = at;
		/* the first record's header need not be loaded once more */
		if (first[0] == RECORD_HANDSHAKE && len >= RECORD_HEADER)
			walk->next += RECORD_HEADER + ((__u32)first[3] << 8 | first[4]);
		return true;
	}
	/* RFC 5246 appendix E.2: a hello in SSLv2's clothes, then TLS records */
	if (len > 4 && first[0] & 0x80 && first[2] == 1 && first[3] <= 3) {
		walk->mode = WALK_TLS;
		walk->next = at + 2 + (((__u32)first[0] & 0x7f) << 8 | first[1]);
		return true;
	}
	if (first[0] == RECORD_APPLICATION_DATA && len >= RECORD_HEADER && first[1] == 3) {
		/* data where a hello belongs: its header alone */
		emit(source, at, at + RECORD_HEADER, WIRE_START);
		walk->mode = WALK_DONE;
		return false;
	}
	emit(source, at, at + name_len(first, len), WIRE_NOT_TLS);
	walk->mode = WALK_ASLEEP;
	walk->seen = end;
	return false;
}

/* A direction that was not found to be TLS yet. True: it is from walk->next on, in this packet. */
static __always_inline bool walk_wait(const struct source *source, struct walk *walk, __u32 end)
{
	__u32 from = source->offset, at, proxy;
	__u8 first[16];

	if (walk->mode == WALK_ASLEEP) {
		if (from > SLEEP_MAX) {
			walk->mode = WALK_DONE;
			return false;
		}
		if (from < walk->seen)
			return false;
		walk->seen = end;
		first_load(source, from, end - from, first);
		/* STARTTLS: a hello begins a packet */
		if (end - from < 2 || first[0] != 22 || first[1] != 3)
			return false;
		return walk_begin(source, walk, from, end, first);
	}
	/* behind a hole nothing can be told: the beginning will be sent again */
	if (end <= walk->seen || from > walk->seen)
		return false;
	at = walk->seen;
	first_load(source, at, end - at, first);
	if (walk->mode == WALK_START) {
		proxy = proxy_len(source, first, at, end - at);
		if (proxy) {
			emit(source, at, at + proxy, WIRE_PROXY);
			at += proxy;
			walk->seen = at;
			walk->mode = WALK_PROXIED;
			if (at >= end)
				return false;
			first_load(source, at, end - at, first);
		}
	}
	return walk_begin(source, walk, at, end, first);
}

static __always_inline void walk_packet(const struct source *source, struct walk *walk, __u32 end)
{
	__u32 from = source->offset, stop;
	__u8 flags = 0;

	if (walk->mode != WALK_TLS) {
		if (!walk_wait(source, walk, end))
			return;
		flags = WIRE_START;
	}
	if (end <= walk->seen)
		return; /* sent again */
	if (from > walk->seen) {
		/* A hole. The record in it, if it is known how long, may be copied; a header that
		 * was missed cannot be guessed. The hole's bytes come again and go on from there. */
		if (from < walk->next)
			emit(source, from, end < walk->next ? end : walk->next, 0);
		else if (from - walk->seen > SLEEP_MAX)
			walk->mode = WALK_DONE;
		return;
	}
	stop = walk->next >= end ? end : walk_records(source, walk, end);
	if (stop > end)
		stop = end;
	emit(source, walk->seen, stop, flags);
	walk->seen = stop;
	if (stop - walk->base > WIRE_CAP)
		walk->mode = WALK_DONE;
}

/* deferred, Fast Open, a lost last ACK: the first bytes come before their socket exists. */
static __always_inline void early_keep(struct __sk_buff *skb, struct mark *mark, __u32 tcp,
				       const struct walk *walk)
{
	struct event_tuple tuple = {};
	struct early_key key = {};

	skb_addresses(skb, tcp, &tuple);
	__builtin_memcpy(key.remote, tuple.remote, sizeof(key.remote));
	key.remote_port = tuple.remote_port;
	key.local_port = tuple.local_port;
	if (bpf_map_update_elem(&early_walks, &key, walk, BPF_ANY))
		lost_count(&lost.map_full);
	mark->flags |= MARK_EARLY; /* cloned into every child from now on: it looks for its walk */
}

static __always_inline void early_pick_up(struct __sk_buff *skb, struct mark *mark, __u32 tcp)
{
	struct event_tuple tuple = {};
	struct early_key key = {};

	skb_addresses(skb, tcp, &tuple);
	__builtin_memcpy(key.remote, tuple.remote, sizeof(key.remote));
	key.remote_port = tuple.remote_port;
	key.local_port = tuple.local_port;
	early_take(mark, &key);
}

static __always_inline void packet_seen(struct __sk_buff *skb, __u32 direction)
{
	struct source source = { .skb = skb };
	struct bpf_tcp_sock *tcp;
	struct walk early = {};
	struct packet packet;
	struct bpf_sock *sk;
	struct mark *mark;
	struct walk *walk;
	__u32 seq;

	sk = skb->sk;
	if (!sk)
		return;
	/* before 5.11 a socket's storage is for sockets that the verifier knows to be full; the hook
	 * has no others */
	if (!bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_get_current_task_btf)) {
		sk = bpf_sk_fullsock(sk);
		if (!sk)
			return;
	}
	mark = bpf_sk_storage_get(&marks, sk, 0, 0);
	if (!mark)
		return;
	walk = direction == WIRE_IN ? &mark->walk[WIRE_IN] : &mark->walk[WIRE_OUT];
	if (walk->mode == WALK_DONE)
		return;
	if (packet_parse(skb, &packet))
		return;
	source.payload = packet.payload;
	if (sk->state == TCP_LISTEN) {
		if (direction == WIRE_OUT)
			return;
		/* offset 0 as far as anybody can tell; the event carries the sequence number */
		source.flags = SOURCE_EARLY | packet.tcp << SOURCE_TCP_SHIFT;
		source.seq = packet.seq;
		walk_packet(&source, &early, packet.len);
		early_keep(skb, mark, packet.tcp, &early);
		return;
	}
	tcp = bpf_tcp_sock(sk);
	if (!tcp)
		return;
	/* the stream's first sequence number, from counters that TCP keeps anyway; an active open
	 * counts its SYN among the bytes acknowledged */
	if (direction == WIRE_IN) {
		seq = tcp->rcv_nxt - (__u32)tcp->bytes_received;
	} else {
		seq = tcp->snd_una - (__u32)tcp->bytes_acked + (mark->flags & MARK_ACTIVE ? 1 : 0);
		source.flags = SOURCE_OUT;
	}
	source.offset = packet.seq - seq;
	if (source.offset > 0x7fffffff)
		return; /* before the beginning: a keep-alive probe */
	if (direction == WIRE_IN && source.offset && walk->mode == WALK_START && !walk->seen &&
	    mark->flags & MARK_EARLY)
		early_pick_up(skb, mark, packet.tcp);
	walk_packet(&source, walk, source.offset + packet.len);
}

SEC("cgroup_skb/ingress")
int wire_ingress(struct __sk_buff *skb)
{
	packet_seen(skb, WIRE_IN);
	return 1;
}

SEC("cgroup_skb/egress")
int wire_egress(struct __sk_buff *skb)
{
	packet_seen(skb, WIRE_OUT);
	return 1;
}
