/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Events of a hostile recording: through the judge, the joiner, the diagnosis and the outputs.
 *
 * The input is a sequence of events, one behind the other: header.size says where the next begins.
 * Everything a record points at is read, and everything that is written must be whole.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "diagnose/diagnose.h"
#include "join/joiner.h"
#include "output/filter.h"
#include "output/output.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition))                                                                  \
			abort();                                                                   \
	} while (0)

/* Each event costs microseconds; a long input teaches nothing that a short one does not. */
#define EVENTS_MAX 4096

struct audience {
	struct output *json, *text;
	struct summary summary;
	unsigned sum; /* of all bytes shown, so that no read is optimised away */
};

static unsigned walk_bytes(const void *at, size_t len)
{
	const uint8_t *bytes = at;
	unsigned sum = 0;

	for (size_t i = 0; i < len; i++)
		sum += bytes[i];
	return sum;
}

static unsigned walk_text(const char *text)
{
	return text ? walk_bytes(text, strlen(text)) : 0;
}

static unsigned walk_span(struct span span)
{
	CHECK(span.at || !span.len);
	return walk_bytes(span.at, span.len);
}

static unsigned walk_hello(const struct client_hello *hello)
{
	return walk_span(hello->random) + walk_span(hello->session_id) +
	       walk_span(hello->ciphers.bytes) + walk_span(hello->compression) +
	       walk_span(hello->extensions) + walk_span(hello->sni) +
	       walk_span(hello->versions.bytes) + walk_span(hello->groups.bytes) +
	       walk_span(hello->signature_algorithms.bytes) + walk_span(hello->alpn);
}

static unsigned walk_errors(const struct record_error *errors, int count)
{
	unsigned sum = 0;

	CHECK(count >= 0 && count <= RECORD_ERRORS_MAX);
	for (int i = 0; i < count; i++)
		sum += walk_text(errors[i].text) + walk_text(errors[i].data);
	return sum;
}

/* total = hello_wait + pickup + crypto + peer_wait, where what was not measured counts as 0. */
static void check_latency(const struct record_latency *latency)
{
	const int64_t parts[] = {latency->hello_wait_us, latency->pickup_us, latency->crypto_us,
				 latency->peer_wait_us};
	int64_t sum = 0;

	for (int i = 0; i < 4; i++)
		sum += parts[i] > 0 ? parts[i] : 0;
	CHECK(latency->total_us >= 0 && sum == latency->total_us);
}

static unsigned walk_record(const struct record *record)
{
	unsigned sum = walk_text(record->id) + walk_text(record->previous) +
		       walk_text(record->ja4) + walk_text(record->history) +
		       walk_text(record->stale_of) + walk_span(record->sni) +
		       walk_span(record->tls.alpn) + walk_span(record->first_bytes);

	CHECK(strlen(record->id) < sizeof(record->id) && *record->id);
	CHECK(record->outcome >= 0 && record->outcome < OUTCOME_COUNT);
	CHECK(record->first_bytes.len <= 12);
	CHECK(record->alert_count >= 0 && record->alert_count <= RECORD_ALERTS_MAX);
	CHECK(record->message_count >= 0 && record->message_count <= RECORD_MESSAGES_MAX);
	if (record->hello)
		sum += walk_hello(record->hello);
	sum += walk_errors(record->errors, record->error_count);
	sum += walk_errors(record->evidence_errors, record->evidence_error_count);
	sum += walk_errors(record->stale_errors, record->stale_error_count);
	if (record->verify.judged)
		sum += walk_text(record->verify.text) + walk_text(record->verify.expected_name);
	check_latency(&record->latency);
	return sum;
}

static void check_cause(const struct record *record)
{
	const struct record_cause *cause = &record->cause;

	CHECK((record->outcome == OUTCOME_ESTABLISHED) == (cause->id == NULL));
	CHECK(cause->evidence_count >= 0 && cause->evidence_count <= 8);
	CHECK(memchr(cause->summary, '\0', sizeof(cause->summary)));
	CHECK(memchr(cause->fix, '\0', sizeof(cause->fix)));
	for (int i = 0; i < cause->evidence_count; i++)
		CHECK(memchr(cause->evidence[i], '\0', sizeof(cause->evidence[i])));
}

