/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Functions in an ELF file: name → file offset, which is what a uprobe takes.
 *
 * Looked for in .dynsym, .symtab and, for names found in neither, in the separate debug file of the
 * same build id (or debuglink with the right checksum).
 */
#ifndef TLSWHY_TRACE_SYMBOLS_H
#define TLSWHY_TRACE_SYMBOLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct symbol {
	const char *name; /* in: what is looked for */
	bool found;	  /* out; all below are 0 where it is not */
	uint64_t offset;  /* in the file */
	uint64_t address; /* virtual, as linked */
	uint64_t size;	  /* 0 where the table does not say (assembler) */
};

/*
 * One pass for `count` names. shown_path and root help to find debug files beside the library in
 * its own mount namespace; both may be NULL, then no debug file is looked for. Undefined symbols
 * and IFUNCs (whose address is a resolver's, not the function's) do not count. The number found, or
 * -errno (-ENOEXEC: not ELF).
 */
int symbols_find(const char *path, const char *shown_path, const char *root, struct symbol *symbols,
		 int count);

/* Does the file import the function: is it an undefined symbol of .dynsym? */
bool symbols_is_imported(const char *path, const char *name);

/* What the dynamic linker reads: the file's own name and those of the libraries it needs. */
#define SYMBOLS_SONAME_MAX 64
#define SYMBOLS_NEEDED_MAX 64 /* nginx with everything linked in needs some thirty */

struct symbols_links {
	char soname[SYMBOLS_SONAME_MAX];		     /* DT_SONAME, "" where there is none */
	char needed[SYMBOLS_NEEDED_MAX][SYMBOLS_SONAME_MAX]; /* DT_NEEDED */
	int needed_count;
};

/* 0 or -errno. */
int symbols_links(const char *path, struct symbols_links *ret);

/* The GNU build id in hex, "" where there is none. 0 or -errno. */
int symbols_build_id(const char *path, char *ret, size_t size);

/* Copies up to `len` bytes of the file at `offset`. The number copied, or -errno. */
int symbols_read_code(const char *path, uint64_t offset, uint8_t *ret, size_t len);

#endif
