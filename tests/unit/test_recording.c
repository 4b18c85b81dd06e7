/* SPDX-License-Identifier: BSD-2-Clause */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "join/joiner.h"
#include "record/anonymize.h"
#include "record/layout.h"
#include "record/recording.h"
#include "unit/events.h"

static const struct recording_library libraries[] = {
	{"/usr/lib/libssl.so.3", "b0a1", "OpenSSL 3.0"},
	{"/odd\nplace\\libcrypto.so", NULL, "OpenSSL 3.0"},
};
static const char *const probes[] = {"SSL_do_handshake", "SSL_set_fd"};
static const char *const missing[] = {"error.text"};

static const struct recording_header header = {
	.realtime_offset_ns = INT64_C(-1234567890123456789),
	.version = "0.1.0",
	.pid = 4711,
	.nginx_version = "nginx/1.22.1",
	.kernel = "6.1.0",
	.libraries = libraries,
	.library_count = 2,
	.probes = probes,
	.probe_count = 2,
	.missing = missing,
	.missing_count = 1,
	.same_openssl = true,
};

/* A recording in a directory of its own. */
struct place {
	char directory[64], path[80];
};

static void place_make(struct place *place)
{
	strcpy(place->directory, "/tmp/tlswhy-recording-XXXXXX");
	cr_assert(mkdtemp(place->directory));
	snprintf(place->path, sizeof(place->path), "%s/file", place->directory);
}

static void place_remove(struct place *place)
{
	unlink(place->path);
	cr_assert_eq(rmdir(place->directory), 0);
}

/* What a file holds; the caller frees it. */
static uint8_t *place_read(const struct place *place, size_t *ret_len)
{
	FILE *file = fopen(place->path, "r");
	uint8_t *bytes = malloc(1 << 20);

	cr_assert(file && bytes);
	*ret_len = fread(bytes, 1, 1 << 20, file);
	fclose(file);
	return bytes;
}

/* One of every kind; the arms that have bytes have some, of odd lengths. */
static struct event *event_of_kind(union any_event *any, uint32_t kind)
{
	struct event_tuple tuple = event_tuple_of(40000, 77);
	struct event *event;

	switch (kind) {
	case EVENT_WIRE:
		return event_wire_of(any, 1000 + kind, 9, WIRE_IN, 0, WIRE_START, "\x16\x03\x01",
				     3);
	case EVENT_WIRE_EARLY:
		return event_early_of(any, 1000 + kind, 9, &tuple, 555, WIRE_START,
				      "\x16\x03\x01\x02\x01", 5);
	case EVENT_ERROR_TEXT:
		event = EVENT_OF(any, kind, error_text, 1000 + kind, 5, 0);
		event->error_text.text_len = 5;
		memcpy(event->error_text.text, "error", 5);
		return event;
	case EVENT_LISTENER:
		event = EVENT_OF(any, kind, listener, 1000 + kind, 5, 9);
		event->listener.tuple = tuple;
		return event;
	case EVENT_OPEN:
		event = EVENT_OF(any, kind, open, 1000 + kind, 5, 9);
		event->open.tuple = tuple;
		return event;
	case EVENT_CLOSE:
		event = EVENT_OF(any, kind, close, 1000 + kind, 5, 9);
		event->close.tuple = tuple;
		return event;
	case EVENT_LOST:
		event = EVENT_OF(any, kind, lost, 1000 + kind, 0, 0);
		event->lost.map_full = 3;
		return event;
	default: /* their arms are not larger than this */
		return EVENT_OF(any, kind, handshake, 1000 + kind, 5, 9);
	}
}

static bool kind_exists(uint32_t kind)
{
	return kind != EVENT_NONE && kind != 6; /* 6 was never given to anything */
}

