/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "record/anonymize.h"
#include "record/recording_facts.h"
#include "record/layout.h"
#include "record/recording.h"

/* Some 2,000 events, a few write() calls a second under full load. */
#define BUFFER_SIZE (256 * 1024)

struct recording_writer {
	FILE *file;
	bool anonymize;
	int error; /* the first; 0: none */
	union {
		struct event event;
		uint8_t bytes[EVENT_SIZE_MAX]; /* room for the largest */
	} scratch;
};

static int fail(struct recording_writer *writer, int fallback)
{
	writer->error = errno ? -errno : fallback;
	return writer->error;
}

static int write_header(struct recording_writer *writer, const struct recording_header *given)
{
	struct recording_header header = *given;
	struct layout_preamble preamble = {
		.magic = LAYOUT_MAGIC,
		.byte_order = LAYOUT_BYTE_ORDER,
		.format = LAYOUT_FORMAT,
		.realtime_offset_ns = header.realtime_offset_ns,
	};
	char *facts;
	size_t len;
	bool good;
	int err;

	header.anonymized = writer->anonymize;
	err = recording_facts_write(&facts, &len, &header);
	if (err)
		return err;
	preamble.facts_len = (uint32_t)len;
	errno = 0;
	good = fwrite(&preamble, sizeof(preamble), 1, writer->file) == 1 &&
	       fwrite(facts, len, 1, writer->file) == 1;
	free(facts);
	/* At once: a path that cannot be written to is known before anything is traced. */
	return good && !fflush(writer->file) ? 0 : fail(writer, -EIO);
}

/* An existing file is replaced, but never what is not meant for bytes. A descriptor or -errno. */
static int open_target(const char *path)
{
	struct stat status;
	int fd, err = 0;

	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &status))
		err = -errno;
	else if (S_ISREG(status.st_mode))
		err = fchmod(fd, 0600) || ftruncate(fd, 0) ? -errno : 0;
	else if (!S_ISFIFO(status.st_mode) && !S_ISCHR(status.st_mode))
		err = -EINVAL;
	if (err) {
		close(fd);
		return err;
	}
	return fd;
}

int recording_create(struct recording_writer **ret, const char *path,
		     const struct recording_header *header, bool anonymize)
{
	struct recording_writer *writer = calloc(1, sizeof(*writer));
	int fd, err;

	if (!writer)
		return -ENOMEM;
	fd = open_target(path);
	if (fd < 0) {
		free(writer);
		return fd;
	}
	writer->anonymize = anonymize;
	writer->file = fdopen(fd, "w");
	if (!writer->file) {
		err = -errno;
		close(fd);
		free(writer);
		return err;
	}
	setvbuf(writer->file, NULL, _IOFBF, BUFFER_SIZE);
	err = write_header(writer, header);
	if (err) {
		recording_writer_close(writer);
		return err;
	}
	*ret = writer;
	return 0;
}

/* Bytes of the event that say something. */
static size_t used_size(const struct event *event)
{
	switch (event->header.kind) {
	case EVENT_WIRE:
		return EVENT_HEADER_SIZE + sizeof(struct event_wire) + event->wire.len;
	case EVENT_WIRE_EARLY:
		return EVENT_HEADER_SIZE + sizeof(struct event_wire_early) + event->wire_early.len;
	default:
		return event->header.size;
	}
}

int recording_write(struct recording_writer *writer, const struct event *event)
{
	size_t used = used_size(event);
	size_t size = (used + 7) & ~(size_t)7;

	if (writer->error)
		return writer->error;
	if (used > event->header.size || size > EVENT_SIZE_MAX)
		return -EINVAL;
	if (writer->anonymize || size != event->header.size) {
		memcpy(writer->scratch.bytes, event, used);
		memset(writer->scratch.bytes + used, 0, size - used);
		writer->scratch.event.header.size = (uint32_t)size;
		if (writer->anonymize)
			anonymize_event(&writer->scratch.event);
		event = &writer->scratch.event;
	}
	errno = 0;
	if (fwrite(event, size, 1, writer->file) != 1)
		return fail(writer, -EIO);
	return 0;
}

int recording_writer_flush(struct recording_writer *writer)
{
	if (writer->error)
		return writer->error;
	errno = 0;
	return fflush(writer->file) ? fail(writer, -EIO) : 0;
}

int recording_writer_close(struct recording_writer *writer)
{
	int err;

	if (!writer)
		return 0;
	errno = 0;
	if (fclose(writer->file) && !writer->error)
		fail(writer, -EIO);
	err = writer->error;
	free(writer);
	return err;
}
