/* SPDX-License-Identifier: BSD-2-Clause */
/* NDJSON, schema 1. yajl_gen keeps each line's outline; fragments are what is inside. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_gen.h>

#include "output/fragment.h"
#include "output/json_record.h"
#include "output/offer_cache.h"
#include "output/output.h"

#define SCHEMA "1"

/* Lines are gathered until here, so that a flood costs one write for some forty records. */
#define BUFFER_MAX (128 * 1024)

struct json_output {
	struct output output;
	FILE *out;
	yajl_gen gen;
	struct fragment fragment;
	struct offer_cache *offers;
};

static struct json_output *json_of(struct output *output)
{
	return (struct json_output *)output;
}

static int json_flush(struct output *output)
{
	struct json_output *json = json_of(output);
	const unsigned char *text;
	size_t len;
	int err = 0;

	yajl_gen_get_buf(json->gen, &text, &len);
	/* A failed write is not tried again with the same lines: its reader is gone. */
	if ((len && fwrite(text, 1, len, json->out) != len) || fflush(json->out))
		err = errno ? -errno : -EIO;
	yajl_gen_clear(json->gen);
	return err;
}

/* ---- values ---------------------------------------------------------------------------------- */

static void key_of(struct json_output *json, const char *key, size_t len)
{
	yajl_gen_string(json->gen, (const unsigned char *)key, len);
}
#define KEY(json, key) key_of(json, key, sizeof(key) - 1)

/* Gives the fragment to yajl and empties it; without memory a null keeps the line valid. */
static void put_fragment(struct json_output *json)
{
	struct fragment *fragment = &json->fragment;

	if (fragment->failed || !fragment->len)
		yajl_gen_null(json->gen);
	else
		yajl_gen_number(json->gen, fragment->at, fragment->len);
	fragment->len = 0;
}

static void put_unsigned(struct json_output *json, uint64_t value)
{
	fragment_unsigned(&json->fragment, value);
	put_fragment(json);
}

static void put_text(struct json_output *json, const char *text)
{
	fragment_text(&json->fragment, text);
	put_fragment(json);
}

static void put_time(struct json_output *json, uint64_t time_ns)
{
	fragment_time(&json->fragment, time_ns);
	put_fragment(json);
}

static void put_texts(struct json_output *json, const char *const *texts, int count)
{
	yajl_gen_array_open(json->gen);
	for (int i = 0; i < count; i++)
		put_text(json, texts[i]);
	yajl_gen_array_close(json->gen);
}

static void put_numbers(struct json_output *json, const uint32_t *numbers, int count)
{
	yajl_gen_array_open(json->gen);
	for (int i = 0; i < count; i++)
		put_unsigned(json, numbers[i]);
	yajl_gen_array_close(json->gen);
}

static void put_endpoint(struct json_output *json, const struct endpoint *endpoint)
{
	fragment_endpoint(&json->fragment, endpoint);
	put_fragment(json);
}

#define PUT_NAME(json, name)                                                                       \
	yajl_gen_string((json)->gen, (const unsigned char *)(name), strlen(name))
#define PUT_RAW(json, text) yajl_gen_number((json)->gen, text, sizeof(text) - 1)

/* ---- lines ----------------------------------------------------------------------------------- */

static void line_begin(struct json_output *json, const char *type)
{
	json->fragment.failed = false;
	yajl_gen_map_open(json->gen);
	KEY(json, "type");
	PUT_NAME(json, type);
}

static int line_end(struct json_output *json)
{
	const unsigned char *text;
	size_t len;

	yajl_gen_map_close(json->gen);
	/* Ends the line, and makes yajl ready for the next object. */
	yajl_gen_reset(json->gen, "\n");
	yajl_gen_get_buf(json->gen, &text, &len);
	if (len >= BUFFER_MAX)
		return json_flush(&json->output);
	return 0;
}

static void put_sni(struct json_output *json, const struct span *sni)
{
	if (sni->at)
		fragment_string(&json->fragment, sni->at, sni->len);
	put_fragment(json);
}

