/* SPDX-License-Identifier: BSD-2-Clause */
#include "trace/session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "join/joiner.h"
#include "trace/attach.h"
#include "trace/listeners.h"
#include "trace/scope.h"
#include "trace/tracees.h"
#include "tlswhy.skel.h"

#define SECOND_NS UINT64_C(1000000000)

/* Processes whose title or library is not known yet, right after a fork or an exec. */
#define NEWCOMERS_MAX 256
/* A worker sets its title within milliseconds; the dynamic linker is as quick. */
#define NEWCOMER_NS (5 * UINT64_C(1000000000))

/* Codes a second from which on reading each one's text again would be felt: it costs four
 * single-stepped traps, some 100 µs. And how long it must have been calmer: floods come in waves. */
#define TEXTS_BUSY 50
#define TEXTS_CALM_NS (30 * SECOND_NS)
/* Handshakes without a question about a client's certificate, until nobody is thought to ask. */
#define SESSIONS_PATIENCE 2000

struct newcomer {
	pid_t pid;
	uint64_t since_ns;
	bool exec; /* its library may be another */
};

struct session {
	struct target *target;
	struct session_config config;
	session_event_fn *on_event;
	void *arg;
	struct tlswhy *skel;
	struct ring_buffer *ring;
	struct scope scope;
	struct bpf_link *links[16];
	int link_count;
	struct attachments attachments;
	struct newcomer newcomers[NEWCOMERS_MAX];
	int newcomer_count;
	bool code_from_text; /* see code_from_error_string_n */
	struct tracees tracees;
	struct event_lost lost; /* as told last */
	uint64_t broken; /* ring records that event_check() refused */
	uint64_t codes, codes_since_ns; /* this second's error codes */
	uint64_t busy_ns; /* when they were too many last */
	uint64_t quiet; /* handshakes since a client's certificate was asked about */
	uint64_t tick_ns;
	const char *probes[PROBE_COUNT + 16];
	const char *missing[16];
};

uint64_t session_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * SECOND_NS + now.tv_nsec;
}

static int quiet_print(enum libbpf_print_level level, const char *format, va_list args)
{
	if (level == LIBBPF_DEBUG || !getenv("TLSWHY_LIBBPF"))
		return 0;
	return vfprintf(stderr, format, args);
}

/* ---- events that user space adds -------------------------------------------------------------- */

static void add_event(struct session *session, struct event *event, uint32_t kind, size_t size)
{
	event->header.kind = kind;
	event->header.size = size;
	event->header.ts_ns = session_now_ns();
	session->on_event(session->arg, event);
}

static void add_process(struct session *session, pid_t pid, uint32_t role)
{
	struct event event = { .header.tgid = pid, .header.tid = pid };

	event.process.role = role;
	event.process.shown_pid = pid;
	add_event(session, &event, EVENT_PROCESS, EVENT_HEADER_SIZE + sizeof(event.process));
}

/* The counters are read before the ring is: what they count was lost after what the ring holds, or
 * amid it, so whoever joins the events is warned in time. */
static void add_lost(struct session *session)
{
	struct event event = { 0 };

	event.lost = session->skel->bss->lost;
	event.lost.by_kind[EVENT_NONE] = session->broken;
	if (!memcmp(&event.lost, &session->lost, sizeof(event.lost)))
		return;
	session->lost = event.lost;
	add_event(session, &event, EVENT_LOST, EVENT_HEADER_SIZE + sizeof(event.lost));
}

/* ---- processes -------------------------------------------------------------------------------- */

static void newcomer_add(struct session *session, pid_t pid, bool exec)
{
	struct newcomer *newcomer;

	if (session->newcomer_count >= NEWCOMERS_MAX)
		return;
	newcomer = &session->newcomers[session->newcomer_count++];
	newcomer->pid = pid;
	newcomer->since_ns = session_now_ns();
	newcomer->exec = exec;
}

static int library_attach(struct session *session, pid_t pid, struct failure *why)
{
	return attachments_add(&session->attachments, pid, why);
}

