/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every function that is probed: the one list that attaching, `check` and the documents read.
 */
#ifndef TLSWHY_TRACE_PROBES_H
#define TLSWHY_TRACE_PROBES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/failure.h"
#include "trace/instruction.h"
#include "trace/library.h"

enum probe_place { PROBE_ENTRY, PROBE_RETURN };

enum probe_need {
	PROBE_REQUIRED, /* without it there is no tracing */
	PROBE_OPTIONAL, /* without it some data is null */
};

enum probe_when {
	PROBE_ALWAYS,
	PROBE_ADAPTIVE, /* attached only while it can tell something, detached under load */
};

struct probe {
	const char *symbol;
	const char *program; /* in the skeleton */
	/* Another function and its program that serve where `symbol` is absent, or nginx was built
	 * to call the other; NULL: none. */
	const char *other_symbol;
	const char *other_program;
	enum library_kind library;
	enum probe_place place;
	enum probe_need need;
	enum probe_when when;
	int arguments; /* how many of the function's arguments the program may read, from the first:
			* the others may be overwritten where the probe sits (instruction.h) */
	const char *why; /* what it tells, in a few words for `check` */
};

enum probe_id {
	PROBE_SSL_SET_FD_ENTRY,
	PROBE_SSL_DO_HANDSHAKE_ENTRY,
	PROBE_SSL_DO_HANDSHAKE_EXIT,
	PROBE_SSL_READ_EARLY_DATA_ENTRY,
	PROBE_SSL_READ_EARLY_DATA_EXIT,
	PROBE_ERR_LIB_ERROR_STRING_ENTRY,
	PROBE_ERR_ERROR_STRING_N_ENTRY,
	PROBE_ERR_ERROR_STRING_N_EXIT,
	PROBE_ERR_PEEK_ERROR_DATA_ENTRY,
	PROBE_ERR_PEEK_ERROR_DATA_EXIT,
	PROBE_X509_STORE_CTX_GET_ERROR_EXIT,
	PROBE_X509_STORE_CTX_FREE_ENTRY,
	PROBE_SSL_GET_VERIFY_RESULT_ENTRY,
	PROBE_SSL_GET_VERIFY_RESULT_EXIT,
	PROBE_X509_CHECK_HOST_EXIT,
	PROBE_SSL_CTX_REMOVE_SESSION_ENTRY,
	PROBE_COUNT,
};

extern const struct probe probes[PROBE_COUNT];

/* Where a probe goes in one pair of libraries. */
struct probe_site {
	const struct probe *probe;
	const struct library *library;
	bool found;	      /* the function is there */
	bool chosen;	      /* to be attached (adaptive ones: when their time comes) */
	enum probe_when when; /* the table's, but ERR_error_string_n's entry is PROBE_ALWAYS where
			       * ERR_lib_error_string cannot serve */
	const char *symbol;   /* the one used: the table's `symbol` or `other_symbol` */
	const char *program;  /* and its program */
	uint64_t function;    /* file offset of the function */
	uint64_t offset;      /* file offset to attach at: entry and return the same */
	struct instruction instruction;
	/* A plain accessor: the entry could tell the result, where return probes are not to be had.
	 * It saves nothing else: the trap at the entry is what costs. */
	bool accessor;
	uint32_t accessor_offset; /* displacement of the field */
	int accessor_width;	  /* 4 or 8 bytes */
};

/*
 * Resolves the whole table in one pass over each file; sites point into `libraries`. 0, or -1 with
 * *why where a required function is missing (EXIT_TARGET); then sites are filled all the same.
 */
int probes_resolve(const struct libraries *libraries, struct probe_site sites[PROBE_COUNT],
		   struct failure *why);

/* Where the kernel has no bpf_get_attach_cookie() (before 5.15), X509_STORE_CTX_free() cannot be told
 * where the code is: X509_STORE_CTX_get_error()'s return says it then. */
void probes_without_cookie(struct probe_site sites[PROBE_COUNT]);

#endif
