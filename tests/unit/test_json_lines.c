/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>

#include "fixture_json.h"

static struct output *memory_output(struct written *written, FILE **ret_file)
{
	*ret_file = open_memstream(&written->text, &written->len);
	return output_json_new(*ret_file);
}

static void memory_close(struct written *written, struct output *output, FILE *file)
{
	cr_assert_eq(output->ops->flush(output), 0);
	output_destroy(output);
	fclose(file);
	written_parse(written);
}

Test(json_lines, session)
{
	static const char *const probes[] = {"SSL_do_handshake", "SSL_set_fd"};
	static const char *const missing[] = {"container"};
	const struct library_info libraries[] = {{"/usr/lib/libssl.so.3", NULL, "OpenSSL 3.0.22"}};
	const struct session_info session = {"0.1.0", 812,    NULL, libraries, 1,
					     "6.18",  probes, 2,    missing,   1};
	struct written written = {0};
	FILE *file;
	struct output *output = memory_output(&written, &file);

	cr_assert_eq(output->ops->session(output, &session), 0);
	memory_close(&written, output, file);
	is_text(&written, "type", NULL, "session");
	is_int(&written, "schema", NULL, 1);
	is_text(&written, "version", NULL, "0.1.0");
	is_int(&written, "pid", NULL, 812);
	is_null(&written, "nginx_version", NULL);
	is_text(&written, "kernel", NULL, "6.18");
	is_list(&written, "probes", NULL, "SSL_do_handshake SSL_set_fd");
	is_list(&written, "missing", NULL, "container");
	cr_assert(strstr(written.text, "\"libraries\":[{\"path\":\"/usr/lib/libssl.so.3\","
				       "\"build_id\":null,\"flavour\":\"OpenSSL 3.0.22\"}]"));
	written_free(&written);
}

Test(json_lines, lost)
{
	const struct lost_info lost = {"ring", 1785067471000000000, 12, 3};
	struct written written = {0};
	FILE *file;
	struct output *output = memory_output(&written, &file);

	output->ops->lost(output, &lost);
	memory_close(&written, output, file);
	cr_assert_str_eq(written.text, "{\"type\":\"lost\",\"where\":\"ring\","
				       "\"since\":\"2026-07-26T12:04:31.000000Z\",\"events\":12,"
				       "\"handshakes\":3}\n");
	written_free(&written);
}

Test(json_lines, reload_and_worker_exit)
{
	static const uint32_t old[] = {10, 11}, new[] = {12};
	const struct reload_info reload = {0, true, old, new, 2, 1};
	const struct worker_exit_info info = {0, 10, 11, 4};
	struct written written = {0};
	FILE *file;
	struct output *output = memory_output(&written, &file);

	output->ops->reload(output, &reload);
	memory_close(&written, output, file);
	cr_assert_str_eq(written.text,
			 "{\"type\":\"reload\",\"time\":\"1970-01-01T00:00:00.000000Z\","
			 "\"succeeded\":true,\"old_workers\":[10,11],\"new_workers\":[12]}\n");
	written_free(&written);
	output = memory_output(&written, &file);
	output->ops->worker_exit(output, &info);
	memory_close(&written, output, file);
	cr_assert_str_eq(written.text,
			 "{\"type\":\"worker_exit\",\"time\":\"1970-01-01T00:00:00.000000Z\","
			 "\"pid\":10,\"signal\":11,\"pending\":4}\n");
	written_free(&written);
}

