/* SPDX-License-Identifier: BSD-2-Clause */
#include "trace/procfs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int procfs_read(const char *path, char *ret, size_t size)
{
	size_t len = 0;
	ssize_t n = 0;
	int fd, err = 0;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	while (len < size - 1) {
		n = read(fd, ret + len, size - 1 - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		len += n;
	}
	if (n < 0)
		err = -errno;
	close(fd);
	if (err)
		return err;
	ret[len] = '\0';
	return (int)len;
}

int procfs_read_number(const char *path, uint64_t *ret)
{
	char text[32], *end;
	uint64_t number;
	int n;

	n = procfs_read(path, text, sizeof(text));
	if (n < 0)
		return n;
	errno = 0;
	number = strtoull(text, &end, 10);
	if (errno || end == text)
		return -EINVAL;
	*ret = number;
	return 0;
}

int procfs_link(const char *path, char *ret, size_t size)
{
	ssize_t n;

	n = readlink(path, ret, size - 1);
	if (n < 0)
		return -errno;
	if ((size_t)n == size - 1)
		return -ENAMETOOLONG;
	ret[n] = '\0';
	return (int)n;
}

const char *procfs_field(const char *text, const char *key)
{
	size_t len = strlen(key);

	while (text) {
		if (!strncmp(text, key, len))
			return text + len + strspn(text + len, " \t");
		text = strchr(text, '\n');
		if (text)
			text++;
	}
	return NULL;
}

int procfs_map(const char *path, struct procfs_map *ret)
{
	struct stat st;
	void *bytes;
	int fd, err;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0) {
		err = -errno;
	} else if (!S_ISREG(st.st_mode)) {
		err = -EINVAL;
	} else if (st.st_size == 0) {
		err = -ENODATA;
	} else {
		bytes = mmap(NULL, st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
		err = bytes == MAP_FAILED ? -errno : 0;
	}
	close(fd);
	if (err)
		return err;
	ret->bytes = bytes;
	ret->len = st.st_size;
	return 0;
}

void procfs_unmap(struct procfs_map *map)
{
	if (map->bytes)
		munmap((void *)map->bytes, map->len);
	map->bytes = NULL;
	map->len = 0;
}