static void write_all_kinds(const struct place *place, bool anonymize)
{
	struct recording_writer *writer;
	union any_event any;

	cr_assert_eq(recording_create(&writer, place->path, &header, anonymize), 0);
	for (uint32_t kind = 0; kind < EVENT_KIND_MAX; kind++) {
		if (kind_exists(kind))
			cr_assert_eq(recording_write(writer, event_of_kind(&any, kind)), 0);
	}
	cr_assert_eq(recording_writer_close(writer), 0);
}

/* Reads events until the end; the last verdict. A good one is counted. */
static int read_all(struct recording_reader *reader, int *count)
{
	const struct event *event;
	int more;

	*count = 0;
	while ((more = recording_next(reader, &event)) > 0) {
		cr_assert_eq((uintptr_t)event % 8, 0);
		cr_assert_eq(event_check(event, event->header.size), 0);
		(*count)++;
	}
	cr_assert_eq(recording_next(reader, &event), more, "the end stays");
	return more;
}

/* A reader of bytes; NULL: refused. */
static struct recording_reader *open_bytes(const void *bytes, size_t len, struct failure *why)
{
	struct recording_reader *reader = NULL;
	FILE *file = fmemopen((void *)bytes, len, "r");

	cr_assert(file);
	if (recording_open_stream(&reader, file, "bytes", why))
		cr_assert_null(reader);
	return reader;
}

Test(recording, every_kind_comes_back)
{
	struct recording_reader *reader;
	const struct event *event;
	union any_event any;
	struct failure why;
	struct place place;
	struct stat status;

	place_make(&place);
	write_all_kinds(&place, false);
	cr_assert_eq(stat(place.path, &status), 0);
	cr_assert_eq(status.st_mode & 0777, 0600);
	cr_assert_eq(recording_open(&reader, place.path, &why), 0, "%s", why.message);
	for (uint32_t kind = 0; kind < EVENT_KIND_MAX; kind++) {
		struct event *given = event_of_kind(&any, kind);
		size_t used = given->header.size;

		if (!kind_exists(kind))
			continue;
		if (kind == EVENT_WIRE)
			used = EVENT_HEADER_SIZE + sizeof(struct event_wire) + 3;
		if (kind == EVENT_WIRE_EARLY)
			used = EVENT_HEADER_SIZE + sizeof(struct event_wire_early) + 5;
		cr_assert_eq(recording_next(reader, &event), 1, "kind %u", kind);
		cr_assert_eq((uintptr_t)event % 8, 0);
		cr_assert_eq(event->header.size, (used + 7) / 8 * 8, "kind %u", kind);
		given->header.size = event->header.size;
		cr_assert_arr_eq(event, given, used, "kind %u", kind);
	}
	cr_assert_eq(recording_next(reader, &event), 0);
	cr_assert_eq(recording_position(reader), (uint64_t)status.st_size);
	cr_assert_eq(recording_skipped(reader), 0);
	recording_close(reader);
	place_remove(&place);
}

Test(recording, header_comes_back)
{
	const struct recording_header *got;
	struct recording_reader *reader;
	struct failure why;
	struct place place;

	place_make(&place);
	write_all_kinds(&place, true);
	cr_assert_eq(recording_open(&reader, place.path, &why), 0, "%s", why.message);
	got = recording_header(reader);
	cr_assert_eq(got->realtime_offset_ns, header.realtime_offset_ns);
	cr_assert_str_eq(got->version, "0.1.0");
	cr_assert_eq(got->pid, 4711);
	cr_assert_str_eq(got->nginx_version, "nginx/1.22.1");
	cr_assert_str_eq(got->kernel, "6.1.0");
	cr_assert_eq(got->library_count, 2);
	cr_assert_str_eq(got->libraries[0].path, libraries[0].path);
	cr_assert_str_eq(got->libraries[0].build_id, "b0a1");
	cr_assert_str_eq(got->libraries[1].path, libraries[1].path);
	cr_assert_null(got->libraries[1].build_id);
	cr_assert_str_eq(got->libraries[1].flavour, "OpenSSL 3.0");
	cr_assert_eq(got->probe_count, 2);
	cr_assert_str_eq(got->probes[1], "SSL_set_fd");
	cr_assert_eq(got->missing_count, 1);
	cr_assert_str_eq(got->missing[0], "error.text");
	cr_assert(got->same_openssl);
	cr_assert(got->anonymized);
	recording_close(reader);
	place_remove(&place);
}

