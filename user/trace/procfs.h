/* SPDX-License-Identifier: BSD-2-Clause */
/* Small files of /proc and /sys. */
#ifndef TLSWHY_TRACE_PROCFS_H
#define TLSWHY_TRACE_PROCFS_H

#include <stddef.h>
#include <stdint.h>

/* Reads at most size - 1 bytes and ends them with a NUL. Their number, or -errno. */
int procfs_read(const char *path, char *ret, size_t size);

/* The number that a file consists of. 0 or -errno. */
int procfs_read_number(const char *path, uint64_t *ret);

/* Where a symbolic link leads, as text. Its length, or -errno. */
int procfs_link(const char *path, char *ret, size_t size);

/* The rest of the line that begins with `key` in the text of a status file, behind blanks; NULL. */
const char *procfs_field(const char *text, const char *key);

/* All of a file, mapped; to be released by procfs_unmap(). 0 or -errno (-ENODATA: empty). */
struct procfs_map {
	const uint8_t *bytes;
	size_t len;
};

int procfs_map(const char *path, struct procfs_map *ret);
void procfs_unmap(struct procfs_map *map);

#endif
