/* SPDX-License-Identifier: BSD-2-Clause */
#include "trace/target.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define HINT "give the PID of nginx's master or a worker, see /run/nginx.pid"

/* nginx writes its pid file before it sets its title: that long it may look like no master. */
#define START_MS 100
#define START_POLL_MS 5

static int fail(struct failure *why, const char *given, const char *because, const char *hint)
{
	return failure_set(why, EXIT_TARGET, "cannot trace %s: %s; %s", given, because, hint);
}

static int forbidden(struct failure *why, const char *given)
{
	return failure_set(why, EXIT_PERMISSION,
			   "cannot trace %s: not allowed to look into that process; "
			   "run as root or with CAP_SYS_PTRACE",
			   given);
}

/* A decimal number that a pid can be: no sign, nothing around it. */
static bool parse_pid(const char *text, pid_t *ret)
{
	long number = 0;

	if (!*text)
		return false;
	for (; *text; text++) {
		if (!isdigit((unsigned char)*text))
			return false;
		number = number * 10 + (*text - '0');
		if (number > 0x7fffffff)
			return false;
	}
	*ret = (pid_t)number;
	return true;
}

static bool looks_like_number(const char *text)
{
	text += *text == '-' || *text == '+';
	return *text && strspn(text, "0123456789") == strlen(text);
}

/* Opens what is said to be a pid file. The descriptor, or -1 with *why. */
static int open_pid_file(const char *path, struct failure *why)
{
	struct stat st;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 && (errno == EACCES || errno == EPERM))
		return failure_set(why, EXIT_PERMISSION,
				   "cannot read pid file %s: not permitted; run as root", path);
	if (fd < 0)
		return failure_set(
			why, EXIT_TARGET,
			"cannot trace %s: neither a process id nor a pid file (%s); " HINT, path,
			strerror(errno));
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return fail(why, path, "not a file", HINT);
	}
	return fd;
}

static int read_pid_file(const char *path, pid_t *ret, struct failure *why)
{
	char text[64];
	size_t begin;
	ssize_t n;
	int fd;

	fd = open_pid_file(path, why);
	if (fd < 0)
		return -1;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n < 0)
		return fail(why, path, strerror(errno), HINT);
	text[n] = '\0';
	begin = strspn(text, " \t\r\n");
	text[begin + strcspn(text + begin, " \t\r\n")] = '\0';
	if (!text[begin])
		return fail(why, path, "the pid file is empty", "look whether nginx runs");
	if (!parse_pid(text + begin, ret) || *ret == 0)
		return fail(why, path, "no process id in that file", HINT);
	return 0;
}

/* "/proc/123/root/run/nginx.pid": the number in there is of 123's pid namespace. 0: no such path.
 */
static uint64_t namespace_of_path(const char *path)
{
	int pid, at = 0;

	if (sscanf(path, "/proc/%d/root/%n", &pid, &at) < 1 || !at)
		return 0;
	return process_namespace(pid, "pid");
}

static bool is_nginx(pid_t pid)
{
	char version[64];

	return process_is_nginx(pid, version, sizeof(version)) == 1;
}

/* The only nginx master that has this number in a pid namespace of its own; 0: none, or several. */
static pid_t find_in_containers(pid_t number)
{
	uint64_t own = process_namespace(getpid(), "pid");
	struct process_link *links;
	struct process process;
	pid_t found = 0;
	int count;

	count = process_table(&links);
	for (int i = 0; i < count; i++) {
		if (process_read(links[i].pid, &process) || process.ns_count < 2 ||
		    process.ns_pids[process.ns_count - 1] != number ||
		    process_namespace(process.pid, "pid") == own || !is_nginx(process.pid))
			continue;
		if (found) {
			found = 0;
			break;
		}
		found = process.pid;
	}
	if (count >= 0)
		free(links);
	return found;
}

/* A pid file of a container holds the pid that nginx has inside. */
static pid_t translate(const char *path, pid_t number)
{
	uint64_t inode = namespace_of_path(path);
	struct process process;
	pid_t other;

	if (inode && inode != process_namespace(getpid(), "pid")) {
		other = process_translate(inode, number);
		return other ? other : number;
	}
	if (!process_read(number, &process) && is_nginx(number))
		return number;
	other = find_in_containers(number);
	return other ? other : number;
}

/* Reads the process and turns away what can never be nginx. */
static int read_process(const char *given, pid_t pid, struct process *process, struct failure *why)
{
	char because[128], hint[64];
	int err;

	err = process_read(pid, process);
	if (err == -EACCES || err == -EPERM)
		return forbidden(why, given);
	if (err)
		return fail(why, given, err == -ESRCH ? "no such process" : strerror(-err), HINT);
	if (process->is_thread) {
		snprintf(because, sizeof(because), "it is a thread of process %d", process->pid);
		snprintf(hint, sizeof(hint), "give %d", process->pid);
		return fail(why, given, because, hint);
	}
	if (process->kernel_thread)
		return fail(why, given, "it is a kernel thread", HINT);
	if (process->state == 'Z' || process->state == 'X')
		return fail(why, given, "it has ended (a zombie)", HINT);
	return 0;
}

