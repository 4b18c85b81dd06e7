/* SPDX-License-Identifier: BSD-2-Clause */
#include "trace/process.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "trace/procfs.h"
#include "trace/symbols.h"

/* include/linux/sched.h: PF_KTHREAD, field 9 of /proc/PID/stat. */
#define FLAG_KTHREAD 0x00200000
/* include/linux/proc_ns.h: PROC_PID_INIT_INO, fixed since 3.8. */
#define INITIAL_PID_NAMESPACE 0xEFFFFFFCU
/* /proc/PID/status is some 1.5 KB; the list of allowed CPUs grows with the machine. */
#define STATUS_MAX 16384

/* "NStgid:	4711	1": only up to the line's end, which strtol() would pass. */
static void read_ns_pids(const char *at, struct process *process)
{
	char *end;

	while (*at && *at != '\n' && process->ns_count < PROCESS_NS_DEPTH_MAX) {
		process->ns_pids[process->ns_count++] = (pid_t)strtol(at, &end, 10);
		if (end == at)
			break;
		at = end + strspn(end, "\t ");
	}
}

/* 0 and the fields of status that are used, or -errno. */
static int read_status(pid_t id, struct process *process)
{
	char path[64], text[STATUS_MAX];
	const char *field;
	char *end;
	int n;

	snprintf(path, sizeof(path), "/proc/%d/status", id);
	n = procfs_read(path, text, sizeof(text));
	if (n < 0)
		return n;
	field = procfs_field(text, "Tgid:");
	if (!field)
		return -EINVAL;
	process->pid = atoi(field);
	process->is_thread = process->pid != id;
	field = procfs_field(text, "Uid:"); /* real, effective, saved, file system */
	if (field) {
		strtoul(field, &end, 10);
		process->uid = strtoul(end, NULL, 10);
	}
	field = procfs_field(text, "NStgid:");
	if (field)
		read_ns_pids(field, process);
	return 0;
}

/* The fields of stat, counted from 1 as proc(5) does; comm may contain anything, ')' included. */
static int read_stat(pid_t id, struct process *process)
{
	char path[64], text[2048], *open, *close, *token, *save = NULL;
	size_t len;
	int n, field;

	snprintf(path, sizeof(path), "/proc/%d/stat", id);
	n = procfs_read(path, text, sizeof(text));
	if (n < 0)
		return n;
	open = strchr(text, '(');
	close = strrchr(text, ')');
	if (!open || !close || close < open)
		return -EINVAL;
	len = close - open - 1;
	if (len >= sizeof(process->comm))
		len = sizeof(process->comm) - 1;
	memcpy(process->comm, open + 1, len);
	field = 3;
	for (token = strtok_r(close + 1, " ", &save); token; token = strtok_r(NULL, " ", &save)) {
		if (field == 3)
			process->state = *token;
		else if (field == 4)
			process->parent = atoi(token);
		else if (field == 9)
			process->kernel_thread = strtoull(token, NULL, 10) & FLAG_KTHREAD;
		else if (field == 22)
			process->start_ticks = strtoull(token, NULL, 10);
		else if (field == 28)
			process->start_stack = strtoull(token, NULL, 10);
		field++;
	}
	return field > 28 ? 0 : -EINVAL;
}

/* Both names are the process's own to choose: nothing of them may reach a terminal as it is. */
static void make_printable(char *text)
{
	for (; *text; text++)
		if (!isprint((unsigned char)*text))
			*text = '?';
}

static void read_title(pid_t id, struct process *process)
{
	char path[64];
	int n;

	snprintf(path, sizeof(path), "/proc/%d/cmdline", id);
	n = procfs_read(path, process->title, sizeof(process->title));
	if (n < 0)
		process->title[0] = '\0';
	make_printable(process->title);
	make_printable(process->comm);
}

int process_read(pid_t id, struct process *ret)
{
	struct process process = {0};
	int err;

	if (id <= 0)
		return -ESRCH;
	err = read_status(id, &process);
	if (!err)
		err = read_stat(id, &process);
	if (err)
		return err == -ENOENT ? -ESRCH : err;
	read_title(id, &process);
	process.role = process_role(process.title);
	*ret = process;
	return 0;
}

const char *process_kind(const char *title)
{
	/* src/os/unix/ngx_process_cycle.c, in the order of the source; OpenResty adds the agent. */
	static const char *const kinds[] = {
		"master process",	"worker process",	    "cache manager process",
		"cache loader process", "privileged agent process",
	};
	const char *behind;
	size_t name;

	/* ngx_setproctitle() puts the product's name in front: "nginx: ", "angie: ". */
	name = strspn(title, "abcdefghijklmnopqrstuvwxyz-");
	if (!name || strncmp(title + name, ": ", 2))
		return NULL;
	behind = title + name + 2;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		size_t len = strlen(kinds[i]);

		/* "worker process is shutting down", "master process nginx -c …" */
		if (!strncmp(behind, kinds[i], len) && (behind[len] == '\0' || behind[len] == ' '))
			return kinds[i];
	}
	return NULL;
}

uint32_t process_role(const char *title)
{
	const char *kind = process_kind(title);

	if (!kind)
		return ROLE_UNKNOWN;
	if (!strcmp(kind, "master process"))
		return ROLE_MASTER;
	return !strcmp(kind, "worker process") ? ROLE_WORKER : ROLE_OTHER;
}

