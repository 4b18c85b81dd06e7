/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Uprobes in one pair of libraries: those that are always there, and those that come and go.
 *
 * Detaching may wait for the kernel (0.1 s each), so it is done by a thread of its own; the ring goes on
 * being read.
 */
#ifndef TLSWHY_TRACE_ATTACH_H
#define TLSWHY_TRACE_ATTACH_H

#include <stdbool.h>

#include <bpf/libbpf.h>

#include "trace/probes.h"
#include "trace/uprobe.h"

/* Probes that are attached and detached together. */
enum attach_group {
	ATTACH_ALWAYS,
	ATTACH_TEXTS, /* ERR_error_string_n, ERR_peek_error_data: single-stepped, once a text is known no use */
	ATTACH_SESSIONS, /* SSL_CTX_remove_session: of use where clients are verified */
	ATTACH_GROUPS,
};

struct attachment {
	struct libraries libraries;
	struct probe_site sites[PROBE_COUNT];
	struct uprobe uprobes[PROBE_COUNT];
	bool attached[ATTACH_GROUPS];
};

enum attach_group attach_group_of(const struct probe_site *site);

/* Resolves and attaches ATTACH_ALWAYS. 0, or -1 with *why and nothing attached. */
int attach_open(struct attachment *attachment, const struct libraries *libraries,
		struct bpf_object *object, bool return_probes, struct failure *why);

/* Attaches a group; a probe that cannot be is left out. */
void attach_group(struct attachment *attachment, struct bpf_object *object, enum attach_group group,
		  bool return_probes);

/* Detaches it, later, in a thread. */
void attach_release(struct attachment *attachment, enum attach_group group);

void attach_close(struct attachment *attachment);

/* Different OpenSSLs at once: the old one and the new one of a binary upgrade, and room for more. */
#define ATTACHMENTS_MAX 8

struct attachments {
	struct bpf_object *object;
	bool return_probes;
	struct attachment *list[ATTACHMENTS_MAX];
	int count;
};

/* Probes the libraries that a process maps, every group, unless they are probed already. 0, or -1
 * with *why: right after an exec none may be mapped yet. */
int attachments_add(struct attachments *attachments, pid_t pid, struct failure *why);

/* Attaches or releases a group in all of them. */
void attachments_set(struct attachments *attachments, enum attach_group group, bool attached);

void attachments_close(struct attachments *attachments);

#endif
