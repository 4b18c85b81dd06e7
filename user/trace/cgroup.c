/* SPDX-License-Identifier: BSD-2-Clause */
#include "trace/cgroup.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "trace/procfs.h"

/* include/linux/proc_ns.h: PROC_CGROUP_INIT_INO. */
#define INITIAL_CGROUP_NAMESPACE 0xEFFFFFFBU
/* A v1 host has a dozen hierarchies of one line each; a path is a PATH_MAX at most. */
#define CGROUP_TEXT_MAX 65536

static bool in_initial_namespace(void)
{
	struct stat st;

	return stat("/proc/self/ns/cgroup", &st) == 0 && st.st_ino == INITIAL_CGROUP_NAMESPACE;
}

/* mountinfo escapes blanks and backslashes as three octal digits. */
static void unescape(char *text)
{
	char *out = text;

	for (char *in = text; *in; out++) {
		if (in[0] == '\\' && isdigit(in[1]) && isdigit(in[2]) && isdigit(in[3])) {
			*out = (char)((in[1] - '0') << 6 | (in[2] - '0') << 3 | (in[3] - '0'));
			in += 4;
		} else {
			*out = *in++;
		}
	}
	*out = '\0';
}

/* One line of mountinfo (proc(5)): is it a cgroup2, which part of it, and where? */
static bool parse_mount(char *line, char **ret_root, char **ret_path)
{
	char *separator = strstr(line, " - "), *save = NULL, *token;
	int field = 1;

	if (!separator || strncmp(separator + 3, "cgroup2 ", 8))
		return false;
	*separator = '\0';
	*ret_root = *ret_path = NULL;
	for (token = strtok_r(line, " ", &save); token; token = strtok_r(NULL, " ", &save)) {
		if (field == 4)
			*ret_root = token;
		else if (field == 5)
			*ret_path = token;
		field++;
	}
	if (!*ret_root || !*ret_path)
		return false;
	unescape(*ret_path);
	return true;
}

int cgroup_find_mount(char *ret_path, size_t size, bool *ret_is_root)
{
	char *line = NULL, *root, *path;
	size_t room = 0, best = SIZE_MAX;
	FILE *mounts;

	mounts = fopen("/proc/self/mountinfo", "re");
	if (!mounts)
		return -errno;
	while (getline(&line, &room, mounts) > 0) {
		if (!parse_mount(line, &root, &path) || strlen(path) >= size)
			continue;
		/* The shortest path inside the hierarchy shows the most of it. */
		if (strlen(root) >= best)
			continue;
		best = strlen(root);
		strcpy(ret_path, path);
		*ret_is_root = !strcmp(root, "/") && in_initial_namespace();
	}
	free(line);
	fclose(mounts);
	return best == SIZE_MAX ? -ENOENT : 0;
}

int cgroup_open_detached(void)
{
	int context, mount, fd = -1, err = 0;

	context = fsopen("cgroup2", FSOPEN_CLOEXEC);
	if (context < 0)
		return -errno;
	if (fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0) {
		err = -errno;
		close(context);
		return err;
	}
	mount = fsmount(context, FSMOUNT_CLOEXEC, 0);
	if (mount < 0) {
		err = -errno;
	} else {
		fd = openat(mount, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0)
			err = -errno;
		close(mount);
	}
	close(context);
	return err ? err : fd;
}

int cgroup_open_root(struct failure *why)
{
	char path[PATH_MAX];
	bool is_root;
	int fd;

	if (!cgroup_find_mount(path, sizeof(path), &is_root)) {
		fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd >= 0)
			return fd;
	}
	fd = cgroup_open_detached();
	if (fd >= 0)
		return fd;
	if (fd == -EPERM || fd == -EACCES)
		return failure_set(
			why, EXIT_PERMISSION,
			"cannot open the cgroup v2 hierarchy: not mounted, and mounting it is "
			"not permitted; run as root, or mount cgroup2 somewhere");
	return failure_set(why, EXIT_HOST,
			   "cannot open the cgroup v2 hierarchy: %s; "
			   "use a kernel with CONFIG_CGROUPS and CONFIG_CGROUP_BPF",
			   fd == -ENODEV ? "this kernel has none" : strerror(-fd));
}

int cgroup_of_process(pid_t pid, char *ret_path, size_t size)
{
	char name[64], text[CGROUP_TEXT_MAX];
	const char *path;
	size_t len;
	int n;

	snprintf(name, sizeof(name), "/proc/%d/cgroup", pid);
	n = procfs_read(name, text, sizeof(text));
	if (n < 0)
		return n;
	path = procfs_field(text, "0::");
	if (!path)
		return -ENOENT;
	len = strcspn(path, "\n");
	if (len >= size)
		return -ENAMETOOLONG;
	memcpy(ret_path, path, len);
	ret_path[len] = '\0';
	return 0;
}

int cgroup_container(pid_t pid, char ret_id[65])
{
	char name[64], text[CGROUP_TEXT_MAX];
	size_t digits = 0;
	int n;

	snprintf(name, sizeof(name), "/proc/%d/cgroup", pid);
	n = procfs_read(name, text, sizeof(text));
	if (n < 0)
		return n;
	for (const char *c = text;; c++) {
		if (isdigit((unsigned char)*c) || (*c >= 'a' && *c <= 'f')) {
			digits++;
			continue;
		}
		if (digits == 64) {
			memcpy(ret_id, c - 64, 64);
			ret_id[64] = '\0';
			return 0;
		}
		digits = 0;
		if (!*c)
			return -ENOENT;
	}
}