/* Pids in /proc, in the order of the kernel's table: ascending. The number, or -errno. */
static int list_pids(pid_t **ret)
{
	int count = 0, room = 0;
	struct dirent *entry;
	pid_t *pids = NULL;
	DIR *dir;

	dir = opendir("/proc");
	if (!dir)
		return -errno;
	while ((entry = readdir(dir))) {
		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		if (count == room) {
			pid_t *grown = reallocarray(pids, room += 1024, sizeof(*pids));

			if (!grown) {
				closedir(dir);
				free(pids);
				return -ENOMEM;
			}
			pids = grown;
		}
		pids[count++] = atoi(entry->d_name);
	}
	closedir(dir);
	*ret = pids;
	return count;
}

int process_table(struct process_link **ret)
{
	struct process_link *links;
	struct process process;
	int count, kept = 0;
	pid_t *pids;

	count = list_pids(&pids);
	if (count < 0)
		return count;
	links = calloc(count ? count : 1, sizeof(*links));
	if (!links) {
		free(pids);
		return -ENOMEM;
	}
	for (int i = 0; i < count; i++) {
		memset(&process, 0, sizeof(process));
		if (read_stat(pids[i], &process))
			continue; /* it has ended since */
		links[kept].pid = pids[i];
		links[kept++].parent = process.parent;
	}
	free(pids);
	*ret = links;
	return kept;
}

int process_children(pid_t pid, pid_t **ret)
{
	struct process_link *links;
	pid_t *children;
	int count, kept = 0;

	count = process_table(&links);
	if (count < 0)
		return count;
	children = calloc(count + 1, sizeof(*children));
	if (!children) {
		free(links);
		return -ENOMEM;
	}
	for (int i = 0; i < count; i++)
		if (links[i].parent == pid)
			children[kept++] = links[i].pid;
	free(links);
	*ret = children;
	return kept;
}

int process_executable(pid_t pid, char *ret, size_t size)
{
	static const char deleted[] = " (deleted)";
	char path[64];
	size_t len;
	int n;

	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	n = procfs_link(path, ret, size);
	if (n < 0)
		return n;
	len = sizeof(deleted) - 1;
	if ((size_t)n > len && !strcmp(ret + n - len, deleted))
		ret[n - len] = '\0';
	return 0;
}

/* A product's "name/1.22.1" at `at`: its length, 0 where there is none. */
static size_t version_len(const uint8_t *at, const uint8_t *end)
{
	const uint8_t *p = at;

	while (p < end && (isalnum(*p) || *p == '-' || *p == '_'))
		p++;
	if (p == at || p + 1 >= end || *p != '/' || !isdigit(p[1]))
		return 0;
	for (p++; p < end && (isalnum(*p) || (*p && strchr(".-+_~", *p))); p++)
		;
	return p - at;
}

/* Finds "nginx version: nginx/1.22.1"; or, with `alone`, the Server header's "nginx/1.22.1". */
static bool find_version(const struct procfs_map *map, bool alone, char *ret, size_t size)
{
	const char *needle = alone ? "nginx/" : "nginx version: ";
	const uint8_t *end = map->bytes + map->len, *at = map->bytes;
	size_t len;

	while ((at = memmem(at, end - at, needle, strlen(needle)))) {
		const uint8_t *name = alone ? at : at + strlen(needle);

		len = version_len(name, end);
		if (len) {
			snprintf(ret, size, "%.*s", (int)len, (const char *)name);
			return true;
		}
		at++;
	}
	return false;
}

int process_is_nginx(pid_t pid, char *ret_version, size_t size)
{
	/* Defined in every build, and in no library. */
	struct symbol symbol = {.name = "ngx_log_error_core"};
	struct procfs_map map;
	char path[64];
	int err, is;

	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	err = procfs_map(path, &map);
	if (err)
		return err == -ENODATA ? 0 : err;
	ret_version[0] = '\0';
	is = find_version(&map, false, ret_version, size);
	if (!is && symbols_find(path, NULL, NULL, &symbol, 1) == 1) {
		is = true;
		find_version(&map, true, ret_version, size);
	}
	procfs_unmap(&map);
	return is;
}

uint64_t process_namespace(pid_t pid, const char *name)
{
	struct stat st;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/%s", pid, name);
	return stat(path, &st) < 0 ? 0 : st.st_ino;
}

bool process_pids_are_global(void)
{
	struct stat st;

	return stat("/proc/self/ns/pid", &st) == 0 && st.st_ino == INITIAL_PID_NAMESPACE;
}

pid_t process_translate(uint64_t inode, pid_t ns_pid)
{
	struct process process;
	pid_t *pids, found = 0;
	int count;

	count = list_pids(&pids);
	if (count < 0)
		return 0;
	for (int i = 0; i < count && !found; i++) {
		memset(&process, 0, sizeof(process));
		if (read_status(pids[i], &process) || !process.ns_count)
			continue;
		if (process.ns_pids[process.ns_count - 1] == ns_pid &&
		    process_namespace(pids[i], "pid") == inode)
			found = pids[i];
	}
	free(pids);
	return found;
}
