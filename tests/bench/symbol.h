/* SPDX-License-Identifier: BSD-2-Clause */
/* Where a function of a shared library lies in its file, and where a probe on it is cheapest. */
#ifndef TLSWHY_BENCH_SYMBOL_H
#define TLSWHY_BENCH_SYMBOL_H

#include <stdbool.h>
#include <stdint.h>

#define SYMBOL_CODE_LEN 16 /* longer than any instruction of x86 and two of arm64 */

struct symbol {
	uint64_t offset;	       /* of the function in the file */
	uint64_t probe;		       /* where to probe it: its `push` if it begins with one */
	bool push;		       /* false: the kernel single-steps the probed instruction */
	uint8_t code[SYMBOL_CODE_LEN]; /* the file's bytes at `offset` */
};

/* Looks `name` up in the .dynsym of the library at `path`: 0, or -1 after saying why. */
int symbol_find(const char *path, const char *name, struct symbol *ret_symbol);

#endif