/* A process that forked or executed: what it is, and which library it maps, shows a moment later. */
static bool newcomer_settled(struct session *session, const struct newcomer *newcomer)
{
	struct process process;
	struct failure why;

	if (process_read(newcomer->pid, &process) < 0)
		return true; /* gone again */
	if (newcomer->exec && library_attach(session, newcomer->pid, &why) < 0)
		return false;
	if (process.role == ROLE_UNKNOWN)
		return false;
	if (process.role == ROLE_MASTER && newcomer->exec)
		tracees_enter(&session->tracees, newcomer->pid, ROLE_MASTER);
	else if (process.role == ROLE_MASTER)
		return false; /* a fork that has its parent's title still */
	scope_admit(&session->scope, newcomer->pid);
	add_process(session, newcomer->pid, process.role);
	return true;
}

static void newcomers_look(struct session *session)
{
	uint64_t now_ns = session_now_ns();
	int kept = 0;

	for (int i = 0; i < session->newcomer_count; i++) {
		struct newcomer newcomer = session->newcomers[i];

		if (newcomer_settled(session, &newcomer) || now_ns - newcomer.since_ns > NEWCOMER_NS)
			continue;
		session->newcomers[kept++] = newcomer;
	}
	session->newcomer_count = kept;
}

/* ---- probes that come and go ------------------------------------------------------------------ */

static void group_set(struct session *session, enum attach_group group, bool attached)
{
	attachments_set(&session->attachments, group, attached);
}

void session_want_texts(struct session *session)
{
	group_set(session, ATTACH_TEXTS, true);
}

static void texts_adapt(struct session *session, uint64_t now_ns)
{
	if (now_ns - session->codes_since_ns >= SECOND_NS) {
		session->codes = 0;
		session->codes_since_ns = now_ns;
	}
	if (now_ns >= session->busy_ns + TEXTS_CALM_NS)
		group_set(session, ATTACH_TEXTS, true);
}

static void adapt(struct session *session, const struct event *event)
{
	switch (event->header.kind) {
	case EVENT_ERROR:
		/* in a flood not even for the rest of the second */
		if (++session->codes >= TEXTS_BUSY) {
			session->busy_ns = event->header.ts_ns;
			group_set(session, ATTACH_TEXTS, false);
		}
		break;
	case EVENT_VERIFY_RESULT:
		session->quiet = 0;
		group_set(session, ATTACH_SESSIONS, true);
		break;
	case EVENT_HANDSHAKE:
		if (++session->quiet == SESSIONS_PATIENCE)
			group_set(session, ATTACH_SESSIONS, false);
		break;
	}
}

/* ---- the ring --------------------------------------------------------------------------------- */

static int ring_record(void *arg, void *data, size_t size)
{
	struct session *session = arg;
	const struct event *event = data;

	if (event_check(data, size) < 0) {
		session->broken++;
		return 0;
	}
	adapt(session, event);
	switch (event->header.kind) {
	case EVENT_FORK:
		newcomer_add(session, event->fork.child, false);
		break;
	case EVENT_EXEC:
		newcomer_add(session, event->header.tgid, true);
		break;
	}
	session->on_event(session->arg, event);
	if (event->header.kind == EVENT_EXEC)
		newcomers_look(session); /* 30 ms until its first worker */
	return 0;
}

void session_read(struct session *session)
{
	uint64_t now_ns = session_now_ns();
	struct event tick = { 0 };

	add_lost(session);
	ring_buffer__consume(session->ring);
	newcomers_look(session);
	texts_adapt(session, now_ns);
	if (now_ns - session->tick_ns >= SECOND_NS) {
		session->tick_ns = now_ns;
		/* the time before the ring was read: nothing older is still to come */
		tick.header.kind = EVENT_TICK;
		tick.header.size = EVENT_HEADER_SIZE;
		tick.header.ts_ns = now_ns;
		session->on_event(session->arg, &tick);
	}
}

int session_fd(const struct session *session)
{
	return bpf_map__fd(session->skel->maps.events);
}

bool session_target_gone(const struct session *session)
{
	return !tracees_any(&session->tracees);
}

/* ---- open ------------------------------------------------------------------------------------- */

static int load_failed(int err, struct failure *why)
{
	if (err == -EPERM || err == -EACCES)
		return failure_set(why, EXIT_PERMISSION,
				   "cannot load BPF programs: %s; run as root (CAP_BPF, CAP_PERFMON, "
				   "CAP_NET_ADMIN)",
				   strerror(-err));
	return failure_set(why, EXIT_HOST, "cannot load BPF programs: %s; run tlswhy check",
			   strerror(-err));
}

static pid_t library_pid(const struct target *target)
{
	for (int i = 0; i < target->process_count; i++) {
		if (target->processes[i].role == ROLE_WORKER)
			return target->processes[i].pid;
	}
	return target->pid;
}