/* More than the reader's buffer holds: events lie across its end. */
Test(recording, many_events)
{
	enum { COUNT = 20000 };
	struct recording_reader *reader;
	struct recording_writer *writer;
	const struct event *event;
	uint8_t bytes[WIRE_LARGE];
	union any_event any;
	struct failure why;
	struct place place;

	place_make(&place);
	cr_assert_eq(recording_create(&writer, place.path, &header, false), 0);
	for (unsigned i = 0; i < COUNT; i++) {
		size_t len = 1 + i * 7919 % WIRE_LARGE;

		memset(bytes, (int)i, len);
		cr_assert_eq(recording_write(writer,
					     event_wire_of(&any, i, i, WIRE_OUT, i, 0, bytes, len)),
			     0);
	}
	cr_assert_eq(recording_writer_close(writer), 0);
	cr_assert_eq(recording_open(&reader, place.path, &why), 0, "%s", why.message);
	for (unsigned i = 0; i < COUNT; i++) {
		size_t len = 1 + i * 7919 % WIRE_LARGE;

		memset(bytes, (int)i, len);
		cr_assert_eq(recording_next(reader, &event), 1);
		cr_assert_eq(event->header.cookie, i);
		cr_assert_eq(event->wire.len, len);
		cr_assert_arr_eq(event->wire.bytes, bytes, len);
	}
	cr_assert_eq(recording_next(reader, &event), 0);
	recording_close(reader);
	place_remove(&place);
}

Test(recording, cut_at_every_byte)
{
	struct recording_reader *reader;
	size_t len, header_len;
	int count, whole, before = 0;
	struct failure why;
	struct place place;
	uint8_t *bytes;

	place_make(&place);
	write_all_kinds(&place, false);
	bytes = place_read(&place, &len);
	reader = open_bytes(bytes, len, &why);
	cr_assert(reader, "%s", why.message);
	header_len = recording_position(reader);
	cr_assert_eq(read_all(reader, &whole), 0);
	recording_close(reader);
	for (size_t cut = 1; cut < len; cut++) {
		uint8_t *part = malloc(cut);

		memcpy(part, bytes,
		       cut); /* exactly as long as it is: a sanitizer sees one byte more */
		reader = open_bytes(part, cut, &why);
		cr_assert_eq(reader != NULL, cut >= header_len, "cut at %zu", cut);
		if (!reader) {
			cr_assert_eq(why.exit_code, EXIT_RUNTIME);
			cr_assert_null(strchr(why.message, '\n'));
		} else {
			uint64_t at;
			int end = read_all(reader, &count);

			at = recording_position(reader);
			cr_assert(count == before || count == before + 1);
			cr_assert_eq(end, at == cut ? 0 : -EBADMSG, "cut at %zu", cut);
			before = count;
		}
		recording_close(reader);
		free(part);
	}
	cr_assert_eq(before, whole - 1);
	free(bytes);
	place_remove(&place);
}

/* xorshift64: the same file every time. */
static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

Test(recording, mutations)
{
	uint64_t state = 88172645463325252u;
	int refused = 0, corrupt = 0, clean = 0, count;
	struct place place;
	uint8_t *bytes, *copy;
	size_t len;

	place_make(&place);
	write_all_kinds(&place, false);
	bytes = place_read(&place, &len);
	copy = malloc(len);
	for (int round = 0; round < 10000; round++) {
		struct recording_reader *reader;
		struct failure why;

		memcpy(copy, bytes, len);
		for (uint64_t i = 0, n = 1 + next_random(&state) % 8; i < n; i++)
			copy[next_random(&state) % len] = (uint8_t)next_random(&state);
		reader = open_bytes(copy, len, &why);
		if (!reader)
			refused++;
		else if (read_all(reader, &count) < 0)
			corrupt++;
		else
			clean++;
		recording_close(reader);
	}
	cr_assert_eq(refused + corrupt + clean, 10000);
	cr_assert(refused > 100 && corrupt > 100 && clean > 100, "%d %d %d", refused, corrupt,
		  clean);
	free(copy);
	free(bytes);
	place_remove(&place);
}

