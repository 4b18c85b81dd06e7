/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The first instructions of a function: where a uprobe on it is cheap.
 *
 * On x86-64 the kernel emulates PUSH, the one-byte NOP and relative jumps and calls inside the
 * breakpoint's trap; anything else, ENDBR64 included, is executed out of line under single-step: a
 * second trap, some thirty times the cost (arch/x86/kernel/uprobes.c: branch_xol_ops and
 * push_xol_ops against default_xol_ops).
 *
 * So the probe goes behind instructions that neither move the stack pointer (a return probe
 * replaces what is on top of the stack) nor write an argument that the probe's program reads:
 * ENDBR64, and what compilers put before a prologue (test, cmp, moves to scratch registers).
 */
#ifndef TLSWHY_TRACE_INSTRUCTION_H
#define TLSWHY_TRACE_INSTRUCTION_H

#include <stddef.h>
#include <stdint.h>

enum probe_cost {
	PROBE_COST_UNKNOWN, /* not x86-64 */
	PROBE_EMULATED,
	PROBE_SINGLE_STEPPED,
};

struct instruction {
	enum probe_cost cost;
	uint32_t offset;  /* from the function's begin: where to attach entry and return */
	const char *name; /* the instruction there: "push", "nop", "jmp", "other" … */
};

/* Enough bytes of a function for both functions below. */
#define INSTRUCTION_CODE_LEN 32

/*
 * Reads the begin of a function and chooses where to probe it. arguments: how many of the
 * function's integer arguments the probe's program reads (0 to 6), which must still be intact
 * there. Where nothing cheap is near: offset 0, single-stepped. On other architectures than x86-64:
 * offset 0, cost unknown.
 */
struct instruction instruction_choose(const uint8_t *code, size_t len, int arguments);

/*
 * Recognises a plain accessor, `[endbr64] mov disp(%rdi),%eax|%rax; [xor %edi,%edi;] ret`, as
 * X509_STORE_CTX_get_error() and SSL_get_verify_result() are: its result can be read at its entry,
 * so that no return probe is needed. 0 with the displacement and the width of the field (4 or 8),
 * or -1: it is something else.
 */
int instruction_accessor_offset(const uint8_t *code, size_t len, uint32_t *ret_offset,
				int *ret_width);

#endif
