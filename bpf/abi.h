/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What the BPF programs and user space say to each other: the only header that both compile.
 *
 * An event is a header and one arm. Numbers are explicit, append only and never reused: a
 * recording (tlswhy trace --save) is a sequence of these events, and tomorrow's tlswhy must read
 * today's. Fixed-width fields only; the asserts below fix every offset for both compilers.
 */
#ifndef TLSWHY_ABI_H
#define TLSWHY_ABI_H

#ifndef __VMLINUX_H__
#include <linux/types.h>
#endif

enum event_kind {
	EVENT_NONE = 0, /* never written: a zeroed ring record is recognised */

	/* TCP life of a marked socket. */
	EVENT_LISTENER = 1, /* nginx listens: found at attach, or → TCP_LISTEN later */
	EVENT_OPEN = 2, /* → TCP_ESTABLISHED */
	EVENT_PEER_FIN = 3, /* the peer's FIN was read: ESTABLISHED → CLOSE_WAIT */
	EVENT_CLOSE = 4, /* nginx closed (sk_err 0), or the kernel ended it: a reset, a timeout */
	EVENT_RETRANSMIT = 5,

	/* Bytes of a handshake. */
	EVENT_WIRE = 7,
	EVENT_WIRE_EARLY = 8, /* payload that arrived on the listening socket */

	/* OpenSSL. */
	EVENT_SET_FD = 9, /* only where no SSL_do_handshake followed: see EVENT_HANDSHAKE */
	EVENT_HANDSHAKE = 10, /* SSL_do_handshake returned */
	EVENT_EARLY_DATA = 11, /* SSL_read_early_data returned */
	EVENT_ERROR = 12, /* nginx took one code from the error queue */
	EVENT_ERROR_TEXT = 13, /* its text and its data, as ERR_error_string_n wrote it */
	EVENT_VERIFY = 14, /* X509_STORE_CTX_get_error returned */
	EVENT_VERIFY_RESULT = 15, /* SSL_get_verify_result returned */
	EVENT_CHECK_HOST = 16, /* X509_check_host returned */
	EVENT_SESSION_REMOVED = 17, /* SSL_CTX_remove_session outside a handshake */

	/* Processes. */
	EVENT_FORK = 18,
	EVENT_EXEC = 19,
	EVENT_EXIT = 20,
	EVENT_SIGNAL = 21, /* delivered to the master */

	/* Written by user space into the stream, so that a recording is complete. */
	EVENT_PROCESS = 22, /* a process of the target, found or renamed */
	EVENT_LOST = 23, /* the loss counters, whenever one grew */
	EVENT_TICK = 24, /* the clock, so that replay runs the same deadlines */

	EVENT_KIND_MAX, /* one past the newest */
};

struct event_header {
	__u32 size; /* of the whole event; its tail may be unused */
	__u32 kind; /* enum event_kind */
	__u64 ts_ns; /* CLOCK_MONOTONIC */
	__u32 tgid; /* the process on the CPU: a peer's, for what arrives */
	__u32 tid;
	__u64 cookie; /* of the socket; 0 where the event has none */
};

/* Addresses as on the wire; IPv4 in the first four bytes. Ports in host order. */
struct event_tuple {
	__u8 local[16];
	__u8 remote[16];
	__u16 local_port;
	__u16 remote_port;
	__u16 family; /* AF_INET 2, AF_INET6 10 */
	__u16 reserved;
	__u32 netns; /* inode of the network namespace */
};

enum {
	OPEN_ACTIVE = 1 << 0, /* nginx connected: an upstream */
};

struct event_listener {
	struct event_tuple tuple;
	__u32 reserved;
};

struct event_open {
	struct event_tuple tuple;
	__u32 flags; /* OPEN_* */
	__u64 listener_cookie; /* 0 for an active open */
	__u64 connect_ns; /* when SYN_SENT was entered; 0 for a passive open */
	__u32 owner; /* tgid that connected; 0 for a passive open */
	__u32 srtt_us;
	__u32 remote_isn; /* sequence number of the peer's first payload byte */
	__u32 local_isn; /* of ours */
};

enum { CLOSE_ACTIVE = 1 << 0 };

struct event_close {
	__u32 flags; /* CLOSE_* */
	__s32 sk_err; /* errno that the kernel keeps for the socket, 0 if none */
	__u8 old_state; /* TCP_* of include/net/tcp_states.h */
	__u8 new_state;
	__u16 reserved;
	/* What follows is there for a connect that failed alone: its size tells. */
	__u32 owner;
	__u64 connect_ns;
	struct event_tuple tuple;
	__u32 reserved2;
};
#define EVENT_CLOSE_SIZE (EVENT_HEADER_SIZE + __builtin_offsetof(struct event_close, connect_ns))
#define EVENT_CONNECT_FAILED_SIZE (EVENT_HEADER_SIZE + sizeof(struct event_close))

