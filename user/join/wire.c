/* SPDX-License-Identifier: BSD-2-Clause */
/* What both sides said: bytes at stream offsets become facts of the handshake. */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "join/internal.h"
#include "tls/handshake.h"
#include "tls/proxy.h"

/* One direction while its bytes are fed. */
struct feed {
	struct conn *conn;
	struct handshake *hs;
	unsigned direction; /* WIRE_* */
};

static bool from_client(const struct feed *feed)
{
	return (feed->direction == WIRE_OUT) == feed->conn->active;
}

static enum alert_direction alert_direction(const struct feed *feed)
{
	return feed->direction == WIRE_OUT ? ALERT_SENT : ALERT_RECEIVED;
}

/* A rung of the ladder, and a letter as in Zeek's ssl_history: the client's in capitals. */
static void rung_add(const struct feed *feed, uint64_t ts_ns, bool is_alert, uint8_t type,
		     uint8_t level, char letter)
{
	struct handshake *hs = feed->hs;
	struct record_message *message;

	if (hs->message_count >= RECORD_MESSAGES_MAX)
		return;
	hs->message_ns[hs->message_count] = ts_ns;
	message = &hs->messages[hs->message_count];
	message->direction = alert_direction(feed);
	message->is_alert = is_alert;
	message->type = type;
	message->level = level;
	if (!letter)
		letter = 'z'; /* Zeek's unassigned_handshake_type */
	if (from_client(feed) && letter >= 'a')
		letter -= 'a' - 'A';
	hs->history[hs->message_count++] = letter;
}

static void client_hello_seen(const struct feed *feed, const uint8_t *body, size_t len, bool sslv2)
{
	struct handshake *hs = feed->hs;

	if (hs->hello_seen)
		return; /* the second one, after a HelloRetryRequest: the offer was in the first */
	hs->hello_body = malloc(len ? len : 1);
	if (!hs->hello_body)
		return;
	memcpy(hs->hello_body, body, len);
	/* of a broken one what was read before the break is kept: its SNI */
	if (sslv2)
		client_hello_parse_sslv2(&hs->hello, hs->hello_body, len, hs->sslv2_ciphers,
					 sizeof(hs->sslv2_ciphers));
	else
		client_hello_parse(&hs->hello, hs->hello_body, len);
	hs->hello_seen = true;
	if (hs->hello.has_ech)
		hs->tls.ech = ECH_OFFERED;
}

/* RFC 8446 section 4.1.3: an accepted PSK; RFC 5246 section 7.4.1.3: an echoed session id. */
static void server_hello_seen(const struct feed *feed, const uint8_t *body, size_t len)
{
	struct handshake *hs = feed->hs;
	const struct client_hello *offer = &hs->hello;
	struct server_hello hello;

	if (server_hello_parse(&hello, body, len) < 0)
		return;
	if (hello.hello_retry_request) {
		hs->tls.hello_retry = true;
		hs->history[hs->message_count ? hs->message_count - 1 : 0] =
			from_client(feed) ? 'J' : 'j';
		return;
	}
	hs->server_hello_seen = true;
	hs->tls.version = hello.version;
	hs->tls.cipher = hello.cipher;
	if (hello.group)
		hs->tls.group = hello.group;
	if (hello.alpn.len && hello.alpn.len < sizeof(hs->alpn)) {
		memcpy(hs->alpn, hello.alpn.at, hello.alpn.len);
		hs->tls.alpn = (struct span){ (uint8_t *)hs->alpn, hello.alpn.len };
	}
	if (hello.version >= 0x0304) {
		hs->tls.resumed = hello.has_pre_shared_key ? YES : NO;
		if (hello.has_pre_shared_key)
			hs->tls.resumption = RESUMPTION_PSK;
		else if (hs->hello_seen)
			hs->tls.resumption = offer->has_pre_shared_key ? RESUMPTION_REFUSED :
									 RESUMPTION_NONE;
		return;
	}
	hs->session_id_echoed = hs->hello_seen && hello.session_id.len &&
				hello.session_id.len == offer->session_id.len &&
				!memcmp(hello.session_id.at, offer->session_id.at,
					hello.session_id.len);
}

/* A TLS 1.2 server goes over to its keys: with a Certificate before it, nothing was resumed. */
static void resumption_decide(struct handshake *hs)
{
	const struct client_hello *offer = &hs->hello;
	bool ticket = offer->session_ticket_len > 0;
	/* a client that offers 1.3 sends a session id for middleboxes (RFC 8446 appendix D.4) */
	bool session = offer->session_id.len && !offer->has_versions;

	if (hs->tls.version >= 0x0304 || hs->tls.resumption != RESUMPTION_UNKNOWN ||
	    !hs->server_hello_seen || !hs->hello_seen)
		return;
	if (hs->session_id_echoed && !hs->server_certificate_seen) {
		hs->tls.resumed = YES;
		hs->tls.resumption = ticket ? RESUMPTION_TICKET : RESUMPTION_SESSION_ID;
		return;
	}
	hs->tls.resumed = NO;
	hs->tls.resumption = ticket || session ? RESUMPTION_REFUSED : RESUMPTION_NONE;
}

