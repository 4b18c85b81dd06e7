/* SPDX-License-Identifier: BSD-2-Clause */
#include "command/replay.h"

#include <signal.h>
#include <string.h>

#include "command/pipeline.h"
#include "record/recording.h"

static void session_tell(struct pipeline *pipeline, const struct recording_header *header)
{
	struct library_info libraries[8];
	struct session_info info = {
		.version = TLSWHY_VERSION,
		.pid = header->pid,
		.nginx_version = header->nginx_version,
		.libraries = libraries,
		.kernel = header->kernel,
		.probes = header->probes,
		.probe_count = header->probe_count,
		.missing = header->missing,
		.missing_count = header->missing_count,
	};

	for (int i = 0; i < header->library_count && i < 8; i++) {
		libraries[i].path = header->libraries[i].path;
		libraries[i].build_id = header->libraries[i].build_id;
		libraries[i].flavour = header->libraries[i].flavour;
		info.library_count++;
	}
	pipeline_session(pipeline, &info);
}

int command_replay(const struct options *options, struct failure *why)
{
	struct recording_reader *reader;
	const struct event *event;
	struct joiner_config config;
	struct pipeline pipeline;
	int more, err;

	signal(SIGPIPE, SIG_IGN);
	if (recording_open(&reader, options->file, why) < 0)
		return -1;
	config.realtime_offset_ns = recording_header(reader)->realtime_offset_ns;
	config.same_openssl = recording_header(reader)->same_openssl;
	if (pipeline_open(&pipeline, options, &config) < 0) {
		recording_close(reader);
		return failure_set(why, EXIT_RUNTIME, "cannot replay: out of memory; free some");
	}
	session_tell(&pipeline, recording_header(reader));
	while ((more = recording_next(reader, &event)) > 0 && !pipeline.enough &&
	       !pipeline.write_err)
		pipeline_event(&pipeline, event);
	if (more < 0)
		pipeline_reader_lost(&pipeline, 1);
	err = pipeline_finish(&pipeline, pipeline.last_ns);
	pipeline_close(&pipeline);
	if (more < 0)
		err = failure_set(why, EXIT_RUNTIME,
				  "%s is cut short or corrupt at byte %llu; what came before it was "
				  "replayed",
				  options->file, (unsigned long long)recording_position(reader));
	else if (err < 0)
		err = failure_set(why, EXIT_RUNTIME,
				  "cannot write records: %s; see where stdout goes", strerror(-err));
	recording_close(reader);
	return err;
}