Test(recording, unknown_kinds_are_skipped)
{
	struct recording_reader *reader;
	struct recording_writer *writer;
	union any_event any;
	struct failure why;
	struct place place;
	int count;

	place_make(&place);
	cr_assert_eq(recording_create(&writer, place.path, &header, false), 0);
	cr_assert_eq(recording_write(writer, EVENT_OF(&any, EVENT_KIND_MAX + 7, signal, 1, 1, 1)),
		     0);
	cr_assert_eq(recording_write(writer, EVENT_OF(&any, EVENT_PEER_FIN, signal, 2, 1, 1)), 0);
	cr_assert_eq(recording_write(writer, EVENT_OF(&any, EVENT_KIND_MAX, lost, 3, 1, 1)), 0);
	cr_assert_eq(recording_writer_close(writer), 0);
	cr_assert_eq(recording_open(&reader, place.path, &why), 0, "%s", why.message);
	cr_assert_eq(read_all(reader, &count), 0);
	cr_assert_eq(count, 1);
	cr_assert_eq(recording_skipped(reader), 2);
	recording_close(reader);
	place_remove(&place);
}

/* A file that some other program wrote may hold events of any length. */
Test(recording, events_that_lie_askew)
{
	struct recording_reader *reader;
	const struct event *got;
	union any_event any;
	struct failure why;
	uint8_t file[4096];
	struct layout_preamble preamble = {
		.magic = LAYOUT_MAGIC,
		.byte_order = LAYOUT_BYTE_ORDER,
		.format = LAYOUT_FORMAT,
		.facts_len = 8,
	};
	size_t len = 0;

	memcpy(file, &preamble, sizeof(preamble));
	memcpy(file + sizeof(preamble), "pid=12\n\n", 8);
	len = sizeof(preamble) + 8;
	for (unsigned i = 0; i < 5; i++) {
		struct event *event = EVENT_OF(&any, EVENT_PEER_FIN, signal, i, 1, i);

		event->header.size = EVENT_HEADER_SIZE + 3;
		memcpy(file + len, event, EVENT_HEADER_SIZE + 3);
		len += EVENT_HEADER_SIZE + 3;
	}
	reader = open_bytes(file, len, &why);
	cr_assert(reader, "%s", why.message);
	cr_assert_eq(recording_header(reader)->pid, 12);
	for (unsigned i = 0; i < 5; i++) {
		cr_assert_eq(recording_next(reader, &got), 1);
		cr_assert_eq((uintptr_t)got % 8, 0);
		cr_assert_eq(got->header.cookie, i);
	}
	cr_assert_eq(recording_next(reader, &got), 0);
	recording_close(reader);
}

static void assert_refused(const void *bytes, size_t len, const char *because)
{
	struct failure why = {0};

	cr_assert_null(open_bytes(bytes, len, &why));
	cr_assert_eq(why.exit_code, EXIT_RUNTIME);
	cr_assert(strstr(why.message, because), "%s", why.message);
	cr_assert_null(strchr(why.message, '\n'));
}

