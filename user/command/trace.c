/* SPDX-License-Identifier: BSD-2-Clause */
#include "command/trace.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "command/pipeline.h"
#include "record/recording.h"
#include "trace/safety.h"
#include "trace/session.h"

#define SECOND_NS UINT64_C(1000000000)
/* Records reach the screen within this; see BPF_RB_NO_WAKEUP in bpf/tlswhy.bpf.h. */
#define TICK_NS 50000000
/* 4,300 handshakes a second fill 460 KiB in a tick, first packets included; and a loaded host may keep
 * us from our CPU for some ticks more. */
#define RING_SIZE_DEFAULT (4 * 1024 * 1024)

struct trace {
	const struct options *options;
	struct target target;
	struct session *session;
	struct pipeline pipeline;
	bool pipeline_ready;
	struct recording_writer *recording;
	int recording_err;
	int64_t realtime_offset_ns;
	int epoll, timer, signals;
	bool stop;
	uint64_t end_ns; /* of --duration; 0: none */
	/* What attaching said before the output was open: a process or a listening socket each. */
	struct event *early;
	size_t early_count, early_room;
};

static uint64_t clock_ns(clockid_t id)
{
	struct timespec now;

	clock_gettime(id, &now);
	return (uint64_t)now.tv_sec * SECOND_NS + now.tv_nsec;
}

static void early_keep(struct trace *trace, const struct event *event)
{
	if (event->header.size > sizeof(*event))
		return; /* of the ring, which is not read yet: there is none such */
	if (trace->early_count == trace->early_room) {
		size_t room = trace->early_room ? 2 * trace->early_room : 64;
		struct event *more = reallocarray(trace->early, room, sizeof(*more));

		if (!more)
			return;
		trace->early = more;
		trace->early_room = room;
	}
	memcpy(&trace->early[trace->early_count++], event, event->header.size);
}

static void on_event(void *arg, const struct event *event)
{
	struct trace *trace = arg;
	int err;

	if (!trace->pipeline_ready) {
		early_keep(trace, event);
		return;
	}
	if (trace->recording && !trace->recording_err) {
		err = recording_write(trace->recording, event);
		if (err < 0) {
			trace->recording_err = err;
			fprintf(stderr, "tlswhy: cannot go on writing %s: %s; tracing goes on without it\n",
				trace->options->save, strerror(-err));
		}
	}
	pipeline_event(&trace->pipeline, event);
}

/* Does our own libcrypto write the same texts as the target's? */
static bool same_openssl(const struct libraries *libraries)
{
	const struct library *crypto = &libraries->list[libraries->index[LIBRARY_CRYPTO]];
	const char *version = strchr(crypto->flavour, ' ');

	return library_is_openssl(crypto) && version &&
	       !strcmp(version + 1, OpenSSL_version(OPENSSL_VERSION_STRING));
}

static int strings_count(const char *const *strings)
{
	int count = 0;

	while (strings[count])
		count++;
	return count;
}

/* The facts of the session: its first record, and a recording's header. */
static int facts_tell(struct trace *trace, struct failure *why)
{
	const struct libraries *found = session_libraries(trace->session);
	struct recording_library saved[LIBRARY_KINDS];
	struct library_info shown[LIBRARY_KINDS];
	struct recording_header header = {
		.realtime_offset_ns = trace->realtime_offset_ns,
		.version = TLSWHY_VERSION,
		.pid = trace->target.pid,
		.libraries = saved,
		.library_count = found->count,
		.probes = session_probes(trace->session),
		.missing = session_missing(trace->session),
		.same_openssl = same_openssl(found),
	};
	struct session_info info = { .version = TLSWHY_VERSION, .libraries = shown };
	struct utsname kernel;
	int err;

	uname(&kernel);
	for (int i = 0; i < found->count; i++) {
		const struct library *library = &found->list[i];

		saved[i].path = shown[i].path = library->shown_path;
		saved[i].build_id = shown[i].build_id = *library->build_id ? library->build_id : NULL;
		saved[i].flavour = shown[i].flavour = library->flavour;
	}
	header.kernel = kernel.release;
	header.nginx_version = *trace->target.nginx_version ? trace->target.nginx_version : NULL;
	header.probe_count = strings_count(header.probes);
	header.missing_count = strings_count(header.missing);
	info.pid = header.pid;
	info.kernel = header.kernel;
	info.nginx_version = header.nginx_version;
	info.library_count = header.library_count;
	info.probes = header.probes;
	info.probe_count = header.probe_count;
	info.missing = header.missing;
	info.missing_count = header.missing_count;
	if (trace->options->save) {
		err = recording_create(&trace->recording, trace->options->save, &header,
				       trace->options->anonymize);
		if (err < 0)
			return failure_set(why, EXIT_RUNTIME,
					   "cannot write %s: %s; name a file in a directory that "
					   "exists and has room",
					   trace->options->save, strerror(-err));
	}
	pipeline_session(&trace->pipeline, &info);
	return 0;
}