static void put_offered(struct json_output *json, const struct record *record)
{
	if (record->hello)
		offer_cache_write(json->offers, &json->fragment, record->hello, record->ja4);
	put_fragment(json);
}

static void put_who(struct json_output *json, const struct record *record)
{
	KEY(json, "schema");
	PUT_RAW(json, SCHEMA);
	KEY(json, "id");
	put_text(json, record->id);
	KEY(json, "previous");
	put_text(json, record->previous[0] ? record->previous : NULL);
	KEY(json, "time");
	put_time(json, record->time_ns);
	KEY(json, "worker_pid");
	if (record->worker_pid)
		put_unsigned(json, record->worker_pid);
	else
		yajl_gen_null(json->gen);
	KEY(json, "side");
	PUT_NAME(json, side_name(record->side));
	KEY(json, "peer");
	put_endpoint(json, &record->peer);
	KEY(json, "local");
	put_endpoint(json, &record->local);
	KEY(json, "proxied_peer");
	put_endpoint(json, &record->proxied_peer);
}

#define PUT_OBJECT(json, key, write, record)                                                       \
	do {                                                                                       \
		KEY(json, key);                                                                    \
		write(&(json)->fragment, record);                                                  \
		put_fragment(json);                                                                \
	} while (0)

static int json_connection(struct output *output, const struct record *record)
{
	struct json_output *json = json_of(output);

	line_begin(json, "connection");
	put_who(json, record);
	KEY(json, "sni");
	put_sni(json, &record->sni);
	KEY(json, "outcome");
	PUT_NAME(json, outcome_name(record->outcome));
	PUT_OBJECT(json, "tls", json_tls, record);
	KEY(json, "offered");
	put_offered(json, record);
	PUT_OBJECT(json, "error", json_error, record);
	PUT_OBJECT(json, "stale_errors", json_stale_errors, record);
	KEY(json, "errno");
	put_unsigned(json, (uint64_t)record->sk_errno);
	PUT_OBJECT(json, "alerts", json_alerts, record);
	PUT_OBJECT(json, "verify", json_verify, record);
	PUT_OBJECT(json, "cause", json_cause, record);
	PUT_OBJECT(json, "latency_us", json_latency, record);
	PUT_OBJECT(json, "tcp", json_tcp, record);
	KEY(json, "handshake_calls");
	put_unsigned(json, record->handshake_calls);
	KEY(json, "history");
	put_text(json, record->history);
	PUT_OBJECT(json, "messages", json_messages, record);
	KEY(json, "transport");
	PUT_RAW(json, "\"tcp\"");
	KEY(json, "container");
	PUT_RAW(json, "null");
	if (json->fragment.failed) {
		line_end(json);
		return -ENOMEM;
	}
	return line_end(json);
}

static int json_session(struct output *output, const struct session_info *session)
{
	struct json_output *json = json_of(output);

	line_begin(json, "session");
	KEY(json, "schema");
	PUT_RAW(json, SCHEMA);
	KEY(json, "version");
	put_text(json, session->version);
	KEY(json, "pid");
	put_unsigned(json, session->pid);
	KEY(json, "nginx_version");
	put_text(json, session->nginx_version);
	KEY(json, "libraries");
	yajl_gen_array_open(json->gen);
	for (int i = 0; i < session->library_count; i++) {
		const struct library_info *library = &session->libraries[i];

		yajl_gen_map_open(json->gen);
		KEY(json, "path");
		put_text(json, library->path);
		KEY(json, "build_id");
		put_text(json, library->build_id);
		KEY(json, "flavour");
		put_text(json, library->flavour);
		yajl_gen_map_close(json->gen);
	}
	yajl_gen_array_close(json->gen);
	KEY(json, "kernel");
	put_text(json, session->kernel);
	KEY(json, "probes");
	put_texts(json, session->probes, session->probe_count);
	KEY(json, "missing");
	put_texts(json, session->missing, session->missing_count);
	return line_end(json);
}