/* What must be known of the library before the programs are loaded; and whether there is one. */
static int library_look(struct session *session, struct failure *why)
{
	struct libraries *libraries = calloc(1, sizeof(*libraries));
	struct probe_site sites[PROBE_COUNT];
	int err = -1;

	if (!libraries)
		return failure_set(why, EXIT_RUNTIME, "cannot attach: out of memory; free some");
	if (!library_find(library_pid(session->target), libraries, why) &&
	    !probes_resolve(libraries, sites, why)) {
		session->code_from_text = sites[PROBE_ERR_ERROR_STRING_N_ENTRY].when == PROBE_ALWAYS;
		err = 0;
	}
	free(libraries);
	return err;
}

static int skeleton_load(struct session *session, struct failure *why)
{
	struct bpf_program *program;
	bool multi;
	int err;

	libbpf_set_print(quiet_print);
	session->skel = tlswhy__open();
	if (!session->skel)
		return load_failed(-errno, why);
	multi = uprobe_multi_supported();
	bpf_object__for_each_program(program, session->skel->obj) {
		bpf_program__set_autoload(program, true);
		if (multi && bpf_program__type(program) == BPF_PROG_TYPE_KPROBE)
			uprobe_multi_prepare(program);
	}
	bpf_map__set_max_entries(session->skel->maps.events, session->config.ring_size);
	session->skel->rodata->ring_wakeup_bytes = session->config.ring_size / 4;
	session->skel->rodata->code_from_error_string_n = session->code_from_text;
	session->skel->rodata->follow_forks = !session->target->single;
	err = tlswhy__load(session->skel);
	if (err)
		return load_failed(err, why);
	session->attachments.object = session->skel->obj;
	session->attachments.return_probes = session->config.return_probes;
	session->tracees.tags = session->skel->bss->tracee_tags;
	session->tracees.table = session->skel->bss->tracees;
	session->ring = ring_buffer__new(bpf_map__fd(session->skel->maps.events), ring_record,
					 session, NULL);
	return session->ring ? 0 : load_failed(-errno, why);
}

static int link_add(struct session *session, struct bpf_link *link, const char *what,
		    struct failure *why)
{
	if (!link)
		return failure_set(why, errno == EPERM ? EXIT_PERMISSION : EXIT_HOST,
				   "cannot attach %s: %s; run tlswhy check", what, strerror(errno));
	session->links[session->link_count++] = link;
	return 0;
}

static int tracing_attach(struct session *session, struct bpf_program *const *programs, int count,
			  struct failure *why)
{
	for (int i = 0; i < count; i++) {
		if (link_add(session, bpf_program__attach(programs[i]),
			     bpf_program__name(programs[i]), why) < 0)
			return -1;
	}
	return 0;
}

/* Whoever forks between the two looks is found by the second. */
static int processes_attach(struct session *session, struct failure *why)
{
	struct bpf_program *const programs[] = {
		session->skel->progs.sched_process_fork,
		session->skel->progs.sched_process_exec,
		session->skel->progs.sched_process_exit,
		session->skel->progs.signal_deliver,
	};

	for (int pass = 0; pass < 2; pass++) {
		struct target *target = session->target;

		if (pass && target_refresh(target, why) < 0)
			return -1;
		for (int i = 0; i < target->process_count; i++) {
			const struct target_process *process = &target->processes[i];

			if (target->single && process->pid != target->pid)
				continue;
			if (!tracees_enter(&session->tracees, process->pid, process->role))
				session->skel->bss->lost.map_full++;
		}
		if (!pass && tracing_attach(session, programs, 4, why) < 0)
			return -1;
	}
	return 0;
}

/* struct mark of bpf/tlswhy.bpf.h begins with the listener's cookie; all else is zero at first. */
static int listener_mark(const struct listener *listener, void *data)
{
	struct session *session = data;
	size_t size = bpf_map__value_size(session->skel->maps.marks);
	_Alignas(8) uint8_t mark[64] = { 0 };
	struct event event = { .header.cookie = listener->cookie };
	int err;

	memcpy(mark, &listener->cookie, sizeof(listener->cookie));
	err = bpf_map__update_elem(session->skel->maps.marks, &listener->fd, sizeof(listener->fd),
				   mark, size, BPF_NOEXIST);
	if (err && err != -EEXIST)
		return err;
	event.listener.tuple = listener->tuple;
	add_event(session, &event, EVENT_LISTENER, EVENT_HEADER_SIZE + sizeof(event.listener));
	return 0;
}

