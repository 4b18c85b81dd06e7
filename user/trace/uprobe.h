/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One uprobe: a program on an instruction of a file, for all processes.
 *
 * Linux 6.6 attaches it by a link of its own (uprobe_multi), without a perf event in between: a tenth
 * of a trap's cost, and it detaches at once where a perf event waits 0.1 s. libbpf knows that from 1.3
 * on; with symbol names it fails on stripped libraries even then, so the call is made here.
 */
#ifndef TLSWHY_TRACE_UPROBE_H
#define TLSWHY_TRACE_UPROBE_H

#include <stdbool.h>
#include <stdint.h>

#include <bpf/libbpf.h>

/* Zeroed: not attached. */
struct uprobe {
	struct bpf_link *link; /* of a perf event */
	int fd; /* of an uprobe_multi link; 0: none, which no link ever is */
};

/* Can this kernel do it? Asked once, before the programs are loaded. */
bool uprobe_multi_supported(void);

/* Before loading: the program is to be attached by uprobe_multi. */
void uprobe_multi_prepare(struct bpf_program *program);

/* offset: of the instruction in the file. cookie: 0 where the program asks for none. 0 or -errno. */
int uprobe_attach(struct uprobe *uprobe, struct bpf_program *program, const char *path,
		  uint64_t offset, bool at_return, uint64_t cookie);

bool uprobe_is_attached(const struct uprobe *uprobe);
void uprobe_detach(struct uprobe *uprobe); /* may be called again */

#endif
