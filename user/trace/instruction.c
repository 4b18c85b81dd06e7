/* SPDX-License-Identifier: BSD-2-Clause */
#include "trace/instruction.h"

#include <stdbool.h>
#include <string.h>

#ifdef __x86_64__

/* Register numbers as ModRM and REX encode them. */
enum { RCX = 1, RDX = 2, RSP = 4, RSI = 6, RDI = 7, R8 = 8, R9 = 9, NO_REGISTER = -1 };

static const uint8_t endbr64[] = {0xf3, 0x0f, 0x1e, 0xfa};

enum step_kind {
	STEP_STOP,  /* unknown, or changes what must not be passed */
	STEP_OVER,  /* harmless: look at the next one */
	STEP_CHEAP, /* the kernel emulates it */
};

struct step {
	enum step_kind kind;
	size_t len;
	int writes; /* the general register that it writes, NO_REGISTER */
	const char *name;
};

/* Length of ModRM, SIB and displacement (Intel SDM volume 2, 2.1.3); 0: they do not fit. */
static size_t modrm_len(const uint8_t *modrm, size_t len)
{
	uint8_t mod, rm;
	size_t need = 1;

	if (!len)
		return 0;
	mod = modrm[0] >> 6;
	rm = modrm[0] & 7;
	if (mod != 3 && rm == 4) {
		if (len < 2)
			return 0;
		need++;
		if (mod == 0 && (modrm[1] & 7) == 5)
			need += 4;
	}
	if (mod == 1)
		need += 1;
	else if (mod == 2 || (mod == 0 && rm == 5))
		need += 4;
	return need <= len ? need : 0;
}

/* What follows an opcode that the compiler puts before a prologue; `at` is the ModRM byte. */
static struct step step_modrm(uint8_t opcode, uint8_t rex, const uint8_t *at, size_t len)
{
	struct step step = {STEP_OVER, modrm_len(at, len), NO_REGISTER, "other"};
	bool memory;
	int reg, rm;

	if (!step.len)
		return (struct step){STEP_STOP, 0, NO_REGISTER, "other"};
	memory = at[0] >> 6 != 3;
	reg = (at[0] >> 3 & 7) | (rex & 4) << 1;
	rm = (at[0] & 7) | (rex & 1) << 3;
	switch (opcode) {
	case 0x84: /* test r/m8, r8 */
	case 0x85: /* test r/m, r */
	case 0x38: /* cmp */
	case 0x39:
	case 0x3a:
	case 0x3b:
		break;
	case 0x8b: /* mov r, r/m */
	case 0x33: /* xor r, r/m */
		step.writes = reg;
		break;
	case 0x8d: /* lea r, m */
		step.writes = reg;
		if (!memory)
			step.kind = STEP_STOP;
		break;
	case 0x89: /* mov r/m, r */
	case 0x31: /* xor r/m, r */
		step.writes = rm;
		if (memory) /* a store: it might be the return address */
			step.kind = STEP_STOP;
		break;
	case 0x80: /* group 1: only /7, cmp, writes nothing */
	case 0x83:
		step.len += 1;
		if ((reg & 7) != 7)
			step.kind = STEP_STOP;
		break;
	case 0x81:
		step.len += 4;
		if ((reg & 7) != 7)
			step.kind = STEP_STOP;
		break;
	case 0xf6: /* group 3: only /0, test with an immediate */
		step.len += 1;
		if ((reg & 7) != 0)
			step.kind = STEP_STOP;
		break;
	default:
		step.kind = STEP_STOP;
	}
	return step;
}

/* Two-byte opcodes behind 0x0f. */
static struct step step_two_byte(const uint8_t *at, size_t len)
{
	struct step step = {STEP_STOP, 0, NO_REGISTER, "other"};

	if (len < 2)
		return step;
	if (at[1] >= 0x80 && at[1] <= 0x8f)
		return (struct step){STEP_CHEAP, 6, NO_REGISTER, "jcc"};
	if (at[1] == 0x1f) { /* multi-byte NOP: emulated by the newest kernels only */
		step.len = modrm_len(at + 2, len - 2);
		if (step.len)
			step.kind = STEP_OVER;
		step.len += 2;
	}
	return step;
}

static struct step step_decode(const uint8_t *at, size_t len)
{
	static const struct step stop = {STEP_STOP, 0, NO_REGISTER, "other"};
	uint8_t rex = 0, opcode;
	struct step step;

