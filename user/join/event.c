/* SPDX-License-Identifier: BSD-2-Clause */
/* Nothing that arrives is trusted: the ring is ours, a recording is a file. */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "join/joiner.h"

/* The least size of each kind; 0: no such kind. */
static const size_t least_size[EVENT_KIND_MAX] = {
	[EVENT_LISTENER] = EVENT_HEADER_SIZE + sizeof(struct event_listener),
	[EVENT_OPEN] = EVENT_HEADER_SIZE + sizeof(struct event_open),
	[EVENT_PEER_FIN] = EVENT_HEADER_SIZE,
	[EVENT_CLOSE] = EVENT_CLOSE_SIZE,
	[EVENT_RETRANSMIT] = EVENT_HEADER_SIZE,
	[EVENT_WIRE] = EVENT_HEADER_SIZE + sizeof(struct event_wire),
	[EVENT_WIRE_EARLY] = EVENT_HEADER_SIZE + sizeof(struct event_wire_early),
	[EVENT_SET_FD] = EVENT_HEADER_SIZE + sizeof(struct event_set_fd),
	[EVENT_HANDSHAKE] = EVENT_HEADER_SIZE + sizeof(struct event_handshake),
	[EVENT_EARLY_DATA] = EVENT_HEADER_SIZE + sizeof(struct event_handshake),
	[EVENT_ERROR] = EVENT_HEADER_SIZE + sizeof(struct event_error),
	[EVENT_ERROR_TEXT] = EVENT_HEADER_SIZE + sizeof(struct event_error_text),
	[EVENT_VERIFY] = EVENT_HEADER_SIZE + sizeof(struct event_verify),
	[EVENT_VERIFY_RESULT] = EVENT_HEADER_SIZE + sizeof(struct event_verify),
	[EVENT_CHECK_HOST] = EVENT_HEADER_SIZE + sizeof(struct event_verify),
	[EVENT_SESSION_REMOVED] = EVENT_HEADER_SIZE + sizeof(struct event_verify),
	[EVENT_FORK] = EVENT_HEADER_SIZE + sizeof(struct event_fork),
	[EVENT_EXEC] = EVENT_HEADER_SIZE,
	[EVENT_EXIT] = EVENT_HEADER_SIZE + sizeof(struct event_exit),
	[EVENT_SIGNAL] = EVENT_HEADER_SIZE + sizeof(struct event_signal),
	[EVENT_PROCESS] = EVENT_HEADER_SIZE + sizeof(struct event_process),
	[EVENT_LOST] = EVENT_HEADER_SIZE + sizeof(struct event_lost),
	[EVENT_TICK] = EVENT_HEADER_SIZE,
};

static int lengths_check(const struct event *event, size_t size)
{
	switch (event->header.kind) {
	case EVENT_WIRE:
		if (event->wire.len > size - least_size[EVENT_WIRE] || event->wire.direction > WIRE_OUT)
			return -EBADMSG;
		return 0;
	case EVENT_WIRE_EARLY:
		return event->wire_early.len > size - least_size[EVENT_WIRE_EARLY] ? -EBADMSG : 0;
	case EVENT_ERROR_TEXT:
		if (event->error_text.text_len >= ERROR_TEXT_MAX ||
		    event->error_text.data_len >= ERROR_DATA_MAX)
			return -EBADMSG;
		return 0;
	default:
		return 0;
	}
}

int event_check(const void *bytes, size_t len)
{
	const struct event *event = bytes;
	size_t size;

	if (len < EVENT_HEADER_SIZE)
		return -EBADMSG;
	size = event->header.size;
	if (size < EVENT_HEADER_SIZE || size > len || size > EVENT_SIZE_MAX)
		return -EBADMSG;
	if (event->header.kind == EVENT_NONE)
		return -EBADMSG;
	if (event->header.kind >= EVENT_KIND_MAX || !least_size[event->header.kind])
		return -ENOTSUP; /* a newer tlswhy's */
	if (size < least_size[event->header.kind])
		return -EBADMSG;
	return lengths_check(event, size);
}
