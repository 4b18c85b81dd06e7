/* SPDX-License-Identifier: BSD-2-Clause */
/* The joiner's own state: not for anybody outside this room. */
#ifndef TLSWHY_JOIN_INTERNAL_H
#define TLSWHY_JOIN_INTERNAL_H

#include <uthash.h>
#include <utlist.h>

#include "join/joiner.h"
#include "join/limits.h"
#include "tls/stream.h"

/* A code as drained; its text is looked up when the record is written. */
struct code {
	uint64_t code, ts_ns;
	char *data; /* owned, NULL where there was none */
};

struct codes {
	struct code at[LIMIT_THREAD_CODES];
	int count;
};

/* What a connection needs while it shakes hands, and gives back afterwards. */
struct handshake {
	struct stream stream[2]; /* WIRE_IN, WIRE_OUT */
	uint8_t *hello_body;
	struct client_hello hello;
	uint8_t sslv2_ciphers[256];
	bool hello_seen;
	bool server_hello_seen, server_certificate_seen, certificate_request_seen;
	bool client_certificate_seen, session_id_echoed;
	char alpn[256];
	struct record_tls tls;
	struct record_alert alerts[RECORD_ALERTS_MAX];
	int alert_count;
	uint64_t sent_alert_ns; /* the last fatal one on the wire */
	char history[RECORD_MESSAGES_MAX + 1];
	struct record_message messages[RECORD_MESSAGES_MAX];
	uint64_t message_ns[RECORD_MESSAGES_MAX];
	int message_count;
	struct codes queue; /* drained for this connection */
	struct codes inside; /* drained by a callback while a call ran */
	struct codes stale; /* left by another connection, drained as this one began */
	char stale_of[32];
	uint32_t calls;
	uint64_t crypto_ns;
	uint64_t pickup_end_ns;
	uint64_t first_call_ns;
	uint64_t last_return_ns;
	bool last_failed; /* the last call returned < 1 */
	bool early_accepted;
};

/* Where a connection stands. */
enum phase {
	PHASE_OPEN, /* no record yet */
	PHASE_HELD, /* the handshake is done; a refusal may still come */
	PHASE_WRITTEN, /* its record is out; kept for what comes later */
};

struct conn {
	UT_hash_handle hh;
	uint64_t cookie;
	struct conn *prev, *next; /* one of the joiner's lists */
	struct conn_list *list;
	struct event_tuple tuple;
	bool opened, active, proxy_header_seen, local_spoke, local_spoke_first;
	bool peer_fin, kernel_ended, name_check_failed, rejected;
	enum phase phase;
	enum ending ending;
	uint64_t open_ns, connect_ns, listener_cookie;
	uint64_t first_in_ns, last_out_ns, last_in_ns;
	uint64_t end_ns; /* TCP's, by nginx or the kernel */
	uint64_t done_ns; /* SSL_do_handshake returned 1 */
	uint64_t deadline_ns; /* of the hold, or of settling */
	uint64_t ssl; /* 0: not bound */
	struct binding *binding; /* of ssl, by which it is found; NULL: not bound */
	uint32_t tgid; /* the worker; 0 unknown */
	uint32_t srtt_us, retransmits;
	int sk_err;
	int verify_code; /* −1: no certificate was judged */
	int exit_signal;
	uint32_t remote_isn;
	uint16_t version;
	uint8_t first_bytes[12];
	uint8_t first_len;
	uint8_t records; /* written so far: ids and `previous` */
	struct endpoint proxied_peer;
	struct handshake *hs;
	char *sni; /* kept for a second record */
};

struct conn_list {
	struct conn *head;
	unsigned count;
};

struct binding_key {
	uint64_t ssl;
	uint64_t tgid;
};

struct binding {
	UT_hash_handle hh;
	struct binding_key key;
	struct conn *conn;
};

/* A process's main thread: nginx does all TLS of a worker there. */
struct thread {
	UT_hash_handle hh;
	uint32_t tgid;
	uint32_t role, shown_pid;
	bool exited;
	int exit_signal;
	uint64_t exit_ns, fork_ns;
	struct codes codes; /* drained outside a call, owner not known yet */
	struct codes inside; /* drained inside the running call */
	struct code *last_code; /* in one of these: its text event follows */
	uint64_t last_cookie; /* connection of the last call that returned */
	bool session_removed; /* SSL_CTX_remove_session since that call, outside any */
	char last_closed_id[32]; /* record of the socket it closed last */
	uint64_t judged_ssl, judged_ns; /* SSL_get_verify_result was asked about it */
	bool refused; /* and SSL_CTX_remove_session followed */
	int verify_result; /* of the running call, −1 none */
	uint64_t verify_ssl;
};

struct listener_group {
	UT_hash_handle hh;
	struct event_tuple bound; /* remote part zero */
	bool does_tls;
	bool verifies;
};

struct listener {
	UT_hash_handle hh;
	uint64_t cookie;
	struct listener_group *group;
};

struct early {
	struct early *prev, *next;
	uint64_t ts_ns;
	struct event_tuple tuple;
	uint32_t seq;
	uint16_t len;
	uint8_t flags;
	uint8_t bytes[WIRE_LARGE];
};

struct upstream {
	UT_hash_handle hh;
	struct {
		uint8_t address[16];
		uint16_t family, port;
	} key;
};

struct text {
	UT_hash_handle hh;
	uint64_t code;
	char *text;
};

