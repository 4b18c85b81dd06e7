/* SPDX-License-Identifier: BSD-2-Clause */
/* A connection's state, said as a record. */
#include <netinet/in.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "diagnose/reasons.h"
#include "join/internal.h"

enum { REASON_ALERT = 1000 }; /* reason of an alert received: the number and this */

static void endpoint_set(struct endpoint *endpoint, const uint8_t *address, uint16_t family,
			 uint16_t port)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	memset(endpoint, 0, sizeof(*endpoint));
	endpoint->family = family;
	endpoint->port = port;
	if (family == AF_INET6 && !memcmp(address, mapped, sizeof(mapped))) {
		endpoint->family = AF_INET;
		memcpy(endpoint->address, address + 12, 4);
	} else {
		memcpy(endpoint->address, address, family == AF_INET ? 4 : 16);
	}
}

/* What OpenSSL always adds to the code of an alert it read (ssl3_read_bytes): the probe that reads data
 * may not be attached. */
static char *alert_data(uint64_t code)
{
	char buffer[32];

	if (!code_is_alert(code))
		return NULL;
	snprintf(buffer, sizeof(buffer), "SSL alert number %d", error_ssl_reason(code, NULL) - REASON_ALERT);
	return strdup(buffer);
}

static void errors_fill(struct joiner *joiner, struct record_error *into, int *count,
			struct codes *codes)
{
	*count = 0;
	for (int i = 0; i < codes->count && *count < RECORD_ERRORS_MAX; i++) {
		struct code *code = &codes->at[i];

		if (!code->data)
			code->data = alert_data(code->code);
		into[*count].code = code->code;
		into[*count].text = text_of(joiner, code->code);
		into[(*count)++].data = code->data;
	}
}

static bool alert_known(const struct record *record, enum alert_direction direction, uint8_t number)
{
	for (int i = 0; i < record->alert_count; i++) {
		if (record->alerts[i].direction == direction && record->alerts[i].number == number)
			return true;
	}
	return false;
}

static bool alert_of_direction(const struct record *record, enum alert_direction direction)
{
	for (int i = 0; i < record->alert_count; i++) {
		if (record->alerts[i].direction == direction && record->alerts[i].level == 2)
			return true;
	}
	return false;
}

static void alert_from_error(struct record *record, enum alert_direction direction, uint8_t number)
{
	if (record->alert_count >= RECORD_ALERTS_MAX)
		return;
	record->alerts[record->alert_count++] = (struct record_alert){
		.direction = direction,
		.from = ALERT_FROM_ERROR,
		.level = 2,
		.number = number,
	};
}

/* Encrypted alerts: the received one is in the reason, the sent one follows from it. */
static void alerts_fill(const struct conn *conn, struct record *record)
{
	const struct handshake *hs = conn->hs;
	bool encrypted = hs->server_hello_seen || conn->records;

	memcpy(record->alerts, hs->alerts, sizeof(hs->alerts[0]) * hs->alert_count);
	record->alert_count = hs->alert_count;
	for (int i = 0; i < hs->queue.count; i++) {
		uint64_t code = hs->queue.at[i].code;
		int reason = error_ssl_reason(code, NULL), sent;

		if (reason < 0)
			continue;
		if (code_is_alert(code)) {
			if (!alert_known(record, ALERT_RECEIVED, reason - REASON_ALERT))
				alert_from_error(record, ALERT_RECEIVED, reason - REASON_ALERT);
			continue;
		}
		sent = reason_alert_sent(reason);
		if (sent >= 0 && encrypted && !alert_of_direction(record, ALERT_SENT))
			alert_from_error(record, ALERT_SENT, sent);
	}
}

static void messages_fill(const struct conn *conn, struct record *record, uint64_t begin_ns)
{
	const struct handshake *hs = conn->hs;

	memcpy(record->history, hs->history, sizeof(hs->history));
	for (int i = 0; i < hs->message_count; i++) {
		if (hs->messages[i].type == RECORD_MESSAGE_CCS && !hs->messages[i].is_alert)
			continue;
		record->messages[record->message_count] = hs->messages[i];
		record->messages[record->message_count++].offset_us =
			((int64_t)hs->message_ns[i] - (int64_t)begin_ns) / 1000;
	}
}

