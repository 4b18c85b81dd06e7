/* SPDX-License-Identifier: BSD-2-Clause */
#include "record/anonymize.h"

#include "base/address.h"
#include "tls/proxy.h"

static void tuple_cut(struct event_tuple *tuple)
{
	anonymize_address(tuple->remote, tuple->family);
}

void anonymize_event(struct event *event)
{
	switch (event->header.kind) {
	case EVENT_LISTENER:
		tuple_cut(&event->listener.tuple);
		break;
	case EVENT_OPEN:
		tuple_cut(&event->open.tuple);
		break;
	case EVENT_CLOSE:
		if (event->header.size >= EVENT_CONNECT_FAILED_SIZE)
			tuple_cut(&event->close.tuple);
		break;
	case EVENT_WIRE:
		if (event->wire.flags & WIRE_PROXY)
			proxy_header_anonymize(event->wire.bytes, event->wire.len);
		break;
	case EVENT_WIRE_EARLY:
		tuple_cut(&event->wire_early.tuple);
		if (event->wire_early.flags & WIRE_PROXY)
			proxy_header_anonymize(event->wire_early.bytes, event->wire_early.len);
		break;
	default:
		break;
	}
}
