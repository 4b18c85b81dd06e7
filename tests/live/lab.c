/* SPDX-License-Identifier: BSD-2-Clause */
#include "lab.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PYTHON "/usr/bin/python3"
/* More than any scenario prints with all of its mismatches; what is above is dropped. */
#define OUTPUT_MAX (4u << 20)
/* The guard of a scenario that was killed gives its processes 3 s before it kills them. */
#define CLEANUP_SECONDS 10
#define ARGUMENTS_MAX 16

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

/* The checkout that this test was built in: the nearest directory above with a laboratory. */
static bool lab_path(char *path, size_t size, const char *script)
{
	char here[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", here, sizeof(here) - 1);

	if (len < 0)
		return false;
	here[len] = '\0';
	for (;;) {
		char *slash = strrchr(here, '/');

		if (!slash)
			return false;
		*slash = '\0';
		if (snprintf(path, size, "%s/tests/live/lab/%s", here, script) >= (int)size)
			return false;
		if (access(path, R_OK) == 0)
			return true;
	}
}

static void child_exec(int out, const char *path, const char *const arguments[], pid_t parent)
{
	const char *argv[ARGUMENTS_MAX + 4] = {PYTHON, "-B", path};
	int count = 3;

	for (int at = 0; arguments && arguments[at] && at < ARGUMENTS_MAX; at++)
		argv[count++] = arguments[at];
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(127);
	dup2(out, STDOUT_FILENO);
	dup2(out, STDERR_FILENO);
	execv(PYTHON, (char *const *)argv);
	_exit(127);
}

static void append(struct lab_run *run, const char *data, size_t len)
{
	char *grown;

	if (run->output_len + len >= OUTPUT_MAX)
		return;
	grown = realloc(run->output, run->output_len + len + 1);
	if (!grown)
		return;
	memcpy(grown + run->output_len, data, len);
	run->output = grown;
	run->output_len += len;
	run->output[run->output_len] = '\0';
}

/* Reads to the end of the stream, which comes when the scenario and its guard are gone. */
static void collect(struct lab_run *run, int in, pid_t child, int seconds)
{
	int64_t deadline = now_ms() + seconds * 1000LL;
	char buffer[16384];

	for (;;) {
		struct pollfd ready = {.fd = in, .events = POLLIN};
		int64_t left = deadline - now_ms();
		ssize_t len;

		if (left <= 0) {
			if (run->timed_out)
				return;
			run->timed_out = true;
			kill(-child, SIGKILL);
			deadline = now_ms() + CLEANUP_SECONDS * 1000LL;
			continue;
		}
		if (poll(&ready, 1, left > INT_MAX ? INT_MAX : (int)left) <= 0)
			continue;
		len = read(in, buffer, sizeof(buffer));
		if (len < 0 && errno == EINTR)
			continue;
		if (len <= 0)
			return;
		append(run, buffer, (size_t)len);
	}
}

struct lab_run lab_run(const char *script, const char *const arguments[], int seconds)
{
	struct lab_run run = {.exit_code = -1, .output = calloc(1, 1)};
	char path[PATH_MAX];
	pid_t parent = getpid(), child;
	int pipe_fd[2], status;

	cr_assert(run.output);
	cr_assert(lab_path(path, sizeof(path), script), "tests/live/lab/%s is not above the test",
		  script);
	cr_assert(pipe2(pipe_fd, O_CLOEXEC) == 0);
	fflush(NULL);
	child = fork();
	cr_assert(child >= 0);
	if (child == 0)
		child_exec(pipe_fd[1], path, arguments, parent);
	setpgid(child, child);
	close(pipe_fd[1]);
	collect(&run, pipe_fd[0], child, seconds);
	close(pipe_fd[0]);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (!run.timed_out && WIFEXITED(status))
		run.exit_code = WEXITSTATUS(status);
	return run;
}

void lab_run_free(struct lab_run *run)
{
	free(run->output);
	run->output = NULL;
}

static const char *last_line(const struct lab_run *run)
{
	char *end = run->output + run->output_len;
	char *line;

	while (end > run->output && end[-1] == '\n')
		*--end = '\0';
	line = strrchr(run->output, '\n');
	return line ? line + 1 : run->output;
}

void lab_assert(const char *script, const char *const arguments[], int seconds)
{
	struct lab_run run;
	bool timed_out;
	int exit_code;

	if (geteuid() != 0)
		cr_skip_test("%s: tracing needs root", script);
	run = lab_run(script, arguments, seconds);
	exit_code = run.exit_code;
	timed_out = run.timed_out;
	if (exit_code == 0)
		printf("  %s%s%s: %s\n", script, arguments ? " " : "",
		       arguments ? arguments[0] : "", last_line(&run));
	else
		fputs(run.output, stderr);
	fflush(NULL);
	lab_run_free(&run);
	cr_assert(!timed_out, "%s did not end within %d s", script, seconds);
	cr_assert(exit_code == 0, "%s: exit %d", script, exit_code);
}

void lab_assert_case(const char *script, const char *name, int seconds)
{
	const char *const arguments[] = {name, NULL};

	lab_assert(script, arguments, seconds);
}
