/* SPDX-License-Identifier: BSD-2-Clause */
/* From events to what is written: the joiner, the diagnosis, the filter, an output, the summary. */
#ifndef TLSWHY_COMMAND_PIPELINE_H
#define TLSWHY_COMMAND_PIPELINE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "join/joiner.h"
#include "options/options.h"
#include "output/output.h"

struct pipeline {
	const struct options *options;
	struct joiner *joiner;
	struct output *output;
	FILE *stream; /* stdout behind a spool */
	struct summary summary;
	uint64_t begin_ns, last_ns; /* CLOCK_MONOTONIC of the run, or of the recording */
	int write_err; /* of the output; −EPIPE: the reader left */
	bool enough; /* -n records were written */
	bool text_wanted; /* a code without a text was seen */
};

/* The output is stdout's, text or NDJSON as the options and the terminal say. 0 or -ENOMEM. */
int pipeline_open(struct pipeline *pipeline, const struct options *options,
		  const struct joiner_config *config);

void pipeline_session(struct pipeline *pipeline, const struct session_info *session);
void pipeline_event(struct pipeline *pipeline, const struct event *event);

/* After each batch: deadlines, and what was written goes out. */
void pipeline_advance(struct pipeline *pipeline, uint64_t now_ns);

/* A part of the recording that could not be read. */
void pipeline_reader_lost(struct pipeline *pipeline, uint64_t events);

/* Ends the run: pending records, the summary to the output and to stderr. 0, or -errno of the
 * output; a reader that left is no error. */
int pipeline_finish(struct pipeline *pipeline, uint64_t now_ns);
void pipeline_close(struct pipeline *pipeline);

#endif