static void on_message(void *arg, uint64_t ts_ns, uint8_t type, const uint8_t *body, size_t len)
{
	const struct feed *feed = arg;
	struct handshake *hs = feed->hs;
	struct span one;

	rung_add(feed, ts_ns, false, type, 0, handshake_letter(type));
	switch (type) {
	case HANDSHAKE_CLIENT_HELLO:
		if (from_client(feed))
			client_hello_seen(feed, body, len, false);
		break;
	case HANDSHAKE_SERVER_HELLO:
		if (!from_client(feed))
			server_hello_seen(feed, body, len);
		break;
	case HANDSHAKE_CERTIFICATE:
		if (!from_client(feed))
			hs->server_certificate_seen = true;
		else if (certificate_message_parse(body, len, &one, 1) > 0)
			hs->client_certificate_seen = true;
		break;
	case HANDSHAKE_SERVER_KEY_EXCHANGE:
		server_key_exchange_parse(body, len, hs->tls.cipher, &hs->tls.group,
					  &hs->tls.signature_algorithm);
		break;
	case HANDSHAKE_CERTIFICATE_REQUEST:
		hs->certificate_request_seen = true;
		break;
	}
}

static void on_alert(void *arg, uint64_t ts_ns, uint8_t level, uint8_t number)
{
	const struct feed *feed = arg;
	struct handshake *hs = feed->hs;

	rung_add(feed, ts_ns, true, number, level, 'l');
	if (feed->direction == WIRE_OUT && level == 2)
		hs->sent_alert_ns = ts_ns;
	if (hs->alert_count >= RECORD_ALERTS_MAX)
		return;
	hs->alerts[hs->alert_count++] = (struct record_alert){
		.direction = alert_direction(feed),
		.from = ALERT_FROM_WIRE,
		.level = level,
		.number = number,
	};
}

static void on_change_cipher_spec(void *arg, uint64_t ts_ns)
{
	const struct feed *feed = arg;
	struct handshake *hs = feed->hs;

	rung_add(feed, ts_ns, false, RECORD_MESSAGE_CCS, 0, 'i');
	if (!hs->server_hello_seen || hs->tls.version >= 0x0304)
		return; /* RFC 8446 section 5: it means nothing there */
	stream_set_encrypted(&hs->stream[feed->direction]);
	if (!from_client(feed))
		resumption_decide(hs);
}

static void on_encrypted(void *arg, uint64_t ts_ns, uint8_t record_type, size_t len)
{
	const struct feed *feed = arg;

	(void)len;
	if (record_type == RECORD_HANDSHAKE) /* TLS 1.2: nothing but Finished comes here */
		rung_add(feed, ts_ns, false, HANDSHAKE_FINISHED, 0,
			 handshake_letter(HANDSHAKE_FINISHED));
}

static void on_sslv2_hello(void *arg, uint64_t ts_ns, const uint8_t *body, size_t len)
{
	const struct feed *feed = arg;

	rung_add(feed, ts_ns, false, HANDSHAKE_CLIENT_HELLO, 0, 'c');
	if (from_client(feed))
		client_hello_seen(feed, body, len, true);
}

static const struct stream_sink sink = {
	.message = on_message,
	.alert = on_alert,
	.change_cipher_spec = on_change_cipher_spec,
	.encrypted = on_encrypted,
	.sslv2_hello = on_sslv2_hello,
};

static void first_bytes_keep(struct conn *conn, const uint8_t *bytes, size_t len)
{
	if (conn->first_len)
		return;
	conn->first_len = len < sizeof(conn->first_bytes) ? len : sizeof(conn->first_bytes);
	memcpy(conn->first_bytes, bytes, conn->first_len);
}

static void proxy_seen(struct conn *conn, const uint8_t *bytes, size_t len)
{
	struct proxy_header header;

	first_bytes_keep(conn, bytes, len);
	if (proxy_header_parse(&header, bytes, len) < 0)
		return;
	conn->proxy_header_seen = true;
	if (!header.known)
		return;
	conn->proxied_peer.family = header.family;
	conn->proxied_peer.port = header.source_port;
	memcpy(conn->proxied_peer.address, header.source, sizeof(header.source));
}

