/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A recording: what `tlswhy trace --save FILE` writes and `tlswhy replay FILE` reads.
 *
 * A fixed preamble, the facts of the session as key=value lines, then the events of bpf/abi.h as
 * they came, one after the other; layout.h has the details.
 */
#ifndef TLSWHY_RECORD_RECORDING_H
#define TLSWHY_RECORD_RECORDING_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/failure.h"
#include "bpf/abi.h"

struct recording_library {
	const char *path, *build_id, *flavour; /* build_id may be NULL */
};

/* What cannot be learned from events. Strings are the caller's while writing, and the reader's,
 * until it is closed, while reading. NULL: unknown. */
struct recording_header {
	int64_t realtime_offset_ns; /* CLOCK_REALTIME − CLOCK_MONOTONIC */
	const char *version;	    /* of the tlswhy that wrote it */
	uint32_t pid;		    /* of the target */
	const char *nginx_version, *kernel;
	const struct recording_library *libraries;
	int library_count;
	const char *const *probes;
	int probe_count;
	const char *const *missing;
	int missing_count;
	bool same_openssl; /* see joiner_config */
	bool anonymized;   /* set by the writer */
};

struct recording_writer;

/*
 * Makes or replaces `path`, readable by its owner alone, and writes the header. With anonymize the
 * peers' addresses are cut in every event, see anonymize_event(). 0 or -errno: -EISDIR for a
 * directory, -EINVAL for what is neither a regular file nor a pipe or character device.
 */
int recording_create(struct recording_writer **ret, const char *path,
		     const struct recording_header *header, bool anonymize);

/* One event, as event_check() passed it; the unused tail is not written. 0 or -errno; after the
 * first error every call returns it, and what was written before can still be replayed. */
int recording_write(struct recording_writer *writer, const struct event *event);

/* What is buffered goes to the file. 0 or -errno. */
int recording_writer_flush(struct recording_writer *writer);

/* NULL-safe. 0 or the first error of the writer's life: -ENOSPC often shows here first. */
int recording_writer_close(struct recording_writer *writer);

struct recording_reader;

/* 0, or -1 with *why (EXIT_RUNTIME): missing, empty, foreign, a newer format, other byte order. */
int recording_open(struct recording_reader **ret, const char *path, struct failure *why);

/* The same for an open stream, which the reader closes, also when it fails; `name` is for messages.
 */
int recording_open_stream(struct recording_reader **ret, FILE *file, const char *name,
			  struct failure *why);

const struct recording_header *recording_header(const struct recording_reader *reader);

/*
 * 1: *ret is an event that event_check() passed, 8-byte aligned, valid until the next call.
 * 0: a clean end. -EBADMSG: corrupt, or cut short; another -errno: of the read. Both stay so, and
 * what came before is good. Kinds that only a newer tlswhy knows are skipped.
 */
int recording_next(struct recording_reader *reader, const struct event **ret);

uint64_t recording_position(const struct recording_reader *reader); /* bytes read so far */
uint64_t recording_skipped(const struct recording_reader *reader);  /* events of unknown kinds */

void recording_close(struct recording_reader *reader); /* NULL-safe */

#endif