	if (len >= sizeof(endbr64) && !memcmp(at, endbr64, sizeof(endbr64)))
		return (struct step){STEP_OVER, sizeof(endbr64), NO_REGISTER, "endbr64"};
	if (len >= 2 && at[0] == 0x66 && at[1] == 0x90)
		return (struct step){STEP_CHEAP, 2, NO_REGISTER, "nop"};
	if (len >= 1 && (at[0] & 0xf0) == 0x40)
		rex = at[0];
	at += rex != 0;
	len -= rex != 0;
	if (!len)
		return stop;
	opcode = at[0];
	/* push_setup_xol_ops() accepts REX.B alone. */
	if (opcode >= 0x50 && opcode <= 0x57)
		return rex == 0 || rex == 0x41
			       ? (struct step){STEP_CHEAP, 1 + (rex != 0), NO_REGISTER, "push"}
			       : stop;
	if (opcode >= 0xb8 && opcode <= 0xbf) /* mov r, imm */
		step = (struct step){STEP_OVER, rex & 8 ? 9 : 5, (opcode & 7) | (rex & 1) << 3,
				     "other"};
	else if (rex == 0 && opcode == 0x90)
		return (struct step){STEP_CHEAP, 1, NO_REGISTER, "nop"};
	else if (rex == 0 && (opcode == 0xe9 || opcode == 0xeb))
		return (struct step){STEP_CHEAP, opcode == 0xe9 ? 5 : 2, NO_REGISTER, "jmp"};
	else if (rex == 0 && opcode == 0xe8)
		return (struct step){STEP_CHEAP, 5, NO_REGISTER, "call"};
	else if (rex == 0 && opcode >= 0x70 && opcode <= 0x7f)
		return (struct step){STEP_CHEAP, 2, NO_REGISTER, "jcc"};
	else if (rex == 0 && opcode == 0x0f)
		return step_two_byte(at, len);
	else {
		step = step_modrm(opcode, rex, at + 1, len - 1);
		step.len += 1;
	}
	step.len += rex != 0;
	return step;
}

static bool is_argument(int reg, int arguments)
{
	/* System V AMD64 ABI, 3.2.3. */
	static const int order[] = {RDI, RSI, RDX, RCX, R8, R9};

	for (int i = 0; i < arguments && i < 6; i++)
		if (order[i] == reg)
			return true;
	return false;
}

struct instruction instruction_choose(const uint8_t *code, size_t len, int arguments)
{
	struct instruction none = {PROBE_SINGLE_STEPPED, 0, "other"};
	size_t at = 0;

	while (at < len) {
		struct step step = step_decode(code + at, len - at);

		if (step.len > len - at)
			break;
		if (step.kind == STEP_CHEAP)
			return (struct instruction){PROBE_EMULATED, (uint32_t)at, step.name};
		if (step.kind == STEP_STOP || step.writes == RSP ||
		    is_argument(step.writes, arguments))
			break;
		at += step.len;
	}
	return none;
}

int instruction_accessor_offset(const uint8_t *code, size_t len, uint32_t *ret_offset,
				int *ret_width)
{
	const uint8_t *end = code + len;
	bool wide = false, extended = false;
	uint32_t offset;

	if (len >= sizeof(endbr64) && !memcmp(code, endbr64, sizeof(endbr64)))
		code += sizeof(endbr64);
	if (end - code < 2)
		return -1;
	if (code[0] == 0x48)
		wide = *code++ == 0x48;
	/* mov r, r/m; movslq r, r/m32 (REX.W 63), the field of which is an int. */
	extended = wide && code[0] == 0x63;
	if (code[0] != 0x8b && !extended)
		return -1;
	code++;
	if (end - code >= 2 && code[0] == 0x47 && code[1] < 0x80) { /* disp8(%rdi), %eax */
		offset = code[1];
		code += 2;
	} else if (end - code >= 5 && code[0] == 0x87 && code[4] < 0x80) { /* disp32(%rdi), %eax */
		memcpy(&offset, code + 1, sizeof(offset));
		code += 5;
	} else if (end - code >= 1 && code[0] == 0x07) { /* (%rdi), %eax */
		offset = 0;
		code += 1;
	} else {
		return -1;
	}
	/* -fzero-call-used-regs, a hardening flag of Debian's OpenSSL: xor %edi, %edi. */
	if (end - code >= 2 && (code[0] == 0x31 || code[0] == 0x33) && code[1] == 0xff)
		code += 2;
	if (end - code >= 2 && code[0] == 0xf3 && code[1] == 0xc3) /* rep ret */
		code++;
	if (end - code < 1 || code[0] != 0xc3)
		return -1;
	*ret_offset = offset;
	*ret_width = wide && !extended ? 8 : 4;
	return 0;
}

#else

struct instruction instruction_choose(const uint8_t *code, size_t len, int arguments)
{
	(void)code;
	(void)len;
	(void)arguments;
	return (struct instruction){PROBE_COST_UNKNOWN, 0, "other"};
}

int instruction_accessor_offset(const uint8_t *code, size_t len, uint32_t *ret_offset,
				int *ret_width)
{
	(void)code;
	(void)len;
	(void)ret_offset;
	(void)ret_width;
	return -1;
}

#endif