static int return_probes_safe(struct failure *why)
{
	struct safety safety;

	safety_test(&safety);
	if (safety.verdict == SAFETY_KILLED)
		return failure_set(why, EXIT_HOST,
				   "cannot trace: a return probe ends a process under seccomp on this "
				   "kernel (%s); update the kernel",
				   safety.why);
	return 0;
}

static int attach(struct trace *trace, struct failure *why)
{
	struct session_config config = {
		.ring_size = trace->options->ring_size ? trace->options->ring_size :
							 RING_SIZE_DEFAULT,
		.return_probes = true,
	};
	struct joiner_config joiner = { .realtime_offset_ns = trace->realtime_offset_ns };

	trace->early_count = 0;
	if (return_probes_safe(why) < 0 ||
	    session_open(&trace->session, &trace->target, &config, on_event, trace, why) < 0)
		return -1;
	joiner.same_openssl = same_openssl(session_libraries(trace->session));
	if (!trace->pipeline.joiner &&
	    pipeline_open(&trace->pipeline, trace->options, &joiner) < 0)
		return failure_set(why, EXIT_RUNTIME, "cannot trace: out of memory; free some");
	if (!trace->recording && facts_tell(trace, why) < 0)
		return -1;
	if (!trace->pipeline_ready)
		trace->pipeline.begin_ns = clock_ns(CLOCK_MONOTONIC);
	trace->pipeline_ready = true;
	for (size_t i = 0; i < trace->early_count; i++)
		on_event(trace, &trace->early[i]);
	trace->early_count = 0;
	fprintf(stderr, "tlswhy: tracing nginx PID %d\n", trace->target.pid);
	return 0;
}

static void detach(struct trace *trace)
{
	session_close(trace->session);
	trace->session = NULL;
	target_close(&trace->target);
}

/* edge: EPOLLET for the ring, which is readable whenever it holds anything: it must wake us only when
 * the kernel side asks for it, else a busy host has us look at each record by itself. */
static int watch(int epoll, int fd, uint32_t edge)
{
	struct epoll_event event = { .events = EPOLLIN | edge, .data.fd = fd };

	return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

static int loop_open(struct trace *trace, struct failure *why)
{
	struct itimerspec every = { { 0, TICK_NS }, { 0, TICK_NS } };
	sigset_t mask;

	sigemptyset(&mask);
	sigaddset(&mask, SIGINT);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGHUP);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	signal(SIGPIPE, SIG_IGN);
	trace->signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	trace->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	trace->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (trace->signals < 0 || trace->timer < 0 || trace->epoll < 0 ||
	    timerfd_settime(trace->timer, 0, &every, NULL) < 0 ||
	    watch(trace->epoll, trace->signals, 0) < 0 ||
	    watch(trace->epoll, trace->timer, 0) < 0)
		return failure_set(why, EXIT_RUNTIME, "cannot wait for events: %s; see ulimit -n",
				   strerror(errno));
	return 0;
}