void wire_bytes(struct joiner *joiner, struct conn *conn, uint64_t ts_ns, const struct event_wire *wire)
{
	unsigned direction = wire->direction;
	struct feed feed = { .conn = conn, .direction = direction };

	(void)joiner;
	if (conn->phase != PHASE_OPEN && !conn->hs)
		return;
	if (direction == WIRE_OUT) {
		conn->last_out_ns = ts_ns;
		if (!conn->first_in_ns && !conn->first_len)
			conn->local_spoke_first = true;
		conn->local_spoke = true;
	} else {
		if (!conn->first_in_ns && !(wire->flags & WIRE_PROXY))
			conn->first_in_ns = ts_ns;
		conn->last_in_ns = ts_ns;
	}
	if (wire->flags & WIRE_PROXY) {
		if (direction == WIRE_IN)
			proxy_seen(conn, wire->bytes, wire->len);
		return;
	}
	if (wire->flags & WIRE_NOT_TLS) {
		if (direction == WIRE_IN)
			first_bytes_keep(conn, wire->bytes, wire->len);
		return;
	}
	feed.hs = conn_handshake(conn);
	if (!feed.hs)
		return;
	if (wire->flags & WIRE_START) {
		if (direction == WIRE_IN) {
			if (conn->local_spoke_first && !conn->active)
				conn->first_in_ns = ts_ns; /* STARTTLS: the hello begins here */
			if (!conn->proxy_header_seen)
				first_bytes_keep(conn, wire->bytes, wire->len);
		}
		stream_start(&feed.hs->stream[direction], wire->offset);
	}
	stream_feed(&feed.hs->stream[direction], ts_ns, wire->offset, wire->bytes, wire->len, &sink,
		    &feed);
}

/* ---- bytes that came before their socket ------------------------------------------------------ */

static void early_drop(struct joiner *joiner, struct early *early)
{
	DL_DELETE(joiner->early, early);
	joiner->early_count--;
	free(early);
}

void wire_early(struct joiner *joiner, const struct event *event)
{
	const struct event_wire_early *wire = &event->wire_early;
	struct early *early;

	if (joiner->early_count >= LIMIT_EARLY)
		early_drop(joiner, joiner->early);
	early = malloc(sizeof(*early));
	if (!early)
		return;
	early->ts_ns = event->header.ts_ns;
	memcpy(&early->tuple, &wire->tuple, sizeof(early->tuple));
	early->seq = wire->seq;
	early->len = wire->len < sizeof(early->bytes) ? wire->len : sizeof(early->bytes);
	early->flags = wire->flags;
	memcpy(early->bytes, wire->bytes, early->len);
	DL_APPEND(joiner->early, early);
	joiner->early_count++;
}

static const uint8_t v4_mapped[12] = { [10] = 0xff, [11] = 0xff };

/* A packet's addresses against a socket's: an IPv6 socket may talk IPv4. */
static bool address_same(const uint8_t *packet, unsigned packet_family, const uint8_t *socket,
			 unsigned socket_family)
{
	if (packet_family == socket_family)
		return !memcmp(packet, socket, packet_family == AF_INET ? 4 : 16);
	return packet_family == AF_INET && !memcmp(socket, v4_mapped, sizeof(v4_mapped)) &&
	       !memcmp(socket + 12, packet, 4);
}

static bool early_is_of(const struct early *early, const struct conn *conn)
{
	const struct event_tuple *packet = &early->tuple, *socket = &conn->tuple;

	return packet->remote_port == socket->remote_port &&
	       packet->local_port == socket->local_port &&
	       address_same(packet->remote, packet->family, socket->remote, socket->family) &&
	       address_same(packet->local, packet->family, socket->local, socket->family) &&
	       early->seq - conn->remote_isn < WIRE_CAP;
}

/* The child is established: what came to the listener with its tuple and sequence numbers is its. */
void wire_early_claim(struct joiner *joiner, struct conn *conn)
{
	_Alignas(struct event_wire) uint8_t buffer[sizeof(struct event_wire) + WIRE_LARGE];
	struct event_wire *wire = (struct event_wire *)buffer;
	struct early *early, *next;

	DL_FOREACH_SAFE(joiner->early, early, next) {
		if (!early_is_of(early, conn))
			continue;
		wire->offset = early->seq - conn->remote_isn;
		wire->len = early->len;
		wire->direction = WIRE_IN;
		wire->flags = early->flags;
		memcpy(wire->bytes, early->bytes, early->len);
		wire_bytes(joiner, conn, early->ts_ns, wire);
		early_drop(joiner, early);
	}
}

void wire_early_expire(struct joiner *joiner)
{
	struct early *early, *next;

	DL_FOREACH_SAFE(joiner->early, early, next) {
		if (joiner->now_ns - early->ts_ns < EARLY_KEPT_NS)
			break;
		early_drop(joiner, early);
	}
}
