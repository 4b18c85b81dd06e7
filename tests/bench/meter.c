/* SPDX-License-Identifier: BSD-2-Clause */
#include "meter.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/bpf.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define IDLE_DEADLINE_NS UINT64_C(5000000000)
#define MAX_PROGRAMS 256 /* of one tracer; tlswhy has some thirty */

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

int meter_count_traps(void)
{
	int fd = bpf_enable_stats(BPF_STATS_RUN_TIME);

	if (fd < 0)
		fprintf(stderr, "cannot have BPF programs counted: %s\n", strerror(errno));
	return fd;
}

/* The letter behind the name in parentheses, which may itself contain any byte (proc(5)). */
static char task_state(int pid)
{
	char path[64], line[512], *close_paren;
	char state = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	file = fopen(path, "re");
	if (file && fgets(line, sizeof(line), file)) {
		close_paren = strrchr(line, ')');
		if (close_paren && close_paren[1] == ' ')
			state = close_paren[2];
	}
	if (file)
		fclose(file);
	return state;
}

static int read_cpu(int worker, uint64_t *ret_ns)
{
	uint64_t deadline = now_ns() + IDLE_DEADLINE_NS;
	char path[64];
	FILE *file;
	int fields;

	while (task_state(worker) != 'S') {
		if (now_ns() > deadline) {
			fprintf(stderr, "worker %d is gone or never idle\n", worker);
			return -1;
		}
		sched_yield();
	}
	snprintf(path, sizeof(path), "/proc/%d/schedstat", worker);
	file = fopen(path, "re");
	fields = file ? fscanf(file, "%" SCNu64, ret_ns) : 0;
	if (file)
		fclose(file);
	if (fields != 1) {
		fprintf(stderr, "%s: cannot be read\n", path);
		return -1;
	}
	return 0;
}

/* Descriptors of programs and of links both have a line "prog_id:". */
static uint32_t program_id(int tracer, const char *descriptor)
{
	char path[320], line[128];
	uint32_t id = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%s", tracer, descriptor);
	file = fopen(path, "re");
	while (file && id == 0 && fgets(line, sizeof(line), file))
		sscanf(line, "prog_id: %" SCNu32, &id);
	if (file)
		fclose(file);
	return id;
}

static void add_program(uint32_t id, struct reading *reading)
{
	struct bpf_prog_info info = {0};
	uint32_t length = sizeof(info);
	int fd = bpf_prog_get_fd_by_id(id);

	if (fd < 0)
		return;
	/* To the verifier a uprobe is a kprobe; no tracer measured here has any of the latter. */
	if (bpf_obj_get_info_by_fd(fd, &info, &length) == 0 && info.type == BPF_PROG_TYPE_KPROBE)
		reading->traps += info.run_cnt;
	close(fd);
}

static int read_traps(int tracer, struct reading *reading)
{
	uint32_t seen[MAX_PROGRAMS];
	size_t count = 0;
	struct dirent *entry;
	char path[64];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fdinfo", tracer);
	dir = opendir(path);
	if (!dir) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return -1;
	}
	while ((entry = readdir(dir)) && count < MAX_PROGRAMS) {
		uint32_t id = program_id(tracer, entry->d_name);
		bool known = id == 0;

		for (size_t i = 0; i < count && !known; i++)
			known = seen[i] == id;
		if (known)
			continue;
		seen[count++] = id;
		add_program(id, reading);
	}
	closedir(dir);
	return 0;
}

int meter_read(int worker, int tracer, struct reading *ret_reading)
{
	struct reading reading = {0};

	if (read_cpu(worker, &reading.cpu_ns) < 0)
		return -1;
	if (tracer > 0 && read_traps(tracer, &reading) < 0)
		return -1;
	*ret_reading = reading;
	return 0;
}
