/* SPDX-License-Identifier: BSD-2-Clause */
#include "trace/safety.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <poll.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "trace/procfs.h"

#define UPROBE_PMU "/sys/bus/event_source/devices/uprobe"

/* Three children, together within 5 s. */
#define CHILD_MS 1600
#define CALLS 3

/* int f(int x) { return x + 1; }, with a frame, so that something is pushed and popped. */
#if defined(__x86_64__)
static const uint8_t code[] = {
	0x55,		  /* push %rbp */
	0x8d, 0x47, 0x01, /* lea 1(%rdi), %eax */
	0x5d,		  /* pop %rbp */
	0xc3,		  /* ret */
};
#elif defined(__aarch64__)
static const uint32_t code[] = {
	0x11000400, /* add w0, w0, #1 */
	0xd65f03c0, /* ret */
};
#else
static const uint8_t code[1];
#define NO_CODE
#endif

/* How the child ends; anything else was done to it. */
enum { CHILD_GOOD = 40, CHILD_WRONG = 41, CHILD_NO_FILTER = 42, CHILD_LOST = 43 };

struct filter {
	uint32_t action; /* for calls that are not listed */
	const char *name;
};

struct trial {
	int code_fd;
	int cpu;	 /* where the events count, and the children run */
	int entry, exit; /* perf events */
};

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Waits for input or end of file. Whether it came in time. */
static bool await(int fd, int64_t deadline_ms)
{
	struct pollfd wait = {.fd = fd, .events = POLLIN};
	int64_t left;
	int n;

	do {
		left = deadline_ms - now_ms();
		n = poll(&wait, 1, left > 0 ? (int)left : 0);
	} while (n < 0 && errno == EINTR);
	return n == 1;
}

static void __attribute__((format(printf, 4, 5)))
verdict(struct safety *ret, enum safety_verdict what, int signal, const char *format, ...)
{
	va_list args;

	ret->verdict = what;
	ret->signal = signal;
	va_start(args, format);
	vsnprintf(ret->why, sizeof(ret->why), format, args);
	va_end(args);
}

static void unknown(struct safety *ret, const char *what, int err)
{
	verdict(ret, SAFETY_UNKNOWN, 0, "%s: %s", what, strerror(err));
}

/* Only what the rest of the child needs; uretprobe(2) is the call in question and not listed. */
static int install_filter(uint32_t action)
{
	static const int allowed[] = {SCMP_SYS(exit), SCMP_SYS(exit_group), SCMP_SYS(rt_sigreturn)};
	scmp_filter_ctx filter = seccomp_init(action);
	int err = filter ? 0 : -ENOMEM;

	for (size_t i = 0; !err && i < sizeof(allowed) / sizeof(allowed[0]); i++)
		if (action != SCMP_ACT_ALLOW)
			err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0);
	if (!err)
		err = seccomp_load(filter);
	seccomp_release(filter);
	return err;
}

/* The child: maps the code, which puts the breakpoint in, and calls it. Its exit status. */
static int run_child(const struct trial *trial, const struct filter *filter)
{
	int (*volatile function)(int) = NULL;
	cpu_set_t cpus;
	void *page;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* If it is killed, no core file and no crash report. */
	prctl(PR_SET_DUMPABLE, 0);
	CPU_ZERO(&cpus);
	CPU_SET(trial->cpu, &cpus);
	page = mmap(NULL, sizeof(code), PROT_READ | PROT_EXEC, MAP_PRIVATE, trial->code_fd, 0);
	if (page == MAP_FAILED || sched_setaffinity(0, sizeof(cpus), &cpus) < 0)
		return CHILD_LOST;
	if (install_filter(filter->action))
		return CHILD_NO_FILTER;
	memcpy((void *)&function, &page, sizeof(page));
	for (int i = 0; i < CALLS; i++)
		if (function(i) != i + 1)
			return CHILD_WRONG;
	return CHILD_GOOD;
}

