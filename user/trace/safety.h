/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Is a return probe safe on this kernel?
 *
 * From 6.11 on x86-64 a return probe makes the probed process call uretprobe(2), number 335, from a
 * trampoline. Until "seccomp: passthrough uretprobe systemcall without filtering" (6.14, and in the
 * stable kernels of that time) a seccomp filter that does not know 335 kills the process, which
 * would be an nginx in a container or under systemd's SystemCallFilter. So it is tried on a child
 * of our own before any worker is touched.
 */
#ifndef TLSWHY_TRACE_SAFETY_H
#define TLSWHY_TRACE_SAFETY_H

enum safety_verdict {
	SAFETY_SAFE,	/* the child ran its probed function to the end under each kind of filter */
	SAFETY_KILLED,	/* it died, or went astray: do not attach return probes */
	SAFETY_UNKNOWN, /* it could not be tried: see why */
};

struct safety {
	enum safety_verdict verdict;
	int signal;    /* SAFETY_KILLED: which one ended the child, 0 if it was a wrong result */
	char why[256]; /* one clause for `check`; also when safe */
};

/*
 * Tries it: a page of code of our own is put into a memory file, a child maps it, installs a
 * seccomp filter and calls it, with a uprobe and a return probe attached. Nobody else maps that
 * inode. Once with a filter that answers unknown calls with EPERM (containers), once with one that
 * kills (SystemCallFilter). Takes some 0.2 s (the kernel waits before it frees a probe), 5 s at
 * most; leaves nothing behind.
 */
void safety_test(struct safety *ret);

#endif