static void on_record(void *arg, struct record *record)
{
	struct audience *audience = arg;

	audience->sum += walk_record(record);
	diagnose_record(record);
	check_cause(record);
	summary_add(&audience->summary, record);
	CHECK(audience->json->ops->connection(audience->json, record) == 0);
	CHECK(audience->text->ops->connection(audience->text, record) == 0);
}

static void on_reload(void *arg, const struct joiner_reload *reload)
{
	struct audience *audience = arg;
	struct reload_info info = {
		.time_ns = reload->time_ns,
		.succeeded = reload->succeeded,
		.old_workers = reload->old_workers,
		.old_count = reload->old_count,
		.new_workers = reload->new_workers,
		.new_count = reload->new_count,
	};

	CHECK(audience->json->ops->reload(audience->json, &info) == 0);
	CHECK(audience->text->ops->reload(audience->text, &info) == 0);
}

static void on_worker_exit(void *arg, const struct joiner_worker_exit *exit)
{
	struct audience *audience = arg;
	struct worker_exit_info info = {exit->time_ns, exit->pid, exit->signal, exit->pending};

	CHECK(audience->json->ops->worker_exit(audience->json, &info) == 0);
	CHECK(audience->text->ops->worker_exit(audience->text, &info) == 0);
}

static void on_lost(void *arg, const char *where, uint64_t since_ns, uint64_t events,
		    uint64_t handshakes)
{
	struct audience *audience = arg;
	struct lost_info info = {where, since_ns, events, handshakes};

	CHECK(events || handshakes);
	CHECK(audience->json->ops->lost(audience->json, &info) == 0);
	CHECK(audience->text->ops->lost(audience->text, &info) == 0);
}

/* Every event in a buffer of exactly its size: a read behind it is found. */
static void play(struct joiner *joiner, const uint8_t *data, size_t size)
{
	uint64_t last_ns = 0;
	size_t at = 0;

	for (int count = 0; count < EVENTS_MAX && size - at >= sizeof(struct event_header);
	     count++) {
		uint32_t length;
		struct event *event;

		memcpy(&length, data + at, sizeof(length));
		if (length < EVENT_HEADER_SIZE || length > size - at)
			length = (uint32_t)(size - at);
		event = malloc(length);
		CHECK(event);
		memcpy(event, data + at, length);
		if (event_check(event, length) == 0) {
			joiner_event(joiner, event);
			last_ns = event->header.ts_ns;
		}
		free(event);
		at += length;
	}
	joiner_advance(joiner, last_ns + 2000000000);
	joiner_finish(joiner, last_ns + 2000000001);
}

/* Lines, each one whole JSON object as far as braces tell. */
static void check_lines(const char *text, size_t len)
{
	CHECK(!len || text[len - 1] == '\n');
	for (size_t i = 0; i < len; i++) {
		uint8_t c = (uint8_t)text[i];

		CHECK(c == '\n' || (c >= ' ' && c != 0x7f));
		if (c == '\n')
			CHECK(text[i - 1] == '}' && (i + 1 == len || text[i + 1] == '{'));
	}
}

/* What a terminal is given: no control character, C1's (U+0080 to U+009F) neither. */
static void check_printable(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		uint8_t c = (uint8_t)text[i];

		CHECK(c == '\n' || (c >= ' ' && c != 0x7f));
		CHECK(c != 0xc2 || (i + 1 < len && (uint8_t)text[i + 1] >= 0xa0));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct joiner_config config = {.realtime_offset_ns = 1700000000000000000};
	char *json = NULL, *text = NULL;
	size_t json_len = 0, text_len = 0;
	FILE *json_out = open_memstream(&json, &json_len),
	     *text_out = open_memstream(&text, &text_len);
	struct audience audience = {.json = output_json_new(json_out),
				    .text = output_text_new(text_out, 0, false)};
	struct joiner_sink sink = {on_record, on_reload, on_worker_exit, on_lost, NULL, &audience};
	struct joiner *joiner = joiner_new(&config, &sink);
	struct joiner_counts counts;

	CHECK(json_out && text_out && audience.json && audience.text && joiner);
	play(joiner, data, size);
	joiner_counts(joiner, &counts);
	audience.summary.pending = counts.pending;
	CHECK(audience.json->ops->summary(audience.json, &audience.summary) == 0);
	joiner_free(joiner);
	output_destroy(audience.json);
	output_destroy(audience.text);
	fclose(json_out);
	fclose(text_out);
	check_lines(json, json_len);
	check_printable(text, text_len);
	free(json);
	free(text);
	return 0;
}