static int json_lost(struct output *output, const struct lost_info *lost)
{
	struct json_output *json = json_of(output);

	line_begin(json, "lost");
	KEY(json, "where");
	put_text(json, lost->where);
	KEY(json, "since");
	put_time(json, lost->since_ns);
	KEY(json, "events");
	put_unsigned(json, lost->events);
	KEY(json, "handshakes");
	put_unsigned(json, lost->handshakes);
	return line_end(json);
}

static int json_reload(struct output *output, const struct reload_info *reload)
{
	struct json_output *json = json_of(output);

	line_begin(json, "reload");
	KEY(json, "time");
	put_time(json, reload->time_ns);
	KEY(json, "succeeded");
	yajl_gen_bool(json->gen, reload->succeeded);
	KEY(json, "old_workers");
	put_numbers(json, reload->old_workers, reload->old_count);
	KEY(json, "new_workers");
	put_numbers(json, reload->new_workers, reload->new_count);
	return line_end(json);
}

static int json_worker_exit(struct output *output, const struct worker_exit_info *info)
{
	struct json_output *json = json_of(output);

	line_begin(json, "worker_exit");
	KEY(json, "time");
	put_time(json, info->time_ns);
	KEY(json, "pid");
	put_unsigned(json, info->pid);
	KEY(json, "signal");
	put_unsigned(json, (uint64_t)info->signal);
	KEY(json, "pending");
	put_unsigned(json, info->pending);
	return line_end(json);
}

static void put_counts(struct json_output *json, const struct summary *summary)
{
	KEY(json, "outcomes");
	yajl_gen_map_open(json->gen);
	for (int i = 0; i < OUTCOME_COUNT; i++) {
		PUT_NAME(json, outcome_name(i));
		put_unsigned(json, summary->outcomes[i]);
	}
	yajl_gen_map_close(json->gen);
	KEY(json, "sides");
	yajl_gen_map_open(json->gen);
	for (int i = 0; i < 2; i++) {
		PUT_NAME(json, side_name(i));
		put_unsigned(json, summary->sides[i]);
	}
	yajl_gen_map_close(json->gen);
	KEY(json, "causes");
	yajl_gen_map_open(json->gen);
	for (int i = 0; i < summary->cause_count; i++) {
		PUT_NAME(json, summary->causes[i].id);
		put_unsigned(json, summary->causes[i].count);
	}
	yajl_gen_map_close(json->gen);
}

static int json_summary(struct output *output, const struct summary *summary)
{
	struct json_output *json = json_of(output);

	line_begin(json, "summary");
	KEY(json, "connections");
	put_unsigned(json, summary->connections);
	KEY(json, "handshakes");
	put_unsigned(json, summary->handshakes);
	KEY(json, "records");
	put_unsigned(json, summary->records);
	KEY(json, "written");
	put_unsigned(json, summary->written);
	KEY(json, "pending");
	put_unsigned(json, summary->pending);
	put_counts(json, summary);
	KEY(json, "events_lost");
	put_unsigned(json, summary->events_lost);
	KEY(json, "handshakes_lost");
	put_unsigned(json, summary->handshakes_lost);
	KEY(json, "duration_s");
	fragment_seconds(&json->fragment, summary->duration_s);
	put_fragment(json);
	return line_end(json);
}

static void json_destroy(struct output *output)
{
	struct json_output *json = json_of(output);

	if (json->gen)
		yajl_gen_free(json->gen);
	offer_cache_free(json->offers);
	fragment_free(&json->fragment);
	free(json);
}

static const struct output_ops json_ops = {
	.session = json_session,
	.connection = json_connection,
	.lost = json_lost,
	.reload = json_reload,
	.worker_exit = json_worker_exit,
	.summary = json_summary,
	.flush = json_flush,
	.destroy = json_destroy,
};

struct output *output_json_new(FILE *out)
{
	struct json_output *json = calloc(1, sizeof(*json));

	if (!json)
		return NULL;
	json->output.ops = &json_ops;
	json->out = out;
	json->gen = yajl_gen_alloc(NULL);
	json->offers = offer_cache_new();
	if (!json->gen || !json->offers) {
		json_destroy(&json->output);
		return NULL;
	}
	return &json->output;
}