/* A uprobe without any program, for all processes as tlswhy has it. The descriptor or -errno. */
static int open_probe(const struct trial *trial, uint32_t type, uint64_t config)
{
	struct perf_event_attr attr = {.size = sizeof(attr), .type = type, .config = config};
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", trial->code_fd);
	attr.uprobe_path = (uint64_t)(uintptr_t)path;
	attr.probe_offset = 0;
	fd = (int)syscall(SYS_perf_event_open, &attr, -1, trial->cpu, -1, PERF_FLAG_FD_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* Both probes, at the same address. 0 or -errno. */
static int attach(struct trial *trial)
{
	char format[64];
	uint64_t type, bit = 0;
	int err;

	err = procfs_read_number(UPROBE_PMU "/type", &type);
	if (err)
		return err;
	err = procfs_read(UPROBE_PMU "/format/retprobe", format, sizeof(format));
	if (err < 0)
		return err;
	if (sscanf(format, "config:%lu", &bit) != 1 || bit > 63)
		return -EINVAL;
	trial->entry = open_probe(trial, (uint32_t)type, 0);
	if (trial->entry < 0)
		return trial->entry;
	trial->exit = open_probe(trial, (uint32_t)type, 1ULL << bit);
	return trial->exit < 0 ? trial->exit : 0;
}

static uint64_t hits(int event)
{
	uint64_t count = 0;

	return read(event, &count, sizeof(count)) == sizeof(count) ? count : 0;
}

/* What the child's end says. */
static void judge(const struct filter *filter, int status, uint64_t fired, struct safety *ret)
{
	if (WIFSIGNALED(status)) {
		verdict(ret, SAFETY_KILLED, WTERMSIG(status),
			"a return probe ends a process with a seccomp filter that %s (%s)",
			filter->name, strsignal(WTERMSIG(status)));
		return;
	}
	switch (WEXITSTATUS(status)) {
	case CHILD_WRONG:
		verdict(ret, SAFETY_KILLED, 0,
			"a return probe breaks a process with a seccomp filter that %s",
			filter->name);
		break;
	case CHILD_NO_FILTER:
		verdict(ret, SAFETY_UNKNOWN, 0, "no seccomp filter can be installed here");
		break;
	case CHILD_GOOD:
		if (fired == 2 * CALLS)
			verdict(ret, SAFETY_SAFE, 0,
				"tried on a child of our own under a seccomp filter");
		else
			verdict(ret, SAFETY_UNKNOWN, 0, "the probes of the trial did not fire");
		break;
	default:
		verdict(ret, SAFETY_UNKNOWN, 0, "the trial's child could not map its code");
	}
}

/* Runs one child under one filter. Its end closes the pipe that only it holds. */
static void run(const struct trial *trial, const struct filter *filter, struct safety *ret)
{
	uint64_t before = hits(trial->entry) + hits(trial->exit);
	int ends[2], status;
	bool in_time;
	pid_t child;

	if (pipe2(ends, O_CLOEXEC) < 0) {
		unknown(ret, "the trial cannot be made here", errno);
		return;
	}
	child = fork();
	/* Not _exit(): before a function that does not return a sanitizer makes calls of its own,
	 * which the filter refuses. */
	if (child == 0)
		syscall(SYS_exit_group, run_child(trial, filter));
	close(ends[1]);
	if (child < 0) {
		unknown(ret, "the trial's child could not be started", errno);
		close(ends[0]);
		return;
	}
	in_time = await(ends[0], now_ms() + CHILD_MS);
	close(ends[0]);
	if (!in_time)
		kill(child, SIGKILL);
	while (waitpid(child, &status, 0) < 0) {
		if (errno == EINTR)
			continue;
		unknown(ret, "the trial's child cannot be waited for", errno);
		return;
	}
	if (in_time)
		judge(filter, status, hits(trial->entry) + hits(trial->exit) - before, ret);
	else
		verdict(ret, SAFETY_UNKNOWN, 0, "the trial did not end in time");
}

/* A file that only the trial maps. The descriptor or -errno. */
static int make_code_file(void)
{
	int fd, err = 0;

	fd = memfd_create("tlswhy-return-probe", MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, code, sizeof(code)) != sizeof(code))
		err = -errno;
	if (err)
		close(fd);
	return err ? err : fd;
}

void safety_test(struct safety *ret)
{
	static const struct filter filters[] = {
		/* Without a filter first: a return probe that fails there fails for all. */
		{SCMP_ACT_ALLOW, "allows everything"},
		{SCMP_ACT_ERRNO(EPERM), "refuses unknown calls"},
		{SCMP_ACT_KILL_PROCESS, "kills at unknown calls"},
	};
	struct trial trial = {.code_fd = -ENOTSUP, .entry = -1, .exit = -1};
	int err;

#ifndef NO_CODE
	trial.code_fd = make_code_file();
#endif
	if (trial.code_fd < 0) {
		unknown(ret, "the trial cannot be made here", -trial.code_fd);
		return;
	}
	trial.cpu = sched_getcpu();
	err = attach(&trial);
	if (err)
		unknown(ret, "no uprobe could be attached to code of our own", -err);
	for (size_t i = 0; !err && i < sizeof(filters) / sizeof(filters[0]); i++) {
		run(&trial, &filters[i], ret);
		if (ret->verdict != SAFETY_SAFE)
			break;
	}
	if (trial.entry >= 0)
		close(trial.entry);
	if (trial.exit >= 0)
		close(trial.exit);
	close(trial.code_fd);
}
