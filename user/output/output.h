/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An output: somewhere that records are written to. Text and NDJSON are two; each is one file with
 * one `struct output_ops`.
 */
#ifndef TLSWHY_OUTPUT_OUTPUT_H
#define TLSWHY_OUTPUT_OUTPUT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "join/record.h"
#include "output/summary.h"

struct library_info {
	const char *path, *build_id, *flavour; /* build_id may be NULL */
};

struct session_info {
	const char *version; /* of tlswhy */
	uint32_t pid;
	const char *nginx_version; /* NULL: unknown */
	const struct library_info *libraries;
	int library_count;
	const char *kernel;
	const char *const *probes; /* attached */
	int probe_count;
	const char *const *missing; /* data that is therefore null */
	int missing_count;
};

struct lost_info {
	const char *where; /* "ring", "map", "reader", "output" */
	uint64_t since_ns; /* CLOCK_REALTIME of the last such line, or of the start */
	uint64_t events, handshakes;
};

struct reload_info {
	uint64_t time_ns;
	bool succeeded;
	const uint32_t *old_workers, *new_workers;
	int old_count, new_count;
};

struct worker_exit_info {
	uint64_t time_ns;
	uint32_t pid;
	int signal; /* 0: it exited */
	uint64_t pending; /* handshakes that ended with it */
};

struct output;

/* Each returns 0 or -errno of the write; -EPIPE ends the run cleanly. */
struct output_ops {
	int (*session)(struct output *output, const struct session_info *session);
	int (*connection)(struct output *output, const struct record *record);
	int (*lost)(struct output *output, const struct lost_info *lost);
	int (*reload)(struct output *output, const struct reload_info *reload);
	int (*worker_exit)(struct output *output, const struct worker_exit_info *info);
	int (*summary)(struct output *output, const struct summary *summary);
	int (*flush)(struct output *output);
	void (*destroy)(struct output *output);
};

struct output {
	const struct output_ops *ops;
};

/* Text: aligned, one line a connection. width: columns of the terminal, 0 for no terminal. The caller
 * keeps `out` open as long as the output lives. NULL: no memory. */
struct output *output_text_new(FILE *out, int width, bool colour);
/* NDJSON, schema 1. */
struct output *output_json_new(FILE *out);

static inline void output_destroy(struct output *output)
{
	if (output)
		output->ops->destroy(output);
}

#endif
