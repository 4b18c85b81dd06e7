/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which files give a process OpenSSL: libssl and libcrypto, or nginx itself.
 *
 * Decided by the symbols a mapped file defines, never by its name. Where several do (a module that
 * brings a second libssl) the one that the dynamic linker binds nginx to wins: the executable, then
 * what it needs (DT_NEEDED), then what was mapped first.
 */
#ifndef TLSWHY_TRACE_LIBRARY_H
#define TLSWHY_TRACE_LIBRARY_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/failure.h"

enum library_kind { LIBRARY_SSL, LIBRARY_CRYPTO, LIBRARY_KINDS };

/* A build id is an SHA-1 (20 bytes) by default, an SHA-256 at most. */
#define LIBRARY_BUILD_ID_MAX (2 * 32 + 1)

struct library {
	char open_path[PATH_MAX];  /* resolves here and now to the mapped inode: for a uprobe */
	char shown_path[PATH_MAX]; /* as the process sees it; control characters are '?' */
	char root[32];	   /* "/proc/PID/root" of the process, where its debug files may be */
	uint64_t dev, ino; /* of that inode, as stat() gives them */
	char build_id[LIBRARY_BUILD_ID_MAX]; /* hex, "" where it has none */
	char flavour[64]; /* "OpenSSL 3.0.22", "BoringSSL", "AWS-LC …", "LibreSSL …", "unknown" */
	bool deleted;	  /* replaced or removed on disk since it was mapped */
	bool is_executable; /* linked statically into nginx */
};

struct libraries {
	pid_t pid; /* of the process they were found in */
	struct library list[LIBRARY_KINDS];
	int count;		  /* 1 where one file is both */
	int index[LIBRARY_KINDS]; /* of enum library_kind in list */
};

/*
 * Finds them for a process. 0, or -1 with *why: EXIT_TARGET (no OpenSSL mapped; directly after an
 * exec: not yet), EXIT_PERMISSION.
 */
int library_find(pid_t pid, struct libraries *ret, struct failure *why);

/* Are both the same file? */
bool library_same(const struct library *a, const struct library *b);

/* Is it OpenSSL's own code (any version), not a fork of it? */
bool library_is_openssl(const struct library *library);

#endif