enum { WIRE_IN = 0, WIRE_OUT = 1 };

enum {
	/* The bytes begin a sequence of TLS records, at this stream offset. Set at offset 0, behind a
	 * PROXY header and where STARTTLS begins. */
	WIRE_START = 1 << 0,
	WIRE_NOT_TLS = 1 << 1, /* at most 12 bytes that name a protocol that is not TLS */
	WIRE_PROXY = 1 << 2, /* exactly a PROXY header */
};

/* The two sizes an EVENT_WIRE is reserved in: a handshake's usual message, and a flight's share. */
#define WIRE_SMALL 256
#define WIRE_LARGE 1024
/* Copied at most, per direction: a ClientHello and a certificate chain fit (design: 16 KB). */
#define WIRE_CAP (16 * 1024)

struct event_wire {
	__u32 offset; /* of bytes[0] in its direction's stream, from 0 */
	__u16 len; /* of bytes */
	__u8 direction; /* WIRE_IN, WIRE_OUT */
	__u8 flags; /* WIRE_* */
	__u8 bytes[];
};

/* The child socket does not exist yet: its OPEN event, by tuple and ISN, says whose bytes these are. */
struct event_wire_early {
	struct event_tuple tuple;
	__u32 seq; /* of bytes[0], absolute */
	__u16 len;
	__u8 flags;
	__u8 reserved[5];
	__u8 bytes[];
};

struct event_set_fd {
	__u64 ssl;
	__u64 set_fd_ns; /* the header's time is when it was written */
};

enum {
	/* The first call on an SSL that SSL_set_fd prepared: the header has the cookie of its socket,
	 * and a (tgid, ssl) pair known before is bound anew. */
	HANDSHAKE_FIRST = 1 << 0,
	HANDSHAKE_IN_EARLY_DATA = 1 << 1, /* called by SSL_read_early_data: a result of 1 is provisional */
};

struct event_handshake {
	__u64 ssl;
	__u64 entry_ns;
	__u64 set_fd_ns; /* with HANDSHAKE_FIRST */
	__s32 result; /* as returned: an int */
	__u32 flags; /* HANDSHAKE_* */
};

enum { ERROR_IN_CALL = 1 << 0 }; /* drained while SSL_do_handshake or SSL_read_early_data runs */

struct event_error {
	__u64 code; /* an OpenSSL error code: unsigned long */
	__u64 ssl; /* of the running call, else 0 */
	__u32 flags; /* ERROR_* */
	__u32 reserved;
};

/* ERR_error_string_n's buffer in nginx is under NGX_MAX_CONF_ERRSTR (1,024); one entry's text is
 * "error:%08lX:lib:func:reason" and was never seen above 120. Data names a file: a path. */
#define ERROR_TEXT_MAX 256
#define ERROR_DATA_MAX 256

struct event_error_text {
	__u64 code;
	__u16 text_len; /* without the NUL */
	__u16 data_len;
	__u32 reserved;
	char text[ERROR_TEXT_MAX];
	char data[ERROR_DATA_MAX];
};

enum { VERIFY_IN_CALL = 1 << 0 };

struct event_verify {
	__u64 ssl; /* the running call's or the argument; 0 where unknown */
	__s32 result; /* X509_V_*; X509_check_host's return */
	__u32 flags; /* VERIFY_* */
};

struct event_fork {
	__u32 child; /* tgid */
	__u32 reserved;
};

struct event_exit {
	__u32 exit_code; /* as wait() gives it: signal in the low 7 bits */
	__u32 reserved;
};

struct event_signal {
	__u32 number;
	__u32 reserved;
};

enum {
	ROLE_UNKNOWN = 0,
	ROLE_MASTER = 1,
	ROLE_WORKER = 2,
	ROLE_OTHER = 3,
	ROLE_LONE_WORKER = 4, /* it has siblings that are not traced, on the same listening sockets */
};

struct event_process {
	__u32 role; /* ROLE_* */
	__u32 shown_pid; /* in tlswhy's own pid namespace */
};

/* Loss counters: since the start of the run, by the kind that did not fit, and by what else failed. */
#define LOST_KINDS 32
struct event_lost {
	__u64 by_kind[LOST_KINDS];
	__u64 first_handshakes; /* EVENT_HANDSHAKE with HANDSHAKE_FIRST among them */
	__u64 map_full; /* a map insert that failed */
	__u64 foreign_threads; /* calls of a thread that is not its process's main one */
};