struct reload {
	bool active;
	uint64_t asked_ns, first_ns;
	uint32_t old_workers[256], new_workers[256];
	int old_count, new_count;
};

struct joiner {
	struct joiner_config config;
	struct joiner_sink sink;
	struct joiner_counts counts;
	uint64_t now_ns, advanced_ns;

	struct conn *conns; /* by cookie */
	struct conn_list live; /* oldest first: opened, no record yet */
	struct conn_list held; /* PHASE_HELD, or settling: they have deadlines */
	struct conn_list written; /* oldest first */
	struct conn_list silent; /* ended without an SSL; no longer by cookie */
	struct binding *bindings;
	struct thread *threads;
	bool siblings; /* workers that are not traced share the listening sockets */
	struct listener *listeners;
	struct listener_group *groups;
	struct early *early;
	unsigned early_count;
	struct upstream *upstreams;
	struct text *texts;
	struct reload reload;
	struct event_lost lost;
	uint64_t lost_said_ns, losses_ns; /* when they were last told, and last grew */
	uint64_t handshakes_told;
};

/* conn.c: the table and its lists */
struct conn *conn_find(struct joiner *joiner, uint64_t cookie);
struct conn *conn_new(struct joiner *joiner, uint64_t cookie); /* NULL: no memory */
void conn_free(struct joiner *joiner, struct conn *conn);
void conn_forget_cookie(struct joiner *joiner, struct conn *conn);
void conn_move(struct conn *conn, struct conn_list *to);
struct handshake *conn_handshake(struct conn *conn); /* NULL: no memory */
void conn_handshake_free(struct conn *conn);
void conn_bind(struct joiner *joiner, struct conn *conn, uint32_t tgid, uint64_t ssl);
void conn_unbind(struct joiner *joiner, struct conn *conn);
struct conn *conn_of_ssl(struct joiner *joiner, uint32_t tgid, uint64_t ssl);
void conn_id(const struct conn *conn, unsigned number, char out[static 32]);
void conn_lost(struct joiner *joiner, struct conn *conn); /* its end was not seen: counted, freed */

/* listener.c */
void listener_add(struct joiner *joiner, uint64_t cookie, const struct event_tuple *tuple);
struct listener_group *listener_group_of(struct joiner *joiner, const struct conn *conn);
void listener_proved(struct joiner *joiner, struct listener_group *group);
void upstream_proved(struct joiner *joiner, const struct conn *conn);
bool upstream_known(struct joiner *joiner, const struct event_tuple *tuple);

/* wire.c */
void wire_bytes(struct joiner *joiner, struct conn *conn, uint64_t ts_ns, const struct event_wire *wire);
void wire_early(struct joiner *joiner, const struct event *event);
void wire_early_claim(struct joiner *joiner, struct conn *conn);
void wire_early_expire(struct joiner *joiner);

/* thread.c */
/* NULL: not one of the target's. A TCP event may be on anybody's CPU. */
struct thread *thread_find(struct joiner *joiner, uint32_t tgid);
struct thread *thread_get(struct joiner *joiner, uint32_t tgid); /* NULL: the table is full */
void thread_free_all(struct joiner *joiner);
void thread_code(struct joiner *joiner, const struct event *event);
void thread_code_text(struct joiner *joiner, const struct event *event);
/* A call began on this thread at `entry_ns`: what was drained before belongs elsewhere. Codes that
 * nobody owns are moved to `stale` (may be NULL) with the id of whom they probably came from. */
void thread_boundary(struct joiner *joiner, struct thread *thread, uint64_t entry_ns,
		     struct conn *next);
void thread_closed(struct joiner *joiner, struct thread *thread, struct conn *conn, uint64_t ts_ns);
void thread_advance(struct joiner *joiner, struct thread *thread);
bool code_is_alert(uint64_t code);
void codes_move(struct codes *to, struct codes *from);
void codes_clear(struct codes *codes);

/* texts.c */
void text_learn(struct joiner *joiner, uint64_t code, const char *text, size_t len);
const char *text_of(struct joiner *joiner, uint64_t code); /* NULL: not known */
void texts_free(struct joiner *joiner);

/* finish.c: decisions */
void finish_established(struct joiner *joiner, struct conn *conn, uint64_t ts_ns);
void finish_closed(struct joiner *joiner, struct conn *conn, const struct event *event);
void finish_rejected(struct joiner *joiner, struct conn *conn);
void finish_release(struct joiner *joiner, struct conn *conn);
void finish_codes(struct joiner *joiner, struct conn *conn); /* codes came after the record */
void finish_deadline(struct joiner *joiner, struct conn *conn);
void finish_silent(struct joiner *joiner, struct conn *conn);
bool finish_is_handshaking(const struct conn *conn);
bool finish_is_failed_connect(const struct event *event); /* of an EVENT_CLOSE */

/* verdict.c: what nginx thinks of a certificate. `next`: what its thread did then, NULL: nothing. */
void verdict_event(struct joiner *joiner, const struct event *event);
void verdict_settle(struct joiner *joiner, struct thread *thread, const struct event *next);

/* report.c: a connection as a record */
void report_write(struct joiner *joiner, struct conn *conn, enum outcome outcome, uint64_t end_ns);

/* process.c */
void process_event(struct joiner *joiner, const struct event *event);
void process_advance(struct joiner *joiner);

#endif
