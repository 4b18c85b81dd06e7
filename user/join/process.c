/* SPDX-License-Identifier: BSD-2-Clause */
/* nginx's processes: who works, who left, and whether a reload took effect. */
#include <string.h>

#include "join/internal.h"

enum { NUMBER_HUP = 1 };

static uint64_t realtime(const struct joiner *joiner, uint64_t ts_ns)
{
	return ts_ns + joiner->config.realtime_offset_ns;
}

static void workers_list(struct joiner *joiner, uint32_t *into, int *count, int max)
{
	struct thread *thread, *next;

	*count = 0;
	HASH_ITER(hh, joiner->threads, thread, next) {
		if (thread->role == ROLE_WORKER && !thread->exited && *count < max)
			into[(*count)++] = thread->shown_pid;
	}
}

static void reload_asked(struct joiner *joiner, uint64_t ts_ns)
{
	struct reload *reload = &joiner->reload;

	if (reload->active)
		return; /* asked again before the first was answered: one reload to whoever looks */
	memset(reload, 0, sizeof(*reload));
	reload->active = true;
	reload->asked_ns = ts_ns;
	workers_list(joiner, reload->old_workers, &reload->old_count, 256);
}

static void reload_tell(struct joiner *joiner)
{
	struct reload *reload = &joiner->reload;
	struct joiner_reload told = {
		.time_ns = realtime(joiner, reload->asked_ns),
		.succeeded = reload->new_count > 0,
		.old_workers = reload->old_workers,
		.old_count = reload->old_count,
		.new_workers = reload->new_workers,
		.new_count = reload->new_count,
	};

	reload->active = false;
	if (joiner->sink.reload)
		joiner->sink.reload(joiner->sink.arg, &told);
}

static void reload_worker(struct joiner *joiner, const struct thread *thread)
{
	struct reload *reload = &joiner->reload;

	if (!reload->active || thread->fork_ns < reload->asked_ns || reload->new_count >= 256)
		return;
	if (!reload->new_count)
		reload->first_ns = joiner->now_ns;
	reload->new_workers[reload->new_count++] = thread->shown_pid;
}

void process_advance(struct joiner *joiner)
{
	const struct reload *reload = &joiner->reload;

	if (!reload->active)
		return;
	if (reload->new_count ? joiner->now_ns - reload->first_ns >= RELOAD_SETTLE_NS :
				joiner->now_ns - reload->asked_ns >= RELOAD_FAILED_NS)
		reload_tell(joiner);
}

/* Its open handshakes end with it: the kernel closes their sockets next. */
static void process_exited(struct joiner *joiner, struct thread *thread, const struct event *event)
{
	struct joiner_worker_exit info = {
		.time_ns = realtime(joiner, event->header.ts_ns),
		.pid = thread->shown_pid,
		.signal = event->exit.exit_code & 0x7f,
	};
	struct conn *conn;

	thread->exited = true;
	thread->exit_ns = event->header.ts_ns;
	thread->exit_signal = info.signal;
	DL_FOREACH(joiner->live.head, conn) {
		if (conn->tgid == thread->tgid && finish_is_handshaking(conn))
			info.pending++;
	}
	if (thread->role == ROLE_WORKER && joiner->sink.worker_exit)
		joiner->sink.worker_exit(joiner->sink.arg, &info);
}

void process_event(struct joiner *joiner, const struct event *event)
{
	struct thread *thread = thread_get(joiner, event->header.tgid);
	struct thread *child;

	if (!thread)
		return;
	switch (event->header.kind) {
	case EVENT_FORK:
		child = thread_get(joiner, event->fork.child);
		if (child) {
			child->exited = false;
			child->fork_ns = event->header.ts_ns;
			child->role = ROLE_UNKNOWN;
		}
		break;
	case EVENT_PROCESS:
		if (thread->role == event->process.role)
			break;
		thread->role = event->process.role;
		if (thread->role == ROLE_LONE_WORKER) {
			thread->role = ROLE_WORKER;
			joiner->siblings = true;
		}
		thread->shown_pid = event->process.shown_pid;
		if (thread->role == ROLE_WORKER)
			reload_worker(joiner, thread);
		break;
	case EVENT_EXIT:
		process_exited(joiner, thread, event);
		break;
	case EVENT_SIGNAL:
		if (event->signal.number == NUMBER_HUP && thread->role == ROLE_MASTER)
			reload_asked(joiner, event->header.ts_ns);
		break;
	}
}
