/* SPDX-License-Identifier: BSD-2-Clause */
/* The reader. Nothing in a file is trusted: event_check() judges each event before anybody sees it.
 */
#include "record/recording.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "join/joiner.h"
#include "record/recording_facts.h"
#include "record/layout.h"

/* Large enough that a read() is nothing beside its events, small enough for a cache. */
#define READ_SIZE (512 * 1024)

struct recording_reader {
	FILE *file;
	char *facts;
	struct recording_header header;
	uint64_t base; /* of buffer[0] in the file */
	uint64_t skipped;
	size_t at, have; /* the next event, the end of what was read, in `buffer` */
	int error;	 /* for ever: -EBADMSG or the read's */
	bool ended;	 /* nothing comes after `have` */
	_Alignas(8) uint8_t odd[EVENT_SIZE_MAX]; /* an event that lies askew */
	_Alignas(8) uint8_t buffer[READ_SIZE];
};

const struct recording_header *recording_header(const struct recording_reader *reader)
{
	return &reader->header;
}

uint64_t recording_position(const struct recording_reader *reader)
{
	return reader->base + reader->at;
}

uint64_t recording_skipped(const struct recording_reader *reader)
{
	return reader->skipped;
}

void recording_close(struct recording_reader *reader)
{
	if (!reader)
		return;
	recording_facts_clear(&reader->header);
	free(reader->facts);
	fclose(reader->file);
	free(reader);
}

/* What is left moves to the front, so that whole events follow each other again. */
static int refill(struct recording_reader *reader)
{
	size_t left = reader->have - reader->at, got;

	memmove(reader->buffer, reader->buffer + reader->at, left);
	reader->base += reader->at;
	reader->at = 0;
	reader->have = left;
	errno = 0;
	got = fread(reader->buffer + left, 1, READ_SIZE - left, reader->file);
	reader->have += got;
	if (got < READ_SIZE - left) {
		if (ferror(reader->file))
			return errno ? -errno : -EIO;
		reader->ended = true;
	}
	return 0;
}

static int judge_preamble(const struct layout_preamble *preamble, const char *name,
			  struct failure *why)
{
	if (memcmp(preamble->magic, LAYOUT_MAGIC, LAYOUT_MAGIC_LEN))
		return failure_set(
			why, EXIT_RUNTIME,
			"cannot replay %s: it is not a recording; give a file that `tlswhy "
			"trace --save` wrote",
			name);
	if (preamble->byte_order != LAYOUT_BYTE_ORDER)
		return failure_set(
			why, EXIT_RUNTIME,
			"cannot replay %s: it was recorded on a machine with another byte "
			"order; replay it there",
			name);
	if (preamble->format != LAYOUT_FORMAT)
		return failure_set(
			why, EXIT_RUNTIME,
			"cannot replay %s: its format is %u and this tlswhy reads %u; use "
			"the tlswhy that wrote it",
			name, preamble->format, LAYOUT_FORMAT);
	return 0;
}

static int read_facts(struct recording_reader *reader, size_t len, const char *name,
		      struct failure *why)
{
	if (len > LAYOUT_FACTS_MAX || len > reader->have - reader->at)
		return failure_set(
			why, EXIT_RUNTIME,
			"cannot replay %s: its header is cut short or damaged; record again", name);
	reader->facts = malloc(len + 1);
	if (!reader->facts)
		return failure_set(why, EXIT_RUNTIME, "cannot replay %s: no memory", name);
	memcpy(reader->facts, reader->buffer + reader->at, len);
	reader->facts[len] = '\0';
	reader->at += len;
	if (recording_facts_read(&reader->header, reader->facts, len))
		return failure_set(why, EXIT_RUNTIME, "cannot replay %s: no memory", name);
	return 0;
}

static int read_header(struct recording_reader *reader, const char *name, struct failure *why)
{
	struct layout_preamble preamble = {0};
	int err = refill(reader);

	if (err)
		return failure_set(why, EXIT_RUNTIME, "cannot replay %s: %s; give a recording",
				   name, strerror(-err));
	if (!reader->have)
		return failure_set(
			why, EXIT_RUNTIME,
			"cannot replay %s: it is empty; record with `tlswhy trace --save`", name);
	memcpy(&preamble, reader->buffer,
	       reader->have < sizeof(preamble) ? reader->have : sizeof(preamble));
	if (judge_preamble(&preamble, name, why))
		return -1;
	if (reader->have < sizeof(preamble))
		return failure_set(
			why, EXIT_RUNTIME,
			"cannot replay %s: its header is cut short or damaged; record again", name);
	reader->at = sizeof(preamble);
	reader->header.realtime_offset_ns = preamble.realtime_offset_ns;
	return read_facts(reader, preamble.facts_len, name, why);
}

int recording_open_stream(struct recording_reader **ret, FILE *file, const char *name,
			  struct failure *why)
{
	struct recording_reader *reader = malloc(sizeof(*reader));

	if (!reader) {
		fclose(file);
		return failure_set(why, EXIT_RUNTIME, "cannot replay %s: no memory", name);
	}
	memset(reader, 0, offsetof(struct recording_reader, odd));
	reader->file = file;
	/* Reads go straight into our own buffer. */
	setvbuf(file, NULL, _IONBF, 0);
	if (read_header(reader, name, why)) {
		recording_close(reader);
		return -1;
	}
	*ret = reader;
	return 0;
}

int recording_open(struct recording_reader **ret, const char *path, struct failure *why)
{
	FILE *file = fopen(path, "re");

	if (!file)
		return failure_set(
			why, EXIT_RUNTIME,
			"cannot replay %s: %s; give a file that `tlswhy trace --save` wrote", path,
			strerror(errno));
	return recording_open_stream(ret, file, path, why);
}

/* What event_check() says of the next event; -EAGAIN: not all of it was read yet. */
static int event_at(struct recording_reader *reader, const struct event **ret)
{
	size_t left = reader->have - reader->at;
	uint8_t *bytes = reader->buffer + reader->at;
	uint32_t size;

	if (left < sizeof(size))
		return -EAGAIN;
	memcpy(&size, bytes, sizeof(size));
	if (size < EVENT_HEADER_SIZE || size > EVENT_SIZE_MAX)
		return -EBADMSG;
	if (left < size)
		return -EAGAIN;
	if ((uintptr_t)bytes % 8)
		bytes = memcpy(reader->odd, bytes, size);
	*ret = (const struct event *)bytes;
	return event_check(bytes, size);
}

int recording_next(struct recording_reader *reader, const struct event **ret)
{
	while (!reader->error) {
		const struct event *event;
		int err = event_at(reader, &event);

		if (!err) {
			reader->at += event->header.size;
			*ret = event;
			return 1;
		}
		if (err == -ENOTSUP) {
			reader->at += event->header.size;
			reader->skipped++;
		} else if (err == -EAGAIN && !reader->ended) {
			reader->error = refill(reader);
		} else if (err == -EAGAIN && reader->at == reader->have) {
			return 0;
		} else {
			reader->error = -EBADMSG;
		}
	}
	return reader->error;
}