/* The end is being written; to whom that takes too long, a second signal ends it. */
static void signals_give_back(void)
{
	sigset_t mask;

	sigfillset(&mask);
	sigprocmask(SIG_UNBLOCK, &mask, NULL);
}

static void loop_turn(struct trace *trace)
{
	struct epoll_event events[4];
	struct signalfd_siginfo signal_info;
	bool tick = false;
	uint64_t expired, now_ns;
	int count = epoll_wait(trace->epoll, events, 4, -1);

	for (int i = 0; i < count; i++) {
		if (events[i].data.fd == trace->signals) {
			while (read(trace->signals, &signal_info, sizeof(signal_info)) > 0)
				trace->stop = true;
		} else if (events[i].data.fd == trace->timer) {
			tick = read(trace->timer, &expired, sizeof(expired)) > 0;
		}
	}
	if (!trace->session)
		return;
	now_ns = clock_ns(CLOCK_MONOTONIC);
	session_read(trace->session);
	if (trace->pipeline.text_wanted) {
		trace->pipeline.text_wanted = false;
		session_want_texts(trace->session);
	}
	if (tick)
		pipeline_advance(&trace->pipeline, now_ns);
}

static bool over(const struct trace *trace)
{
	return trace->stop || trace->pipeline.enough || trace->pipeline.write_err ||
	       (trace->end_ns && clock_ns(CLOCK_MONOTONIC) >= trace->end_ns);
}

/* --follow: the next nginx is found when -p's pid file names it. */
static void next_wait(struct trace *trace)
{
	struct failure why;

	while (!over(trace)) {
		loop_turn(trace);
		if (target_open(&trace->target, trace->options->target, &why) < 0)
			continue;
		if (!attach(trace, &why)) {
			watch(trace->epoll, session_fd(trace->session), EPOLLET);
			return;
		}
		detach(trace);
	}
}

static void run(struct trace *trace)
{
	watch(trace->epoll, session_fd(trace->session), EPOLLET);
	while (!over(trace)) {
		loop_turn(trace);
		if (!session_target_gone(trace->session))
			continue;
		session_read(trace->session);
		pipeline_advance(&trace->pipeline, clock_ns(CLOCK_MONOTONIC));
		fprintf(stderr, "tlswhy: nginx PID %d ended\n", trace->target.pid);
		if (!trace->options->follow)
			return;
		detach(trace);
		next_wait(trace);
		if (!trace->session)
			return;
	}
}

int command_trace(const struct options *options, struct failure *why)
{
	struct trace *trace = calloc(1, sizeof(*trace));
	int err = -1, closed;

	if (!trace)
		return failure_set(why, EXIT_RUNTIME, "cannot trace: out of memory; free some");
	trace->options = options;
	trace->epoll = trace->timer = trace->signals = -1;
	trace->realtime_offset_ns = clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_MONOTONIC);
	if (loop_open(trace, why) < 0 || target_open(&trace->target, options->target, why) < 0 ||
	    attach(trace, why) < 0)
		goto out;
	if (options->duration_s > 0)
		trace->end_ns = clock_ns(CLOCK_MONOTONIC) + options->duration_s * SECOND_NS;
	run(trace);
	if (trace->session)
		session_read(trace->session);
	signals_give_back();
	err = pipeline_finish(&trace->pipeline, clock_ns(CLOCK_MONOTONIC));
	if (err < 0)
		failure_set(why, EXIT_RUNTIME, "cannot write records: %s; see where stdout goes",
			    strerror(-err));
out:
	closed = recording_writer_close(trace->recording);
	if (closed < 0 && !trace->recording_err && !err)
		err = failure_set(why, EXIT_RUNTIME, "cannot write %s: %s; it may be cut short",
				  options->save, strerror(-closed));
	trace->pipeline_ready = false; /* what comes while probes are taken away is nobody's */
	detach(trace);
	pipeline_close(&trace->pipeline);
	close(trace->epoll);
	close(trace->timer);
	close(trace->signals);
	free(trace->early);
	free(trace);
	return err < 0 ? -1 : 0;
}
