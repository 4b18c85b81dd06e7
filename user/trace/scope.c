/* SPDX-License-Identifier: BSD-2-Clause */
#include "trace/scope.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "trace/cgroup.h"

static int links_attach(const struct scope *scope, int cgroup, struct bpf_link *links[2])
{
	links[0] = bpf_program__attach_cgroup(scope->ingress, cgroup);
	if (!links[0])
		return -errno;
	links[1] = bpf_program__attach_cgroup(scope->egress, cgroup);
	if (links[1])
		return 0;
	bpf_link__destroy(links[0]);
	links[0] = NULL;
	return -errno;
}

/* Do all processes live in one cgroup, that is not the root? */
static bool processes_agree(struct scope *scope, const struct target *target)
{
	char path[PATH_MAX] = "";

	for (int i = 0; i < target->process_count; i++) {
		if (cgroup_of_process(target->processes[i].pid, path, sizeof(path)) < 0)
			return false;
		if (!i)
			memcpy(scope->path, path, sizeof(path));
		else if (strcmp(path, scope->path))
			return false;
	}
	return target->process_count && strcmp(scope->path, "/") && scope->path[0] == '/' &&
	       !strstr(scope->path, "/..");
}

/* On 64-bit hosts a cgroup's id is the inode number of its directory (kernfs). */
static bool listeners_agree(const struct scope *scope, uint64_t cgroup_id)
{
	struct bpf_link *link = bpf_program__attach_iter(scope->listeners, NULL);
	bool agree = true;
	uint64_t id;
	int fd;

	if (!link)
		return false;
	fd = bpf_iter_create(bpf_link__fd(link));
	for (int found = 0;; found++) {
		ssize_t got = fd < 0 ? -1 : read(fd, &id, sizeof(id));

		if (got != sizeof(id)) {
			agree = agree && !got && found;
			break;
		}
		agree = agree && id == cgroup_id;
	}
	if (fd >= 0)
		close(fd);
	bpf_link__destroy(link);
	return agree;
}

/* A descriptor of nginx's own cgroup, or −1 where the root must serve. */
static int own_open(struct scope *scope, const struct target *target)
{
	char mount[PATH_MAX], path[2 * PATH_MAX];
	struct stat status;
	bool is_root;
	int fd;

	if (cgroup_find_mount(mount, sizeof(mount), &is_root) || !is_root ||
	    !processes_agree(scope, target))
		return -1;
	snprintf(path, sizeof(path), "%s%s", mount, scope->path);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	if (!fstat(fd, &status) && listeners_agree(scope, status.st_ino))
		return fd;
	close(fd);
	return -1;
}

int scope_open(struct scope *scope, const struct target *target, struct failure *why)
{
	int cgroup = own_open(scope, target), err;

	scope->root = cgroup < 0;
	if (scope->root)
		cgroup = cgroup_open_root(why);
	if (cgroup < 0)
		return -1;
	err = links_attach(scope, cgroup, scope->links);
	close(cgroup);
	if (!err)
		return 0;
	return failure_set(why, err == -EPERM ? EXIT_PERMISSION : EXIT_HOST,
			   "cannot attach cgroup_skb programs: %s; run tlswhy check", strerror(-err));
}

void scope_admit(struct scope *scope, pid_t pid)
{
	struct bpf_link *wide[2], *narrow[2] = { scope->links[0], scope->links[1] };
	struct failure why;
	char path[PATH_MAX];
	int cgroup;

	if (scope->root || cgroup_of_process(pid, path, sizeof(path)) < 0 ||
	    !strcmp(path, scope->path))
		return;
	cgroup = cgroup_open_root(&why);
	if (cgroup < 0)
		return;
	/* both at once would see a packet twice: the walk over a stream makes the second a repeat */
	if (!links_attach(scope, cgroup, wide)) {
		memcpy(scope->links, wide, sizeof(wide));
		scope->root = true;
		bpf_link__destroy(narrow[0]);
		bpf_link__destroy(narrow[1]);
	}
	close(cgroup);
}

void scope_close(struct scope *scope)
{
	bpf_link__destroy(scope->links[0]);
	bpf_link__destroy(scope->links[1]);
	scope->links[0] = scope->links[1] = NULL;
}
