/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which of nginx's listening sockets do TLS, and which upstreams. A socket is one of a group that
 * shares an address and port: with reuseport every worker has its own.
 */
#include <stdlib.h>
#include <string.h>

#include "join/internal.h"

void listener_add(struct joiner *joiner, uint64_t cookie, const struct event_tuple *tuple)
{
	struct listener_group *group;
	struct listener *listener;
	struct event_tuple bound;

	memcpy(&bound, tuple, sizeof(bound));
	memset(bound.remote, 0, sizeof(bound.remote));
	bound.remote_port = 0;
	bound.reserved = 0;
	HASH_FIND(hh, joiner->listeners, &cookie, sizeof(cookie), listener);
	if (listener || HASH_COUNT(joiner->listeners) >= LIMIT_LISTENERS)
		return;
	HASH_FIND(hh, joiner->groups, &bound, sizeof(bound), group);
	if (!group) {
		group = calloc(1, sizeof(*group));
		if (!group)
			return;
		memcpy(&group->bound, &bound, sizeof(bound));
		HASH_ADD(hh, joiner->groups, bound, sizeof(group->bound), group);
	}
	listener = calloc(1, sizeof(*listener));
	if (!listener)
		return;
	listener->cookie = cookie;
	listener->group = group;
	HASH_ADD(hh, joiner->listeners, cookie, sizeof(listener->cookie), listener);
}

struct listener_group *listener_group_of(struct joiner *joiner, const struct conn *conn)
{
	struct listener *listener;

	HASH_FIND(hh, joiner->listeners, &conn->listener_cookie, sizeof(conn->listener_cookie),
		  listener);
	if (!listener && conn->opened && conn->listener_cookie) {
		/* its LISTENER event was lost: the child's own address stands for it */
		listener_add(joiner, conn->listener_cookie, &conn->tuple);
		HASH_FIND(hh, joiner->listeners, &conn->listener_cookie,
			  sizeof(conn->listener_cookie), listener);
	}
	return listener ? listener->group : NULL;
}

void listener_proved(struct joiner *joiner, struct listener_group *group)
{
	struct conn *conn, *next;

	if (!group || group->does_tls)
		return;
	group->does_tls = true;
	DL_FOREACH_SAFE(joiner->silent.head, conn, next) {
		if (!conn->active && listener_group_of(joiner, conn) == group)
			finish_silent(joiner, conn);
	}
}

static void upstream_key(struct upstream *upstream, const struct event_tuple *tuple)
{
	memset(upstream, 0, sizeof(*upstream));
	memcpy(upstream->key.address, tuple->remote, sizeof(upstream->key.address));
	upstream->key.family = tuple->family;
	upstream->key.port = tuple->remote_port;
}

bool upstream_known(struct joiner *joiner, const struct event_tuple *tuple)
{
	struct upstream probe, *found;

	upstream_key(&probe, tuple);
	HASH_FIND(hh, joiner->upstreams, &probe.key, sizeof(probe.key), found);
	return found != NULL;
}

void upstream_proved(struct joiner *joiner, const struct conn *conn)
{
	struct upstream *upstream;
	struct conn *silent, *next;

	if (!conn->opened || upstream_known(joiner, &conn->tuple) ||
	    HASH_COUNT(joiner->upstreams) >= LIMIT_UPSTREAMS)
		return;
	upstream = malloc(sizeof(*upstream));
	if (!upstream)
		return;
	upstream_key(upstream, &conn->tuple);
	HASH_ADD(hh, joiner->upstreams, key, sizeof(upstream->key), upstream);
	DL_FOREACH_SAFE(joiner->silent.head, silent, next) {
		if (silent->active && upstream_known(joiner, &silent->tuple))
			finish_silent(joiner, silent);
	}
}