static int64_t us(uint64_t ns)
{
	return (ns + 500) / 1000;
}

/* total = hello_wait + pickup + crypto + peer_wait, to the microsecond. */
static void latency_fill(const struct conn *conn, struct record *record, uint64_t begin_ns,
			 uint64_t end_ns)
{
	const struct handshake *hs = conn->hs;
	struct record_latency *latency = &record->latency;
	uint64_t pickup_ns = hs ? hs->pickup_end_ns : 0;
	uint64_t hello_ns = conn->first_in_ns;
	int64_t rest;

	*latency = (struct record_latency){ -1, -1, -1, -1, -1, -1 };
	if (conn->active && conn->connect_ns && conn->open_ns > conn->connect_ns &&
	    conn->ending != END_CONNECT_FAILED)
		latency->tcp_connect_us = us(conn->open_ns - conn->connect_ns);
	if (end_ns < begin_ns)
		end_ns = begin_ns;
	rest = latency->total_us = us(end_ns - begin_ns);
	if (!conn->active) {
		uint64_t heard_ns = hello_ns ? hello_ns : end_ns;

		latency->hello_wait_us = heard_ns > begin_ns ? us(heard_ns - begin_ns) : 0;
		if (latency->hello_wait_us > rest)
			latency->hello_wait_us = rest;
		rest -= latency->hello_wait_us;
		if (hello_ns && pickup_ns) {
			latency->pickup_us = pickup_ns > hello_ns ? us(pickup_ns - hello_ns) : 0;
			if (latency->pickup_us > rest)
				latency->pickup_us = rest;
			rest -= latency->pickup_us;
		}
	}
	if (hs && hs->calls) {
		latency->crypto_us = us(hs->crypto_ns);
		if (latency->crypto_us > rest)
			latency->crypto_us = rest;
		rest -= latency->crypto_us;
	}
	latency->peer_wait_us = rest;
}

static void verify_fill(const struct conn *conn, struct record *record)
{
	record->verify.judged = conn->verify_code >= 0;
	if (!record->verify.judged)
		return;
	record->verify.code = conn->verify_code;
	record->verify.text = X509_verify_cert_error_string(conn->verify_code);
}

static void identity_fill(struct joiner *joiner, struct conn *conn, struct record *record)
{
	struct thread *thread = conn->tgid ? thread_find(joiner, conn->tgid) : NULL;

	conn_id(conn, conn->records, record->id);
	if (conn->records)
		conn_id(conn, conn->records - 1, record->previous);
	record->worker_pid = thread ? thread->shown_pid : conn->tgid;
	record->side = conn->active ? SIDE_UPSTREAM : SIDE_CLIENT;
	endpoint_set(&record->peer, conn->tuple.remote, conn->tuple.family, conn->tuple.remote_port);
	endpoint_set(&record->local, conn->tuple.local, conn->tuple.family, conn->tuple.local_port);
	record->proxied_peer = conn->proxied_peer;
	record->rtt_us = conn->srtt_us ? (int64_t)conn->srtt_us : -1;
	record->retransmits = conn->retransmits;
	record->sk_errno = conn->sk_err;
	record->ending = conn->ending;
	record->reset = conn->ending == END_PEER_RESET  ? RESET_BY_PEER :
			conn->ending == END_LOCAL_RESET ? RESET_LOCAL :
							  RESET_NONE;
	record->worker_exit_signal = conn->exit_signal;
	record->name_check_failed = conn->name_check_failed;
	record->proxy_header_seen = conn->proxy_header_seen;
	record->first_bytes = (struct span){ conn->first_bytes, conn->first_len };
	record->preface = preface_of(conn->first_bytes, conn->first_len);
}

static void hello_fill(const struct conn *conn, struct record *record)
{
	const struct handshake *hs = conn->hs;
	unsigned client = conn->active ? WIRE_OUT : WIRE_IN;

	if (hs->hello_seen) {
		record->hello = &hs->hello;
		ja4_fingerprint(&hs->hello, 't', record->ja4);
	} else {
		record->hello_incomplete = stream_unfinished(&hs->stream[client]) > 0;
	}
}