Test(recording, bad_headers)
{
	struct recording_reader *reader;
	struct layout_preamble *preamble;
	struct failure why;
	struct place place;
	uint8_t *bytes;
	size_t len;

	place_make(&place);
	write_all_kinds(&place, false);
	bytes = place_read(&place, &len);
	preamble = (struct layout_preamble *)bytes;
	assert_refused("{\"type\":\"session\"}\n", 19, "not a recording");
	assert_refused("tl", 2, "not a recording");
	assert_refused(bytes, 20, "");
	preamble->byte_order = 0x04030201;
	assert_refused(bytes, len, "byte order");
	preamble->byte_order = LAYOUT_BYTE_ORDER;
	preamble->format = LAYOUT_FORMAT + 1;
	assert_refused(bytes, len, "format");
	preamble->format = LAYOUT_FORMAT;
	preamble->facts_len = UINT32_MAX;
	assert_refused(bytes, len, "header");
	preamble->facts_len = (uint32_t)len;
	assert_refused(bytes, len, "header");
	free(bytes);

	cr_assert_eq(truncate(place.path, 0), 0);
	cr_assert_eq(recording_open(&reader, place.path, &why), -1);
	cr_assert(strstr(why.message, "empty"), "%s", why.message);
	cr_assert_eq(recording_open(&reader, place.directory, &why), -1);
	cr_assert(strstr(why.message, "directory"), "%s", why.message);
	unlink(place.path);
	cr_assert_eq(recording_open(&reader, place.path, &why), -1);
	cr_assert(strstr(why.message, "No such file"), "%s", why.message);
	cr_assert_eq(why.exit_code, EXIT_RUNTIME);
	place_remove(&place);
}

Test(recording, refuses_what_is_no_file)
{
	struct recording_writer *writer = NULL;
	struct place place;

	place_make(&place);
	cr_assert_eq(recording_create(&writer, place.directory, &header, false), -EISDIR);
	cr_assert_eq(recording_create(&writer, "/tmp/no/such/place", &header, false), -ENOENT);
	cr_assert_eq(recording_create(&writer, "/dev/full", &header, false), -ENOSPC);
	cr_assert_null(writer);
	place_remove(&place);
}

/* A file that was there is emptied, and becomes private. */
Test(recording, replaces_a_file)
{
	struct recording_reader *reader;
	struct failure why;
	struct place place;
	struct stat status;
	FILE *file;
	int count;

	place_make(&place);
	file = fopen(place.path, "w");
	for (int i = 0; i < 100000; i++)
		fputc('x', file);
	fclose(file);
	cr_assert_eq(chmod(place.path, 0644), 0);
	write_all_kinds(&place, false);
	cr_assert_eq(stat(place.path, &status), 0);
	cr_assert_eq(status.st_mode & 0777, 0600);
	cr_assert_lt(status.st_size, 10000);
	cr_assert_eq(recording_open(&reader, place.path, &why), 0, "%s", why.message);
	cr_assert_eq(read_all(reader, &count), 0);
	recording_close(reader);
	place_remove(&place);
}

Test(recording, write_errors_stay)
{
	struct recording_writer *writer;
	union any_event any;
	struct place place;
	struct event *event;

	place_make(&place);
	cr_assert_eq(recording_create(&writer, place.path, &header, false), 0);
	event = EVENT_OF(&any, EVENT_WIRE, wire, 1, 1, 1);
	event->wire.len = 100; /* more than the event has */
	cr_assert_eq(recording_write(writer, event), -EINVAL);
	event->wire.len = 0;
	cr_assert_eq(recording_write(writer, event), 0);
	cr_assert_eq(recording_writer_flush(writer), 0);
	cr_assert_eq(recording_writer_close(writer), 0);
	cr_assert_eq(recording_writer_close(NULL), 0);
	recording_close(NULL);
	place_remove(&place);
}

