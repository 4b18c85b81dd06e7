/* SPDX-License-Identifier: BSD-2-Clause */
/* Decoding of function begins, as compilers really wrote them. */
#include <criterion/criterion.h>
#include <string.h>

#include "trace/instruction.h"

#ifdef __x86_64__

struct row {
	const char *what;
	uint8_t code[24];
	size_t len;
	int arguments;
	enum probe_cost cost;
	uint32_t offset;
	const char *name;
};

#define CODE(...) {__VA_ARGS__}, sizeof((uint8_t[]){__VA_ARGS__})

/* clang-format off */
static const struct row rows[] = {
	{ "push %rbx: SSL_do_handshake of Debian 12", CODE(0x53, 0x48, 0x83, 0xec, 0x30), 1,
	  PROBE_EMULATED, 0, "push" },
	{ "push %r12: SSL_set_fd of Debian 12", CODE(0x41, 0x54, 0x41, 0x89, 0xf4), 2,
	  PROBE_EMULATED, 0, "push" },
	{ "endbr64; push %rbp: Ubuntu, Debian 13", CODE(0xf3, 0x0f, 0x1e, 0xfa, 0x55, 0x48), 1,
	  PROBE_EMULATED, 4, "push" },
	{ "endbr64; push %r15", CODE(0xf3, 0x0f, 0x1e, 0xfa, 0x41, 0x57), 6, PROBE_EMULATED, 4,
	  "push" },
	{ "endbr64; sub $8,%rsp: the return address is no longer on top",
	  CODE(0xf3, 0x0f, 0x1e, 0xfa, 0x48, 0x83, 0xec, 0x08, 0x55), 1, PROBE_SINGLE_STEPPED, 0,
	  "other" },
	{ "push with a REX prefix that the kernel does not emulate", CODE(0x40, 0x55), 1,
	  PROBE_SINGLE_STEPPED, 0, "other" },
	{ "push with an operand size prefix", CODE(0x66, 0x55), 1, PROBE_SINGLE_STEPPED, 0,
	  "other" },
	{ "nop", CODE(0x90, 0xc3), 1, PROBE_EMULATED, 0, "nop" },
	{ "xchg %ax,%ax", CODE(0x66, 0x90, 0xc3), 1, PROBE_EMULATED, 0, "nop" },
	{ "xchg %r8,%rax is no nop", CODE(0x49, 0x90, 0xc3), 1, PROBE_SINGLE_STEPPED, 0, "other" },
	{ "nopl 0(%rax,%rax,1); push %rbx", CODE(0x0f, 0x1f, 0x44, 0x00, 0x00, 0x53), 1,
	  PROBE_EMULATED, 5, "push" },
	{ "call __fentry__", CODE(0xe8, 1, 2, 3, 4), 1, PROBE_EMULATED, 0, "call" },
	{ "jmp to another function", CODE(0xe9, 1, 2, 3, 4), 1, PROBE_EMULATED, 0, "jmp" },
	{ "mov $1,%edx; jmp: SSL_CTX_remove_session of Debian 12",
	  CODE(0xba, 1, 0, 0, 0, 0xe9, 0x86, 0xf5, 0xff, 0xff), 2, PROBE_EMULATED, 5, "jmp" },
	{ "the same for a program that reads the third argument",
	  CODE(0xba, 1, 0, 0, 0, 0xe9, 0x86, 0xf5, 0xff, 0xff), 3, PROBE_SINGLE_STEPPED, 0,
	  "other" },
	{ "test %rsi,%rsi; je: X509_check_host of Debian 12",
	  CODE(0x48, 0x85, 0xf6, 0x0f, 0x84, 0xd9, 0, 0, 0, 0x41, 0x57), 5, PROBE_EMULATED, 3,
	  "jcc" },
	{ "test %rdi,%rdi; je short", CODE(0x48, 0x85, 0xff, 0x74, 0x10), 6, PROBE_EMULATED, 3,
	  "jcc" },
	{ "cmpb $0,0x10(%rdi); jne", CODE(0x80, 0x7f, 0x10, 0x00, 0x75, 0x05), 6, PROBE_EMULATED, 4,
	  "jcc" },
	{ "cmpl $0x1000,0x48(%rdi); jne",
	  CODE(0x81, 0x7f, 0x48, 0x00, 0x10, 0x00, 0x00, 0x75, 0x05), 6, PROBE_EMULATED, 7, "jcc" },
	{ "addq $1,(%rdi) is no cmp", CODE(0x48, 0x83, 0x07, 0x01, 0x53), 1, PROBE_SINGLE_STEPPED,
	  0, "other" },
	{ "mov %rdx,%rcx; mov %rsi,%rdx; lea x(%rip),%rsi: ERR_error_string_n of Debian 12",
	  CODE(0x48, 0x89, 0xd1, 0x48, 0x89, 0xf2, 0x48, 0x8d, 0x35, 0xdf, 0xf2, 0x19, 0x00, 0xe9,
	       1, 2, 3, 4),
	  2, PROBE_SINGLE_STEPPED, 0, "other" },
	{ "the same for a program that reads the code alone",
	  CODE(0x48, 0x89, 0xd1, 0x48, 0x89, 0xf2, 0x48, 0x8d, 0x35, 0xdf, 0xf2, 0x19, 0x00, 0xe9,
	       1, 2, 3, 4),
	  1, PROBE_EMULATED, 13, "jmp" },
	{ "mov %rdi,%r8; push: a scratch register", CODE(0x49, 0x89, 0xf8, 0x53), 4, PROBE_EMULATED,
	  3, "push" },
	{ "the same where the fifth argument is read", CODE(0x49, 0x89, 0xf8, 0x53), 5,
	  PROBE_SINGLE_STEPPED, 0, "other" },
	{ "mov %rbx,(%rsp) writes where the return address is",
	  CODE(0x48, 0x89, 0x1c, 0x24, 0x53), 0, PROBE_SINGLE_STEPPED, 0, "other" },
	{ "mov %rdi,%rsp", CODE(0x48, 0x89, 0xfc, 0x53), 0, PROBE_SINGLE_STEPPED, 0, "other" },
	{ "lea -8(%rsp),%rsp", CODE(0x48, 0x8d, 0x64, 0x24, 0xf8, 0x53), 0, PROBE_SINGLE_STEPPED, 0,
	  "other" },
	{ "mov %fs:0x28,%rax", CODE(0x64, 0x48, 0x8b, 0x04, 0x25, 0x28, 0, 0, 0, 0x53), 0,
	  PROBE_SINGLE_STEPPED, 0, "other" },
	{ "mov 0xb0(%rdi),%eax; xor %edi,%edi; ret",
	  CODE(0x8b, 0x87, 0xb0, 0, 0, 0, 0x31, 0xff, 0xc3), 1, PROBE_SINGLE_STEPPED, 0, "other" },
	{ "ret alone", CODE(0xc3), 0, PROBE_SINGLE_STEPPED, 0, "other" },
};
/* clang-format on */