Test(json_lines, summary)
{
	struct client_hello hello = fixture_hello();
	struct record good = fixture_record(&hello), bad = fixture_failed(&hello, 0, NULL);
	struct record second = bad, silent = bad;
	struct summary summary = {.written = 4,
				  .pending = 1,
				  .events_lost = 7,
				  .handshakes_lost = 2,
				  .duration_s = 12.3456};
	struct written written = {0};
	FILE *file;
	struct output *output = memory_output(&written, &file);

	bad.cause.id = second.cause.id = "no-shared-cipher";
	strcpy(second.previous, "4a1f-17");
	second.handshake_calls = 0;
	silent.outcome = OUTCOME_ABORTED;
	silent.side = SIDE_UPSTREAM;
	silent.handshake_calls = 0;
	silent.cause.id = "upstream-connect-failed";
	summary_add(&summary, &good);
	summary_add(&summary, &bad);
	summary_add(&summary, &second);
	summary_add(&summary, &silent);
	output->ops->summary(output, &summary);
	memory_close(&written, output, file);
	is_int(&written, "connections", NULL, 3);
	is_int(&written, "handshakes", NULL, 2);
	is_int(&written, "records", NULL, 4);
	is_int(&written, "written", NULL, 4);
	is_int(&written, "pending", NULL, 1);
	is_int(&written, "outcomes", "established", 1);
	is_int(&written, "outcomes", "failed", 2);
	is_int(&written, "outcomes", "aborted", 1);
	is_int(&written, "outcomes", "timed_out", 0);
	is_int(&written, "sides", "client", 3);
	is_int(&written, "sides", "upstream", 1);
	is_int(&written, "causes", "no-shared-cipher", 2);
	is_int(&written, "causes", "upstream-connect-failed", 1);
	is_int(&written, "events_lost", NULL, 7);
	is_int(&written, "handshakes_lost", NULL, 2);
	cr_assert(strstr(written.text, "\"duration_s\":12.346}"));
	written_free(&written);
}

/* A reader that is gone: the error is told once, and nothing piles up. */
Test(json_lines, write_error_is_returned)
{
	FILE *file = fopen("/dev/full", "w");
	struct output *output = output_json_new(file);
	struct record record = fixture_record(NULL);

	cr_assert_eq(output->ops->connection(output, &record), 0);
	cr_assert_eq(output->ops->flush(output), -ENOSPC);
	output_destroy(output);
	fclose(file);
}

/* What stderr says: the most frequent cause first. */
Test(json_lines, summary_for_a_person)
{
	struct record record = fixture_failed(NULL, 0, NULL);
	struct summary summary = {
		.written = 3, .duration_s = 2, .events_lost = 5, .handshakes_lost = 1};
	char *text = NULL;
	size_t len = 0;
	FILE *file = open_memstream(&text, &len);

	record.cause.id = "no-shared-alpn";
	summary_add(&summary, &record);
	record.cause.id = "no-shared-cipher";
	summary_add(&summary, &record);
	summary_add(&summary, &record);
	summary_print(&summary, file);
	fclose(file);
	cr_assert_str_eq(text,
			 "tlswhy: 3 connections in 2.0 s: 3 handshakes, 0 established, 3 failed\n"
			 "         2  no-shared-cipher\n"
			 "         1  no-shared-alpn\n"
			 "tlswhy: lost 5 events, 1 of them the end of a handshake\n");
	free(text);
}

/* More causes than there is room for are counted together, never dropped. */
Test(json_lines, summary_is_bounded)
{
	static char ids[SUMMARY_CAUSES_MAX + 10][24];
	struct record record = fixture_failed(NULL, 0, NULL);
	struct summary summary = {0};
	uint64_t counted = 0;

	for (int i = 0; i < SUMMARY_CAUSES_MAX + 10; i++) {
		snprintf(ids[i], sizeof(ids[i]), "cause-%d", i);
		record.cause.id = ids[i];
		summary_add(&summary, &record);
	}
	cr_assert_eq(summary.cause_count, SUMMARY_CAUSES_MAX);
	for (int i = 0; i < summary.cause_count; i++)
		counted += summary.causes[i].count;
	cr_assert_eq(counted, SUMMARY_CAUSES_MAX + 10);
	cr_assert_str_eq(summary.causes[SUMMARY_CAUSES_MAX - 1].id, "other");
}