static uint64_t age_ms(const struct process *process)
{
	struct timespec now;
	uint64_t start_ms, now_ms;

	clock_gettime(CLOCK_BOOTTIME, &now);
	now_ms = (uint64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
	start_ms = process->start_ticks * 1000 / sysconf(_SC_CLK_TCK);
	return now_ms > start_ms ? now_ms - start_ms : 0;
}

/* Gives a process that has just begun the time to set its title. */
static void await_title(struct process *process)
{
	struct process again;

	while (process->role == ROLE_UNKNOWN && age_ms(process) < START_MS) {
		poll(NULL, 0, START_POLL_MS);
		if (process_read(process->pid, &again) || again.start_ticks != process->start_ticks)
			return;
		*process = again;
	}
}

static int add(struct target *target, const struct process *process)
{
	struct target_process *grown;

	if (target->process_count == TARGET_PROCESSES_MAX)
		return -ENOSPC;
	grown = reallocarray(target->processes, target->process_count + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	target->processes = grown;
	grown[target->process_count++] = (struct target_process){
		.pid = process->pid,
		.parent = process->parent,
		.role = process->role,
		.start_ticks = process->start_ticks,
	};
	return 0;
}

/*
 * A worker is a copy of its master until it sets its own title; the same initial stack address
 * tells it from the new master of a binary upgrade, which went through exec.
 */
static uint32_t role_of_child(const struct process *child, const struct process *master)
{
	if (child->role == ROLE_MASTER && child->start_stack &&
	    child->start_stack == master->start_stack && !strcmp(child->title, master->title))
		return ROLE_UNKNOWN;
	return child->role;
}

/* The descendants of the master, breadth first. 0 or -errno. */
static int add_descendants(struct target *target, const struct process *master)
{
	struct process_link *links;
	struct process child;
	int count, err = 0;

	count = process_table(&links);
	if (count < 0)
		return count;
	for (int at = 0; at < target->process_count && !err; at++) {
		for (int i = 0; i < count && !err; i++) {
			if (links[i].parent != target->processes[at].pid ||
			    process_read(links[i].pid, &child) || child.state == 'Z')
				continue;
			child.role = role_of_child(&child, master);
			err = add(target, &child);
		}
	}
	free(links);
	return err;
}

static int read_processes(struct target *target, struct process *first)
{
	int err;

	target->process_count = 0;
	if (target->master_off)
		first->role = ROLE_WORKER;
	err = add(target, first);
	if (!err && !target->single)
		err = add_descendants(target, first);
	return err == -ENOSPC ? 0 : err;
}

/* What the title makes of the target: a master with all below it, or one process. */
static int choose_scope(struct target *target, const char *given, const struct process *process,
			struct failure *why)
{
	char because[128], hint[64];

	switch (process->role) {
	case ROLE_MASTER:
		target->master = process->pid;
		return 0;
	case ROLE_WORKER:
		target->single = true;
		return 0;
	case ROLE_OTHER:
		snprintf(because, sizeof(because), "it is nginx's %s, which makes no TLS handshake",
			 process_kind(process->title));
		snprintf(hint, sizeof(hint), "give its master, %d", process->parent);
		return fail(why, given, because, hint);
	default: /* an nginx without a title: `master_process off` never sets one */
		target->single = target->master_off = true;
		return 0;
	}
}

static int open_pid(struct target *target, const char *given, pid_t pid, struct failure *why)
{
	char because[128];
	struct process process;
	int is, err;

	if (read_process(given, pid, &process, why))
		return -1;
	is = process_is_nginx(pid, target->nginx_version, sizeof(target->nginx_version));
	if (is == -EACCES || is == -EPERM)
		return forbidden(why, given);
	if (is == -ENOENT || is == -ESRCH)
		return fail(why, given, "it has just ended", HINT);
	if (is != 1 && process.role == ROLE_UNKNOWN) {
		snprintf(because, sizeof(because), "process %d (%s) is not nginx", pid,
			 process.comm);
		return fail(why, given, because, HINT);
	}
	await_title(&process);
	if (choose_scope(target, given, &process, why))
		return -1;
	target->pid = pid;
	err = process_executable(pid, target->executable, sizeof(target->executable));
	if (!err)
		err = read_processes(target, &process);
	if (err)
		return failure_set(why, EXIT_RUNTIME, "cannot trace %s: %s; try again", given,
				   strerror(-err));
	return 0;
}

int target_open(struct target *target, const char *pid_or_file, struct failure *why)
{
	pid_t pid;

	memset(target, 0, sizeof(*target));
	if (!*pid_or_file)
		return fail(why, "\"\"", "no process id", HINT);
	if (parse_pid(pid_or_file, &pid)) {
		if (pid == 0)
			return fail(why, pid_or_file, "not a process id", HINT);
	} else if (looks_like_number(pid_or_file)) {
		return fail(why, pid_or_file, "not a process id", HINT);
	} else {
		if (read_pid_file(pid_or_file, &pid, why))
			return -1;
		pid = translate(pid_or_file, pid);
	}
	if (!open_pid(target, pid_or_file, pid, why))
		return 0;
	target_close(target);
	return -1;
}

int target_refresh(struct target *target, struct failure *why)
{
	struct process process;
	int err;

	err = process_read(target->pid, &process);
	if (err || process.state == 'Z' || process.is_thread ||
	    process.start_ticks != target->processes[0].start_ticks)
		return failure_set(why, EXIT_TARGET, "cannot trace %d: it has ended; " HINT,
				   target->pid);
	err = read_processes(target, &process);
	if (err)
		return failure_set(why, EXIT_RUNTIME, "cannot trace %d: %s; try again", target->pid,
				   strerror(-err));
	return 0;
}

int target_worker_count(const struct target *target)
{
	int count = 0;

	for (int i = 0; i < target->process_count; i++)
		count += target->processes[i].role == ROLE_WORKER;
	return count;
}

void target_close(struct target *target)
{
	if (!target)
		return;
	free(target->processes);
	target->processes = NULL;
	target->process_count = 0;
}