Test(instruction, chooses_where_the_kernel_emulates)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *row = &rows[i];
		struct instruction got = instruction_choose(row->code, row->len, row->arguments);

		cr_expect_eq(got.cost, row->cost, "%s: cost %d", row->what, got.cost);
		cr_expect_eq(got.offset, row->offset, "%s: offset %u", row->what, got.offset);
		cr_expect_str_eq(got.name, row->name, "%s", row->what);
	}
}

/* A function at the very end of a file: no byte behind the given ones may be read (ASan sees it).
 */
Test(instruction, stops_where_the_bytes_end)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (size_t len = 0; len < rows[i].len; len++) {
			uint8_t *code = malloc(len ? len : 1);
			struct instruction got;
			uint32_t offset;
			int width;

			memcpy(code, rows[i].code, len);
			got = instruction_choose(code, len, rows[i].arguments);
			cr_expect(got.offset < len || got.offset == 0);
			if (got.offset > 0 && got.cost == PROBE_EMULATED)
				cr_expect_eq(got.offset, rows[i].offset, "%s cut to %zu",
					     rows[i].what, len);
			instruction_accessor_offset(code, len, &offset, &width);
			free(code);
		}
	}
}

struct accessor {
	const char *what;
	uint8_t code[16];
	size_t len;
	int result;
	uint32_t offset;
	int width;
};

static const struct accessor accessors[] = {
	{"X509_STORE_CTX_get_error of Debian 12", CODE(0x8b, 0x87, 0xb0, 0, 0, 0, 0x31, 0xff, 0xc3),
	 0, 0xb0, 4},
	{"SSL_get_verify_result of Debian 12",
	 CODE(0x48, 0x8b, 0x87, 0xb8, 0x09, 0, 0, 0x31, 0xff, 0xc3), 0, 0x9b8, 8},
	{"endbr64 in front", CODE(0xf3, 0x0f, 0x1e, 0xfa, 0x48, 0x8b, 0x47, 0x70, 0xc3), 0, 0x70,
	 8},
	{"movslq of an int", CODE(0x48, 0x63, 0x47, 0x18, 0xc3), 0, 0x18, 4},
	{"the first field", CODE(0x8b, 0x07, 0xc3), 0, 0, 4},
	{"rep ret", CODE(0x8b, 0x47, 0x10, 0xf3, 0xc3), 0, 0x10, 4},
	{"another base register", CODE(0x8b, 0x46, 0x10, 0xc3), -1, 0, 0},
	{"another destination", CODE(0x8b, 0x4f, 0x10, 0xc3), -1, 0, 0},
	{"a negative displacement", CODE(0x8b, 0x47, 0xf0, 0xc3), -1, 0, 0},
	{"a second load", CODE(0x48, 0x8b, 0x47, 0x10, 0x8b, 0x40, 0x08, 0xc3), -1, 0, 0},
	{"something before the return", CODE(0x8b, 0x47, 0x10, 0x85, 0xc0, 0xc3), -1, 0, 0},
	{"push %rbx", CODE(0x53, 0xc3), -1, 0, 0},
};

Test(instruction, recognises_plain_accessors)
{
	for (size_t i = 0; i < sizeof(accessors) / sizeof(accessors[0]); i++) {
		const struct accessor *row = &accessors[i];
		uint32_t offset = 0;
		int width = 0;

		cr_expect_eq(instruction_accessor_offset(row->code, row->len, &offset, &width),
			     row->result, "%s", row->what);
		cr_expect_eq(offset, row->offset, "%s: %u", row->what, offset);
		cr_expect_eq(width, row->width, "%s: %d", row->what, width);
	}
}

#else

Test(instruction, knows_no_other_architecture)
{
	const uint8_t code[4] = {0};

	cr_expect_eq(instruction_choose(code, sizeof(code), 1).cost, PROBE_COST_UNKNOWN);
	cr_expect_eq(instruction_choose(code, sizeof(code), 1).offset, 0);
}

#endif