/* The unused tail of a ring record holds what was there before: none of it is written. */
Test(recording, tails_are_not_written)
{
	struct recording_writer *writer;
	union any_event any;
	struct place place;
	struct event *event;
	uint8_t *bytes;
	size_t len;

	place_make(&place);
	cr_assert_eq(recording_create(&writer, place.path, &header, false), 0);
	event = event_wire_of(&any, 1, 1, WIRE_IN, 0, WIRE_START, "abc", 3);
	memcpy(event->wire.bytes + 3, "SECRET", 6);
	cr_assert_eq(recording_write(writer, event), 0);
	cr_assert_eq(recording_writer_close(writer), 0);
	bytes = place_read(&place, &len);
	cr_assert(memmem(bytes, len, "abc", 3));
	cr_assert_null(memmem(bytes, len, "SEC", 3));
	free(bytes);
	place_remove(&place);
}

/* ---- anonymize ----------------------------------------------------------------------- */

static const uint8_t peer6[16] = {0x20, 1, 0xd, 0xb8, 0xaa, 0xbb, 0xcc, 0xdd,
				  1,	2, 3,	4,    5,    6,	  7,	8};
static const uint8_t mapped[16] = {[10] = 0xff, 0xff, 198, 51, 100, 77};

/* The tuple of an event that has one. */
static struct event_tuple *tuple_of(struct event *event)
{
	switch (event->header.kind) {
	case EVENT_LISTENER:
		return &event->listener.tuple;
	case EVENT_OPEN:
		return &event->open.tuple;
	case EVENT_CLOSE:
		return &event->close.tuple;
	default:
		return &event->wire_early.tuple;
	}
}

Test(recording, anonymize_cuts_the_peer)
{
	static const uint32_t kinds[] = {EVENT_LISTENER, EVENT_OPEN, EVENT_CLOSE, EVENT_WIRE_EARLY};
	static const uint8_t local[4] = {192, 0, 2, 10}, cut4[4] = {198, 51, 100, 0};
	union any_event any;

	for (size_t i = 0; i < 4; i++) {
		struct event *event = event_of_kind(&any, kinds[i]);
		struct event_tuple *tuple = tuple_of(event);
		uint8_t cut[16] = {0};

		anonymize_event(event);
		cr_assert_arr_eq(tuple->remote, cut4, 4);
		cr_assert_arr_eq(tuple->local, local, 4);

		tuple->family = AF_INET6;
		memcpy(tuple->remote, mapped, 16);
		anonymize_event(event);
		memcpy(cut, mapped, 15);
		cr_assert_arr_eq(tuple->remote, cut, 16);

		memcpy(tuple->remote, peer6, 16);
		memcpy(tuple->local, peer6, 16);
		anonymize_event(event);
		memset(cut, 0, 16);
		memcpy(cut, peer6, 6);
		cr_assert_arr_eq(tuple->remote, cut, 16);
		cr_assert_arr_eq(tuple->local, peer6, 16);
	}
}

Test(recording, anonymize_cuts_proxy_headers)
{
	static const char proxy[] = "PROXY TCP4 203.0.113.99 192.0.2.10 51234 443\r\n";
	struct event_tuple tuple = event_tuple_of(40000, 77);
	struct recording_writer *writer;
	union any_event any;
	struct place place;
	uint8_t *bytes;
	size_t len;

	place_make(&place);
	cr_assert_eq(recording_create(&writer, place.path, &header, true), 0);
	cr_assert_eq(recording_write(writer, event_wire_of(&any, 1, 1, WIRE_IN, 0, WIRE_PROXY,
							   proxy, strlen(proxy))),
		     0);
	cr_assert_eq(any.event.wire.bytes[21], '9', "what is given is not changed");
	cr_assert_eq(recording_write(writer, event_early_of(&any, 1, 1, &tuple, 7, WIRE_PROXY,
							    proxy, strlen(proxy))),
		     0);
	cr_assert_eq(recording_writer_close(writer), 0);
	bytes = place_read(&place, &len);
	cr_assert(memmem(bytes, len, "PROXY TCP4 203.0.113.0", 22));
	cr_assert_null(memmem(bytes, len, "203.0.113.9", 11));
	cr_assert_null(memmem(bytes, len, (uint8_t[]){198, 51, 100, 77}, 4));
	free(bytes);
	place_remove(&place);
}