/* A record that follows another one of the same connection has no offer any more, but its name. */
static void sni_keep(struct conn *conn)
{
	const struct span *sni;

	if (conn->sni || !conn->hs || !conn->hs->hello_seen || !conn->hs->hello.sni.at)
		return;
	sni = &conn->hs->hello.sni;
	conn->sni = strndup((const char *)sni->at, sni->len);
}

static void tls_fill(struct conn *conn, struct record *record, enum outcome outcome)
{
	const struct handshake *hs = conn->hs;

	record->tls = hs->tls;
	if (hs->hello_seen && hs->hello.has_early_data && conn->done_ns)
		record->tls.early_data = hs->early_accepted ? EARLY_DATA_ACCEPTED : EARLY_DATA_REFUSED;
	if (outcome != OUTCOME_ESTABLISHED && !hs->server_hello_seen)
		record->tls.resumption = RESUMPTION_UNKNOWN;
}

/* Fast Open: OpenSSL may see bytes before the kernel says ESTABLISHED. */
static uint64_t begin_of(const struct conn *conn)
{
	uint64_t begin = conn->open_ns;

	if (conn->first_in_ns && conn->first_in_ns < begin && !conn->active)
		begin = conn->first_in_ns;
	if (conn->hs && conn->hs->first_call_ns && conn->hs->first_call_ns < begin)
		begin = conn->hs->first_call_ns;
	return begin;
}

void report_write(struct joiner *joiner, struct conn *conn, enum outcome outcome, uint64_t end_ns)
{
	uint64_t begin_ns = begin_of(conn);
	struct client_hello kept = { 0 };
	struct record record;

	memset(&record, 0, offsetof(struct record, cause));
	memset(&record.cause, 0, offsetof(struct record_cause, summary));
	record.cause.summary[0] = record.cause.fix[0] = '\0';
	record.cause.evidence_count = 0;
	identity_fill(joiner, conn, &record);
	record.outcome = outcome;
	record.time_ns = begin_ns + joiner->config.realtime_offset_ns;
	record.tls.resumed = UNKNOWN;
	record.tls.resumption = RESUMPTION_UNKNOWN;
	latency_fill(conn, &record, begin_ns, end_ns);
	verify_fill(conn, &record);
	if (conn->hs) {
		const struct handshake *hs = conn->hs;

		hello_fill(conn, &record);
		tls_fill(conn, &record, outcome);
		alerts_fill(conn, &record);
		messages_fill(conn, &record, begin_ns);
		errors_fill(joiner, record.errors, &record.error_count, &conn->hs->queue);
		errors_fill(joiner, record.evidence_errors, &record.evidence_error_count,
			    &conn->hs->inside);
		errors_fill(joiner, record.stale_errors, &record.stale_error_count,
			    &conn->hs->stale);
		memcpy(record.stale_of, hs->stale_of, sizeof(record.stale_of));
		record.handshake_calls = hs->calls;
		record.server_hello_seen = hs->server_hello_seen;
		record.certificate_request_seen = hs->certificate_request_seen;
		record.client_certificate_seen = hs->client_certificate_seen;
	}
	if (conn->records) {
		record.handshake_calls = 0;
		record.tls.version = conn->version;
		if (conn->sni) {
			kept.has_sni = true;
			kept.sni = (struct span){ (uint8_t *)conn->sni, strlen(conn->sni) };
		}
	}
	record.sni = conn->sni && conn->records ? kept.sni : record.hello && record.hello->has_sni ?
							     record.hello->sni :
							     (struct span){ NULL, 0 };
	joiner->sink.record(joiner->sink.arg, &record);
	sni_keep(conn);
	if (conn->hs)
		conn->version = conn->hs->tls.version ? conn->hs->tls.version : conn->version;
	conn->records++;
	conn->phase = PHASE_WRITTEN;
	conn_handshake_free(conn);
}
