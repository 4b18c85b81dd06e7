/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The connection record: what tlswhy says of one TLS connection, before it is put into words.
 *
 * The joiner fills it, the diagnosis adds the cause, an output writes it. Everything a pointer
 * shows is borrowed: it is valid until the callback that was given the record returns.
 */
#ifndef TLSWHY_JOIN_RECORD_H
#define TLSWHY_JOIN_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "tls/hello.h"
#include "tls/ja4.h"
#include "tls/preface.h"
#include "tls/span.h"

enum side { SIDE_CLIENT, SIDE_UPSTREAM };

enum outcome {
	OUTCOME_ESTABLISHED,
	OUTCOME_FAILED,
	OUTCOME_ABORTED,
	OUTCOME_TIMED_OUT,
	OUTCOME_REJECTED,
	OUTCOME_COUNT,
};

struct endpoint {
	uint16_t family; /* AF_INET, AF_INET6; 0: unknown. IPv4-mapped addresses are AF_INET here */
	uint8_t address[16];
	uint16_t port;
};

enum resumption {
	RESUMPTION_NONE, /* not offered */
	RESUMPTION_PSK,
	RESUMPTION_TICKET,
	RESUMPTION_SESSION_ID,
	RESUMPTION_REFUSED, /* offered, and a full handshake followed */
	RESUMPTION_UNKNOWN, /* not visible */
};

enum early_data { EARLY_DATA_NONE, EARLY_DATA_ACCEPTED, EARLY_DATA_REFUSED };
enum ech { ECH_NONE, ECH_OFFERED, ECH_ACCEPTED, ECH_REFUSED };
enum tristate { UNKNOWN = -1, NO = 0, YES = 1 };

/* What was negotiated; 0 and len 0 mean: not negotiated or not visible. */
struct record_tls {
	uint16_t version, cipher, group, signature_algorithm;
	struct span alpn;
	enum tristate resumed;
	enum resumption resumption;
	enum early_data early_data;
	bool hello_retry;
	enum ech ech;
};

/* A code nginx took from OpenSSL's queue for this connection. */
struct record_error {
	uint64_t code;
	const char *text; /* as ERR_error_string_n wrote it, NULL where it was not learned */
	const char *data; /* what nginx appends behind a colon, NULL where there is none */
};

/* nginx's own line holds under NGX_MAX_CONF_ERRSTR bytes: seven codes were the most ever seen. */
#define RECORD_ERRORS_MAX 16

enum alert_direction { ALERT_SENT, ALERT_RECEIVED };
enum alert_from { ALERT_FROM_WIRE, ALERT_FROM_ERROR };

struct record_alert {
	enum alert_direction direction;
	enum alert_from from;
	uint8_t level; /* 1 warning, 2 fatal */
	uint8_t number;
};

/* OpenSSL gives up after five warnings in a row (SSL3_AL_WARNING count); with both directions. */
#define RECORD_ALERTS_MAX 8

struct record_verify {
	bool judged; /* a peer certificate was judged */
	int code; /* X509_V_* */
	const char *text; /* borrowed, never NULL when judged */
	const char *expected_name; /* NULL where not visible */
};

/* -1: not measured. */
struct record_latency {
	int64_t total_us, tcp_connect_us, hello_wait_us, pickup_us, crypto_us, peer_wait_us;
};

enum reset_by { RESET_NONE, RESET_BY_PEER, RESET_LOCAL };

/* ChangeCipherSpec is no handshake message: a number that IANA will not assign to one (message_hash is
 * 254) stands for it in `type`. */
#define RECORD_MESSAGE_CCS 255

struct record_message {
	int64_t offset_us; /* since the connection was established */
	enum alert_direction direction;
	bool is_alert;
	uint8_t type; /* handshake type, or the alert's number */
	uint8_t level; /* of an alert */
};

/* A full TLS 1.2 handshake with client certificate and HelloRetryRequest-like repeats has under 20. */
#define RECORD_MESSAGES_MAX 24

/* How the connection ended, for the diagnosis. */
enum ending {
	END_NONE, /* it has not */
	END_PEER_FIN,
	END_PEER_RESET,
	END_LOCAL_CLOSE, /* nginx closed it first */
	END_LOCAL_RESET, /* nginx closed it with unread bytes */
	END_CONNECT_FAILED,
	END_WORKER_EXIT,
	END_KERNEL, /* the kernel gave up: ETIMEDOUT and the like */
};

struct record_cause {
	const char *id; /* NULL: none */
	const char *directive; /* NULL: none */
	char summary[512];
	char fix[512];
	/* The facts that decided. */
	char evidence[8][192];
	int evidence_count;
};

struct record {
	char id[32];
	char previous[32]; /* "" : none */
	uint64_t time_ns; /* CLOCK_REALTIME, when the connection was established */
	uint32_t worker_pid; /* 0: unknown */
	enum side side;
	struct endpoint peer, local;
	struct endpoint proxied_peer; /* family 0: none */
	enum outcome outcome;

	const struct client_hello *hello; /* NULL: none seen, or a second record: the offer */
	struct span sni; /* len 0 and at NULL: none */
	char ja4[JA4_SIZE]; /* "" without a hello */
	struct record_tls tls;

	struct record_error errors[RECORD_ERRORS_MAX];
	int error_count;
	/* Codes that a callback drained inside the call, and stale ones: evidence only. */
	struct record_error evidence_errors[RECORD_ERRORS_MAX];
	int evidence_error_count;

	/* Codes that nginx drained as this handshake began ("ignoring stale global SSL error"): left by
	 * another connection, probably `stale_of`; they decided nothing here. */
	struct record_error stale_errors[RECORD_ERRORS_MAX];
	int stale_error_count;
	char stale_of[32];

	int sk_errno;
	struct record_alert alerts[RECORD_ALERTS_MAX];
	int alert_count;
	struct record_verify verify;
	struct record_latency latency;
	int64_t rtt_us; /* -1: unknown */
	uint32_t retransmits;
	enum reset_by reset;
	uint32_t handshake_calls;

	char history[RECORD_MESSAGES_MAX + 1];
	struct record_message messages[RECORD_MESSAGES_MAX];
	int message_count;

	/* For the diagnosis. */
	enum preface preface; /* of what the peer sent first */
	struct span first_bytes; /* at most 12, where they are not TLS */
	enum ending ending;
	bool hello_incomplete; /* bytes of a hello came, and not all of it */
	bool server_hello_seen, certificate_request_seen, client_certificate_seen;
	bool proxy_header_seen;
	bool name_check_failed; /* X509_check_host said no */
	int worker_exit_signal; /* with END_WORKER_EXIT; 0: it exited */

	struct record_cause cause; /* filled by diagnose_record() */
};

const char *side_name(enum side side); /* "client", "upstream" */
const char *outcome_name(enum outcome outcome); /* "timed_out" */

#endif