static int listeners_mark(struct session *session, struct failure *why)
{
	const struct target *target = session->target;
	pid_t *pids = calloc(target->process_count ? target->process_count : 1, sizeof(*pids));
	int count;

	if (!pids)
		return failure_set(why, EXIT_RUNTIME, "cannot attach: out of memory; free some");
	for (int i = 0; i < target->process_count; i++)
		pids[i] = target->processes[i].pid;
	count = listeners_each(pids, target->process_count, listener_mark, session);
	free(pids);
	if (count >= 0)
		return 0;
	return failure_set(why, count == -EPERM ? EXIT_PERMISSION : EXIT_HOST,
			   "cannot mark nginx's listening sockets: %s; run as root with "
			   "CAP_SYS_PTRACE",
			   strerror(-count));
}

static uint32_t role_of(const struct target *target, const struct target_process *process)
{
	return target->single && !target->master_off ? ROLE_LONE_WORKER : process->role;
}

/* The sockets come last: a connection that is seen to open has every probe under it. */
static int attach_all(struct session *session, struct failure *why)
{
	struct bpf_program *const sockets[] = {
		session->skel->progs.inet_sock_set_state,
		session->skel->progs.tcp_retransmit_skb,
	};

	if (processes_attach(session, why) < 0)
		return -1;
	for (int i = 0; i < session->target->process_count; i++)
		add_process(session, session->target->processes[i].pid,
			    role_of(session->target, &session->target->processes[i]));
	if (library_attach(session, library_pid(session->target), why) < 0)
		return -1;
	session->scope.ingress = session->skel->progs.wire_ingress;
	session->scope.egress = session->skel->progs.wire_egress;
	session->scope.listeners = session->skel->progs.listener_cgroups;
	if (scope_open(&session->scope, session->target, why) < 0 || tracing_attach(session, sockets, 2, why) < 0)
		return -1;
	return listeners_mark(session, why);
}

static void names_fill(struct session *session)
{
	const struct attachment *attachment = session->attachments.list[0];
	int count = 0, missing = 0;

	for (int i = 0; i < PROBE_COUNT; i++) {
		const char *symbol = attachment->sites[i].symbol;

		if (!uprobe_is_attached(&attachment->uprobes[i])) {
			if (!attachment->sites[i].found && missing < 14)
				session->missing[missing++] = attachment->sites[i].probe->why;
			continue;
		}
		if (!count || strcmp(session->probes[count - 1], symbol))
			session->probes[count++] = symbol;
	}
	session->probes[count++] = "inet_sock_set_state";
	session->probes[count++] = "tcp_retransmit_skb";
	session->probes[count++] = "cgroup_skb";
	session->probes[count++] = "sched_process_fork";
	session->probes[count++] = "sched_process_exec";
	session->probes[count++] = "sched_process_exit";
	session->probes[count++] = "signal_deliver";
}

int session_open(struct session **ret, struct target *target, const struct session_config *config,
		 session_event_fn *on_event, void *arg, struct failure *why)
{
	struct session *session = calloc(1, sizeof(*session));

	if (!session)
		return failure_set(why, EXIT_RUNTIME, "cannot attach: out of memory; free some");
	session->target = target;
	session->config = *config;
	session->on_event = on_event;
	session->arg = arg;
	session->codes_since_ns = session->tick_ns = session_now_ns();
	if (library_look(session, why) < 0 || skeleton_load(session, why) < 0 ||
	    attach_all(session, why) < 0) {
		session_close(session);
		return -1;
	}
	names_fill(session);
	*ret = session;
	return 0;
}

void session_close(struct session *session)
{
	if (!session)
		return;
	/* sockets first: no connection begins that is half seen */
	for (int i = session->link_count; i-- > 0;)
		bpf_link__destroy(session->links[i]);
	scope_close(&session->scope);
	attachments_close(&session->attachments);
	ring_buffer__free(session->ring);
	tlswhy__destroy(session->skel);
	free(session);
}

const struct libraries *session_libraries(const struct session *session)
{
	return &session->attachments.list[0]->libraries;
}

const char *const *session_probes(const struct session *session)
{
	return session->probes;
}

const char *const *session_missing(const struct session *session)
{
	return session->missing;
}