struct event {
	struct event_header header;
	union {
		struct event_listener listener;
		struct event_open open;
		struct event_close close;
		struct event_wire wire;
		struct event_wire_early wire_early;
		struct event_set_fd set_fd;
		struct event_handshake handshake; /* and EVENT_EARLY_DATA */
		struct event_error error;
		struct event_error_text error_text;
		struct event_verify verify; /* VERIFY, VERIFY_RESULT, CHECK_HOST, SESSION_REMOVED */
		struct event_fork fork;
		struct event_exit exit;
		struct event_signal signal;
		struct event_process process;
		struct event_lost lost;
	};
};

/* ---- the table of traced processes: global data of the BPF side ------------------------------------ */

/*
 * nginx does TLS on a process's main thread alone (its thread pool only reads files), so the state
 * of a running call lives with the process: no insert and no delete a trap.
 */
struct tracee {
	__u32 role; /* ROLE_* */
	__u32 reserved;
	/* SSL_set_fd's, until SSL_do_handshake's return carries them (HANDSHAKE_FIRST) */
	__u64 set_ssl, set_cookie, set_ns;
	/* SSL_do_handshake and SSL_read_early_data, while they run */
	__u64 call_ssl, call_ns;
	__u64 early_ssl, early_ns;
	/* arguments, from an entry to its return */
	__u64 verify_ssl;
	__u64 text_code, text_buffer;
	__u64 data_out, data_flags_out, data;
} __attribute__((aligned(64))); /* what a handshake that succeeds needs is one cache line */

/*
 * By tgid: a set of tags that fits in a cache line says at once that a process is not ours, and no
 * helper is called to find one that is. User space fills it before it attaches.
 */
#define TRACEE_WAYS 4
#define TRACEE_SETS 512
/* nginx's processes: old and new workers of a few reloads on the largest hosts; more are counted */
#define TRACEES (TRACEE_SETS * TRACEE_WAYS)

#define EVENT_HEADER_SIZE 32
/* The largest event there is: anything longer in a recording is corrupt. */
#define EVENT_SIZE_MAX (EVENT_HEADER_SIZE + sizeof(struct event_wire_early) + WIRE_LARGE)

#define ABI_OFFSET(type, field, at) \
	_Static_assert(__builtin_offsetof(struct type, field) == (at), #type "." #field)
#define ABI_SIZE(type, size) _Static_assert(sizeof(struct type) == (size), #type)

ABI_SIZE(event_header, 32);
ABI_OFFSET(event_header, kind, 4);
ABI_OFFSET(event_header, ts_ns, 8);
ABI_OFFSET(event_header, tgid, 16);
ABI_OFFSET(event_header, tid, 20);
ABI_OFFSET(event_header, cookie, 24);
ABI_SIZE(event_tuple, 44);
ABI_OFFSET(event_tuple, remote, 16);
ABI_OFFSET(event_tuple, local_port, 32);
ABI_OFFSET(event_tuple, family, 36);
ABI_OFFSET(event_tuple, netns, 40);
ABI_SIZE(event_listener, 48);
ABI_SIZE(event_open, 80);
ABI_OFFSET(event_open, flags, 44);
ABI_OFFSET(event_open, listener_cookie, 48);
ABI_OFFSET(event_open, connect_ns, 56);
ABI_OFFSET(event_open, owner, 64);
ABI_OFFSET(event_open, remote_isn, 72);
ABI_SIZE(event_close, 72);
ABI_OFFSET(event_close, old_state, 8);
ABI_OFFSET(event_close, owner, 12);
ABI_OFFSET(event_close, connect_ns, 16);
ABI_OFFSET(event_close, tuple, 24);
ABI_SIZE(event_wire, 8);
ABI_OFFSET(event_wire, len, 4);
ABI_OFFSET(event_wire, direction, 6);
ABI_OFFSET(event_wire, bytes, 8);
ABI_SIZE(event_wire_early, 56);
ABI_OFFSET(event_wire_early, seq, 44);
ABI_OFFSET(event_wire_early, len, 48);
ABI_OFFSET(event_wire_early, bytes, 56);
ABI_SIZE(event_set_fd, 16);
ABI_SIZE(event_handshake, 32);
ABI_OFFSET(event_handshake, entry_ns, 8);
ABI_OFFSET(event_handshake, set_fd_ns, 16);
ABI_OFFSET(event_handshake, result, 24);
ABI_SIZE(event_error, 24);
ABI_OFFSET(event_error, ssl, 8);
ABI_SIZE(event_error_text, 528);
ABI_OFFSET(event_error_text, text, 16);
ABI_OFFSET(event_error_text, data, 272);
ABI_SIZE(event_verify, 16);
ABI_SIZE(event_fork, 8);
ABI_SIZE(event_exit, 8);
ABI_SIZE(event_signal, 8);
ABI_SIZE(event_process, 8);
ABI_SIZE(event_lost, 280);
_Static_assert(EVENT_KIND_MAX <= LOST_KINDS, "every kind has a loss counter");

#endif
