/* SPDX-License-Identifier: BSD-2-Clause */
/* A file that claims to be a recording: opened, its header shown, its events read and anonymized.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "join/joiner.h"
#include "record/anonymize.h"
#include "record/recording.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition))                                                                  \
			abort();                                                                   \
	} while (0)

static size_t length(const char *text)
{
	return text ? strlen(text) : 0;
}

static size_t walk_header(const struct recording_header *header)
{
	size_t sum =
		length(header->version) + length(header->nginx_version) + length(header->kernel);

	for (int i = 0; i < header->library_count; i++) {
		CHECK(header->libraries[i].path && header->libraries[i].flavour);
		sum += length(header->libraries[i].path) + length(header->libraries[i].build_id) +
		       length(header->libraries[i].flavour);
	}
	for (int i = 0; i < header->probe_count; i++)
		sum += strlen(header->probes[i]);
	for (int i = 0; i < header->missing_count; i++)
		sum += strlen(header->missing[i]);
	return sum;
}

/* A copy of exactly its size, cut: it stays an event, and cutting it again changes nothing. */
static void check_anonymize(const struct event *event)
{
	size_t size = event->header.size;
	struct event *once = malloc(size), *twice = malloc(size);

	CHECK(once && twice);
	memcpy(once, event, size);
	anonymize_event(once);
	CHECK(event_check(once, size) == 0);
	memcpy(twice, once, size);
	anonymize_event(twice);
	CHECK(!memcmp(once, twice, size));
	free(once);
	free(twice);
}

static void read_events(struct recording_reader *reader, size_t size)
{
	uint64_t position = recording_position(reader);
	const struct event *event;
	int more;

	while ((more = recording_next(reader, &event)) > 0) {
		CHECK((uintptr_t)event % 8 == 0);
		CHECK(event_check(event, event->header.size) == 0);
		CHECK(recording_position(reader) >= position + event->header.size);
		position = recording_position(reader);
		check_anonymize(event);
	}
	CHECK(more == 0 || more == -EBADMSG);
	CHECK(recording_next(reader, &event) == more);
	CHECK(recording_position(reader) <= size);
	CHECK(more < 0 || recording_position(reader) == size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct recording_reader *reader = NULL;
	struct failure why = {0};
	FILE *file;

	if (!size)
		return 0; /* fmemopen() takes none */
	file = fmemopen((void *)data, size, "r");
	CHECK(file);
	if (recording_open_stream(&reader, file, "input", &why)) {
		CHECK(!reader && why.exit_code == EXIT_RUNTIME && *why.message);
		return 0;
	}
	CHECK(walk_header(recording_header(reader)) <= size);
	read_events(reader, size);
	recording_close(reader);
	return 0;
}
