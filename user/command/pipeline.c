/* SPDX-License-Identifier: BSD-2-Clause */
#include "command/pipeline.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/address.h"
#include "diagnose/diagnose.h"
#include "output/spool.h"

static void wrote(struct pipeline *pipeline, int err)
{
	if (err < 0 && !pipeline->write_err)
		pipeline->write_err = err;
}

static void endpoint_anonymize(struct endpoint *endpoint)
{
	anonymize_address(endpoint->address, endpoint->family);
}

static void on_record(void *arg, struct record *record)
{
	struct pipeline *pipeline = arg;

	if (pipeline->enough || pipeline->write_err)
		return;
	diagnose_record(record);
	if (pipeline->options->anonymize) {
		endpoint_anonymize(&record->peer);
		endpoint_anonymize(&record->proxied_peer);
	}
	summary_add(&pipeline->summary, record);
	if (!filter_pass(&pipeline->options->filter, record))
		return;
	wrote(pipeline, pipeline->output->ops->connection(pipeline->output, record));
	pipeline->summary.written++;
	if (pipeline->options->count && pipeline->summary.written >= pipeline->options->count)
		pipeline->enough = true;
}

static void on_reload(void *arg, const struct joiner_reload *reload)
{
	struct pipeline *pipeline = arg;
	struct reload_info info = {
		.time_ns = reload->time_ns,
		.succeeded = reload->succeeded,
		.old_workers = reload->old_workers,
		.new_workers = reload->new_workers,
		.old_count = reload->old_count,
		.new_count = reload->new_count,
	};

	wrote(pipeline, pipeline->output->ops->reload(pipeline->output, &info));
}

static void on_worker_exit(void *arg, const struct joiner_worker_exit *worker)
{
	struct pipeline *pipeline = arg;
	struct worker_exit_info info = {
		.time_ns = worker->time_ns,
		.pid = worker->pid,
		.signal = worker->signal,
		.pending = worker->pending,
	};

	wrote(pipeline, pipeline->output->ops->worker_exit(pipeline->output, &info));
}

static void on_lost(void *arg, const char *where, uint64_t since_ns, uint64_t events,
		    uint64_t handshakes)
{
	struct pipeline *pipeline = arg;
	struct lost_info info = {
		.where = where,
		.since_ns = since_ns,
		.events = events,
		.handshakes = handshakes,
	};

	wrote(pipeline, pipeline->output->ops->lost(pipeline->output, &info));
}

static void on_text_unknown(void *arg, uint64_t code)
{
	struct pipeline *pipeline = arg;

	(void)code;
	pipeline->text_wanted = true;
}

static struct output *output_of(const struct options *options, FILE *stream)
{
	bool terminal = isatty(STDOUT_FILENO);
	struct winsize size;
	int width = 0;

	if (options->format == FORMAT_JSON || (options->format == FORMAT_AUTO && !terminal))
		return output_json_new(stream);
	if (terminal && !ioctl(STDOUT_FILENO, TIOCGWINSZ, &size))
		width = size.ws_col;
	return output_text_new(stream, width, terminal && !getenv("NO_COLOR"));
}

/* Whoever reads a pipe, a socket or a terminal may do so slowly; a file, or a replay, waits for nobody. */
static FILE *stream_open(const struct options *options)
{
	struct stat status;

	if (options->command != COMMAND_REPLAY && !fstat(STDOUT_FILENO, &status) &&
	    (S_ISFIFO(status.st_mode) || S_ISSOCK(status.st_mode) || isatty(STDOUT_FILENO)))
		return spool_open(STDOUT_FILENO);
	return fdopen(dup(STDOUT_FILENO), "w");
}

int pipeline_open(struct pipeline *pipeline, const struct options *options,
		  const struct joiner_config *config)
{
	const struct joiner_sink sink = {
		.record = on_record,
		.reload = on_reload,
		.worker_exit = on_worker_exit,
		.lost = on_lost,
		.text_unknown = on_text_unknown,
		.arg = pipeline,
	};

	memset(pipeline, 0, sizeof(*pipeline));
	pipeline->options = options;
	pipeline->stream = stream_open(options);
	if (!pipeline->stream)
		return -ENOMEM;
	pipeline->output = output_of(options, pipeline->stream);
	pipeline->joiner = joiner_new(config, &sink);
	if (pipeline->output && pipeline->joiner)
		return 0;
	pipeline_close(pipeline);
	return -ENOMEM;
}

void pipeline_session(struct pipeline *pipeline, const struct session_info *session)
{
	wrote(pipeline, pipeline->output->ops->session(pipeline->output, session));
	wrote(pipeline, pipeline->output->ops->flush(pipeline->output));
}

void pipeline_event(struct pipeline *pipeline, const struct event *event)
{
	if (event->header.ts_ns > pipeline->last_ns)
		pipeline->last_ns = event->header.ts_ns;
	if (!pipeline->begin_ns)
		pipeline->begin_ns = event->header.ts_ns;
	joiner_event(pipeline->joiner, event);
}

void pipeline_advance(struct pipeline *pipeline, uint64_t now_ns)
{
	joiner_advance(pipeline->joiner, now_ns);
	wrote(pipeline, pipeline->output->ops->flush(pipeline->output));
}

void pipeline_reader_lost(struct pipeline *pipeline, uint64_t events)
{
	pipeline->summary.events_lost += events;
	on_lost(pipeline, "reader", 0, events, 0);
}

int pipeline_finish(struct pipeline *pipeline, uint64_t now_ns)
{
	struct joiner_counts counts;

	joiner_finish(pipeline->joiner, now_ns);
	joiner_counts(pipeline->joiner, &counts);
	pipeline->summary.pending = counts.pending;
	pipeline->summary.events_lost += counts.events_lost;
	pipeline->summary.handshakes_lost = counts.handshakes_lost;
	if (now_ns > pipeline->begin_ns && pipeline->begin_ns)
		pipeline->summary.duration_s = (now_ns - pipeline->begin_ns) / 1e9;
	wrote(pipeline, pipeline->output->ops->summary(pipeline->output, &pipeline->summary));
	wrote(pipeline, pipeline->output->ops->flush(pipeline->output));
	output_destroy(pipeline->output);
	pipeline->output = NULL;
	if (fclose(pipeline->stream))
		wrote(pipeline, -errno);
	pipeline->stream = NULL;
	summary_print(&pipeline->summary, stderr);
	return pipeline->write_err == -EPIPE ? 0 : pipeline->write_err;
}

void pipeline_close(struct pipeline *pipeline)
{
	output_destroy(pipeline->output);
	if (pipeline->stream)
		fclose(pipeline->stream);
	pipeline->stream = NULL;
	joiner_free(pipeline->joiner);
	pipeline->output = NULL;
	pipeline->joiner = NULL;
}
