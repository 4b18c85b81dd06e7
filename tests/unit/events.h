/* SPDX-License-Identifier: BSD-2-Clause */
/* Events as the BPF programs write them, one at a time. */
#ifndef TLSWHY_TESTS_UNIT_EVENTS_H
#define TLSWHY_TESTS_UNIT_EVENTS_H

#include <netinet/in.h>
#include <string.h>

#include "bpf/abi.h"
#include "unit/hellos.h"

/* Room for the largest one. */
union any_event {
	struct event event;
	uint8_t bytes[EVENT_SIZE_MAX];
};

#define EVENT_OF(any, kind, arm, ts_ns, tgid, cookie)                                              \
	event_begin(any, kind, sizeof((any)->event.arm), ts_ns, tgid, cookie)

static inline struct event *event_begin(union any_event *any, uint32_t kind, size_t arm_size,
					uint64_t ts_ns, uint32_t tgid, uint64_t cookie)
{
	memset(any, 0, sizeof(*any));
	any->event.header.size = (uint32_t)(EVENT_HEADER_SIZE + arm_size);
	any->event.header.kind = kind;
	any->event.header.ts_ns = ts_ns;
	any->event.header.tgid = any->event.header.tid = tgid;
	any->event.header.cookie = cookie;
	return &any->event;
}

/* 192.0.2.10:443 here, 198.51.100.x:port there. */
static inline struct event_tuple event_tuple_of(uint16_t remote_port, uint8_t host)
{
	return (struct event_tuple){
		.local = {192, 0, 2, 10},
		.remote = {198, 51, 100, host},
		.local_port = 443,
		.remote_port = remote_port,
		.family = AF_INET,
		.netns = 4026531840u,
	};
}

/* Reserved in the size the kernel uses, whatever is used of it. */
static inline struct event *event_wire_of(union any_event *any, uint64_t ts_ns, uint64_t cookie,
					  uint8_t direction, uint32_t offset, uint8_t flags,
					  const void *bytes, size_t len)
{
	size_t room = len > WIRE_SMALL ? WIRE_LARGE : WIRE_SMALL;
	struct event *event =
		event_begin(any, EVENT_WIRE, sizeof(struct event_wire) + room, ts_ns, 0, cookie);

	event->wire.offset = offset;
	event->wire.len = (uint16_t)len;
	event->wire.direction = direction;
	event->wire.flags = flags;
	memcpy(event->wire.bytes, bytes, len);
	return event;
}

static inline struct event *event_early_of(union any_event *any, uint64_t ts_ns, uint64_t cookie,
					   const struct event_tuple *tuple, uint32_t seq,
					   uint8_t flags, const void *bytes, size_t len)
{
	struct event *event =
		event_begin(any, EVENT_WIRE_EARLY, sizeof(struct event_wire_early) + WIRE_LARGE,
			    ts_ns, 0, cookie);

	event->wire_early.tuple = *tuple;
	event->wire_early.seq = seq;
	event->wire_early.len = (uint16_t)len;
	event->wire_early.flags = flags;
	memcpy(event->wire_early.bytes, bytes, len);
	return event;
}

#endif
