/* SPDX-License-Identifier: BSD-2-Clause */
/* The connections that are followed: by the cookie of their socket, and by their SSL. */
#include <stdlib.h>
#include <string.h>

#include "join/internal.h"

struct conn *conn_find(struct joiner *joiner, uint64_t cookie)
{
	struct conn *conn;

	HASH_FIND(hh, joiner->conns, &cookie, sizeof(cookie), conn);
	return conn;
}

void conn_move(struct conn *conn, struct conn_list *to)
{
	if (conn->list) {
		DL_DELETE(conn->list->head, conn);
		conn->list->count--;
	}
	conn->list = to;
	if (to) {
		DL_APPEND(to->head, conn);
		to->count++;
	}
}

/* Makes room for one more: what was written goes first, an unfinished one is a counted loss. */
static void conn_evict(struct joiner *joiner)
{
	struct conn *victim = joiner->written.head;

	if (!victim)
		victim = joiner->live.head ? joiner->live.head : joiner->held.head;
	if (!victim)
		return;
	if (victim->phase == PHASE_WRITTEN)
		conn_free(joiner, victim);
	else
		conn_lost(joiner, victim);
}

struct conn *conn_new(struct joiner *joiner, uint64_t cookie)
{
	struct conn *conn;

	if (!cookie)
		return NULL; /* no socket has it: a damaged recording */
	if (HASH_COUNT(joiner->conns) >= LIMIT_CONNECTIONS)
		conn_evict(joiner);
	conn = calloc(1, sizeof(*conn));
	if (!conn)
		return NULL;
	conn->cookie = cookie;
	conn->verify_code = -1;
	HASH_ADD(hh, joiner->conns, cookie, sizeof(conn->cookie), conn);
	conn_move(conn, &joiner->live);
	return conn;
}

void conn_forget_cookie(struct joiner *joiner, struct conn *conn)
{
	if (!conn->cookie)
		return;
	HASH_DELETE(hh, joiner->conns, conn);
}

void conn_free(struct joiner *joiner, struct conn *conn)
{
	conn_unbind(joiner, conn);
	if (conn->list != &joiner->silent)
		conn_forget_cookie(joiner, conn);
	conn_move(conn, NULL);
	conn_handshake_free(conn);
	free(conn->sni);
	free(conn);
}

void conn_lost(struct joiner *joiner, struct conn *conn)
{
	if (conn->hs && conn->hs->calls && conn->phase == PHASE_OPEN)
		joiner->counts.handshakes_lost++;
	conn_free(joiner, conn);
}

struct handshake *conn_handshake(struct conn *conn)
{
	if (!conn->hs) {
		conn->hs = calloc(1, sizeof(*conn->hs));
		if (!conn->hs)
			return NULL;
		stream_init(&conn->hs->stream[WIRE_IN]);
		stream_init(&conn->hs->stream[WIRE_OUT]);
		conn->hs->tls.resumed = UNKNOWN;
		conn->hs->tls.resumption = RESUMPTION_UNKNOWN;
	}
	return conn->hs;
}

void conn_handshake_free(struct conn *conn)
{
	struct handshake *hs = conn->hs;

	if (!hs)
		return;
	stream_free(&hs->stream[WIRE_IN]);
	stream_free(&hs->stream[WIRE_OUT]);
	codes_clear(&hs->queue);
	codes_clear(&hs->inside);
	codes_clear(&hs->stale);
	free(hs->hello_body);
	free(hs);
	conn->hs = NULL;
}

static struct binding *binding_find(struct joiner *joiner, uint32_t tgid, uint64_t ssl)
{
	struct binding_key key = { .ssl = ssl, .tgid = tgid };
	struct binding *binding;

	HASH_FIND(hh, joiner->bindings, &key, sizeof(key), binding);
	return binding;
}

/* An SSL's address is used again within microseconds: the newest SSL_set_fd wins. */
void conn_bind(struct joiner *joiner, struct conn *conn, uint32_t tgid, uint64_t ssl)
{
	struct binding *binding = binding_find(joiner, tgid, ssl);

	if (!ssl || (binding && binding->conn == conn))
		return; /* no SSL is at 0 */
	conn_unbind(joiner, conn);
	if (binding) {
		binding->conn->binding = NULL;
		binding->conn->ssl = 0;
	} else {
		binding = calloc(1, sizeof(*binding));
		if (!binding)
			return;
		binding->key.ssl = ssl;
		binding->key.tgid = tgid;
		HASH_ADD(hh, joiner->bindings, key, sizeof(binding->key), binding);
	}
	binding->conn = conn;
	conn->binding = binding;
	conn->ssl = ssl;
	conn->tgid = tgid;
}

void conn_unbind(struct joiner *joiner, struct conn *conn)
{
	struct binding *binding = conn->binding;

	conn->ssl = 0;
	conn->binding = NULL;
	if (!binding)
		return;
	HASH_DELETE(hh, joiner->bindings, binding);
	free(binding);
}

struct conn *conn_of_ssl(struct joiner *joiner, uint32_t tgid, uint64_t ssl)
{
	struct binding *binding = ssl ? binding_find(joiner, tgid, ssl) : NULL;

	return binding ? binding->conn : NULL;
}

static char *number_print(uint64_t value, unsigned base, char *to)
{
	char digits[24];
	int count = 0;

	do
		digits[count++] = "0123456789abcdef"[value % base];
	while (value /= base);
	while (count)
		*to++ = digits[--count];
	return to;
}

/* The cookie is unique while the host runs, so a replay gives the same ids. By hand: two of them are
 * made for every record, and snprintf() is a twentieth of what a replayed connection costs. */
void conn_id(const struct conn *conn, unsigned number, char out[static 32])
{
	out = number_print(conn->cookie, 16, out);
	if (number) {
		*out++ = '.';
		out = number_print(number, 10, out);
	}
	*out = '\0';
}
