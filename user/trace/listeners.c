/* SPDX-License-Identifier: BSD-2-Clause */
#include "trace/listeners.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "trace/process.h"
#include "trace/procfs.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

/* A set of socket inodes: sockets are shared by all workers, and each is looked at once. */
struct inodes {
	uint64_t *slots; /* 0: free */
	size_t size;	 /* a power of two */
	size_t count;
};

static void inodes_put(struct inodes *set, uint64_t inode)
{
	size_t i = (inode * 0x9E3779B97F4A7C15u) & (set->size - 1);

	while (set->slots[i] && set->slots[i] != inode)
		i = (i + 1) & (set->size - 1);
	if (!set->slots[i])
		set->count++;
	set->slots[i] = inode;
}

/* 1: it is new, 0: seen before, -ENOMEM. */
static int inodes_add(struct inodes *set, uint64_t inode)
{
	size_t before;

	if (set->count * 2 >= set->size) {
		struct inodes grown = {.size = set->size ? set->size * 2 : 1024};

		grown.slots = calloc(grown.size, sizeof(*grown.slots));
		if (!grown.slots)
			return -ENOMEM;
		for (size_t i = 0; i < set->size; i++)
			if (set->slots[i])
				inodes_put(&grown, set->slots[i]);
		free(set->slots);
		*set = grown;
	}
	before = set->count;
	inodes_put(set, inode);
	return set->count > before;
}

struct walk {
	struct inodes seen;
	listeners_fn *each;
	void *data;
	int count;
};

static int integer_option(int fd, int option)
{
	socklen_t len = sizeof(int);
	int value;

	return getsockopt(fd, SOL_SOCKET, option, &value, &len) < 0 ? -1 : value;
}

/* The namespace the socket was made in: nginx may have been started in one and moved to another. */
static uint32_t netns_of(int fd, pid_t pid)
{
	struct stat st;
	int ns, err;

	ns = ioctl(fd, SIOCGSKNS);
	if (ns < 0)
		return (uint32_t)process_namespace(pid, "net");
	err = fstat(ns, &st);
	close(ns);
	return err ? 0 : (uint32_t)st.st_ino;
}

static bool fill_address(int fd, struct event_tuple *tuple)
{
	union {
		struct sockaddr sa;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} address;
	socklen_t len = sizeof(address);

	memset(&address, 0, sizeof(address));
	if (getsockname(fd, &address.sa, &len) < 0)
		return false;
	tuple->family = address.sa.sa_family;
	if (tuple->family == AF_INET) {
		memcpy(tuple->local, &address.in.sin_addr, 4);
		tuple->local_port = ntohs(address.in.sin_port);
		return true;
	}
	if (tuple->family == AF_INET6) {
		memcpy(tuple->local, &address.in6.sin6_addr, 16);
		tuple->local_port = ntohs(address.in6.sin6_port);
		return true;
	}
	return false;
}

/* Is it one? Then the caller hears of it. 0, or what ends the walk. */
static int look_at(struct walk *walk, pid_t pid, int fd)
{
	struct listener listener = {.fd = fd, .pid = pid};
	socklen_t len = sizeof(listener.cookie);
	int protocol;

	if (integer_option(fd, SO_ACCEPTCONN) != 1)
		return 0;
	protocol = integer_option(fd, SO_PROTOCOL);
	if (protocol != IPPROTO_TCP && protocol != IPPROTO_MPTCP)
		return 0;
	listener.mptcp = protocol == IPPROTO_MPTCP;
	if (!fill_address(fd, &listener.tuple) ||
	    getsockopt(fd, SOL_SOCKET, SO_COOKIE, &listener.cookie, &len) < 0)
		return 0;
	if (walk->count == LISTENERS_MAX)
		return -ENOSPC;
	listener.tuple.netns = netns_of(fd, pid);
	walk->count++;
	return walk->each(&listener, walk->data);
}

/* One entry of /proc/PID/fd. */
static int visit(struct walk *walk, pid_t pid, int pidfd, const char *name)
{
	char path[64], link[64];
	unsigned long long inode;
	int fd, err;

	snprintf(path, sizeof(path), "/proc/%d/fd/%.16s", pid, name);
	if (procfs_link(path, link, sizeof(link)) < 0 || sscanf(link, "socket:[%llu]", &inode) != 1)
		return 0; /* closed meanwhile, or no socket */
	err = inodes_add(&walk->seen, inode);
	if (err <= 0)
		return err;
	fd = (int)syscall(SYS_pidfd_getfd, pidfd, atoi(name), 0);
	if (fd < 0)
		return errno == EBADF || errno == ESRCH ? 0 : -errno;
	err = look_at(walk, pid, fd);
	close(fd);
	return err;
}

static int visit_process(struct walk *walk, pid_t pid)
{
	struct dirent *entry;
	int pidfd, err = 0;
	char path[64];
	DIR *dir;

	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (pidfd < 0)
		return errno == ESRCH ? 0 : -errno;
	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	if (!dir)
		err = errno == ENOENT || errno == ESRCH ? 0 : errno == EACCES ? -EPERM : -errno;
	while (dir && !err && (entry = readdir(dir)))
		if (isdigit((unsigned char)entry->d_name[0]))
			err = visit(walk, pid, pidfd, entry->d_name);
	if (dir)
		closedir(dir);
	close(pidfd);
	return err;
}

int listeners_each(const pid_t *pids, int count, listeners_fn *each, void *data)
{
	struct walk walk = {.each = each, .data = data};
	int err = 0;

	for (int i = 0; i < count && !err; i++)
		err = visit_process(&walk, pids[i]);
	free(walk.seen.slots);
	return err ? err : walk.count;
}
