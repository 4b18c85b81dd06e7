/* SPDX-License-Identifier: BSD-2-Clause */
/* The text output of one fixed set of records, whole files compared. UPDATE_GOLDEN=1 rewrites them.
 */
#include <criterion/criterion.h>
#include <locale.h>
#include <stdlib.h>
#include <time.h>

#include "diagnose/diagnose.h"
#include "fixture_record.h"
#include "output/escape.h"
#include "output/output.h"

#define GOLDEN_DIR "tests/golden/"

static void write_record(struct output *output, struct record *record)
{
	diagnose_record(record);
	cr_assert_eq(output->ops->connection(output, record), 0);
	record->time_ns += 17000000;
}

static void write_good(struct output *output, struct client_hello *hello)
{
	struct record record = fixture_record(hello);

	write_record(output, &record);
	record.tls = (struct record_tls){.version = 0x0303, .cipher = 0xc02f, .resumed = YES};
	record.peer = (struct endpoint){AF_INET6,
					{0x20, 0x01, 0x0d, 0xb8, 0x85, 0xa3, 0x12, 0x34, 0x8a, 0x2e,
					 0x03, 0x70, 0x73, 0x34, 0xab, 0xcd},
					50123};
	record.latency.total_us = 41200;
	write_record(output, &record);
	record = fixture_record(hello);
	record.side = SIDE_UPSTREAM;
	record.peer = fixture_ipv4(10, 0, 3, 2, 8443);
	record.tls.version = 0x0303;
	record.latency.total_us = 4321987;
	write_record(output, &record);
	record.peer = (struct endpoint){AF_INET6, {[15] = 1}, 8443};
	record.hello = NULL;
	record.sni = (struct span){0};
	record.latency.total_us = -1;
	write_record(output, &record);
}

static void write_bad(struct output *output, struct client_hello *hello)
{
	static const uint8_t old[] = {0x03, 0x02};
	struct record record = fixture_failed(hello, 0x0a000102,
					      "error:0A000102:SSL routines::unsupported protocol");

	hello->versions.bytes = SPAN_OF(old);
	fixture_alert(&record, ALERT_SENT, 70);
	write_record(output, &record);
	record = fixture_failed(hello, 0x0a000418,
				"error:0A000418:SSL routines::tlsv1 alert unknown ca");
	fixture_alert(&record, ALERT_RECEIVED, 48);
	write_record(output, &record);
	record = fixture_failed(NULL, 0, NULL);
	record.outcome = OUTCOME_ABORTED;
	record.ending = END_PEER_FIN;
	record.preface = PREFACE_NONE;
	record.handshake_calls = 0;
	write_record(output, &record);
	record.outcome = OUTCOME_TIMED_OUT;
	record.ending = END_LOCAL_CLOSE;
	record.latency.total_us = 60000123;
	write_record(output, &record);
	record.outcome = OUTCOME_REJECTED;
	record.preface = PREFACE_HTTP;
	record.first_bytes = SPAN_TEXT("GET");
	record.latency.total_us = 412;
	write_record(output, &record);
	record = fixture_failed(hello, 0, NULL);
	record.side = SIDE_UPSTREAM;
	record.outcome = OUTCOME_REJECTED;
	record.verify =
		(struct record_verify){true, 21, "unable to verify the first certificate", NULL};
	write_record(output, &record);
}

/* What a peer may send to a terminal: escape sequences, overrides, wide and stacked characters. */
static void write_hostile(struct output *output, struct client_hello *hello)
{
	static const char *const names[] = {
		"\033[31mred\033[2J\r\n",
		"\xe2\x80\xaegnp.exe",
		"\xc2\x9b"
		"31m\xff\xfe",
		"\xe6\xbc\xa2\xe5\xad\x97\xe6\xbc\xa2\xe5\xad\x97\xe6\xbc\xa2\xe5\xad\x97\xe6\xbc"
		"\xa2.test",
		"a-very-long-name-that-no-column-of-a-terminal-can-hold.with-labels.example.test",
		"zalgo\xcc\x81\xcc\x81\xcc\x81.test",
	};
	struct record record;

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		hello->sni = (struct span){(const uint8_t *)names[i], strlen(names[i])};
		record = fixture_record(hello);
		if (i % 2)
			record.outcome = OUTCOME_ABORTED, record.ending = END_PEER_RESET;
		write_record(output, &record);
	}
	hello->has_sni = false;
	record = fixture_record(hello);
	write_record(output, &record);
}

static void write_all(struct output *output)
{
	static const char *const probes[] = {"SSL_do_handshake", "SSL_set_fd"};
	static const char *const missing[] = {"error text: no free uprobe\033[1m"};
	static const uint32_t workers[] = {10, 11};
	const struct library_info libraries[] = {{"/usr/lib/libssl.so.3", NULL, "OpenSSL 3.0.22"}};
	const struct session_info session = {"0.1.0", 812,    "1.22.1", libraries, 1,
					     "6.18",  probes, 2,	missing,   1};
	const struct lost_info lost = {"ring", 1785067471000000000, 12, 3};
	const struct reload_info done = {1785067472000000000, true, workers, workers, 2, 2};
	const struct reload_info broken = {1785067473000000000, false, workers, NULL, 2, 0};
	const struct worker_exit_info exited = {1785067474000000000, 10, 0, 0};
	const struct worker_exit_info killed = {1785067475000000000, 11, 11, 4};
	struct client_hello hello = fixture_hello();

	cr_assert_eq(output->ops->session(output, &session), 0);
	write_good(output, &hello);
	write_bad(output, &hello);
	write_hostile(output, &hello);
	cr_assert_eq(output->ops->lost(output, &lost), 0);
	cr_assert_eq(output->ops->reload(output, &done), 0);
	cr_assert_eq(output->ops->reload(output, &broken), 0);
	cr_assert_eq(output->ops->worker_exit(output, &exited), 0);
	cr_assert_eq(output->ops->worker_exit(output, &killed), 0);
	cr_assert_eq(output->ops->flush(output), 0);
}

static char *read_file(const char *path)
{
	char *text = calloc(1, 1 << 17);
	FILE *file = fopen(path, "r");

	cr_assert(file, "%s is missing: run with UPDATE_GOLDEN=1 in the repository's root", path);
	cr_assert_gt(fread(text, 1, (1 << 17) - 1, file), 0);
	fclose(file);
	return text;
}

static void compare(const char *path, const char *text, size_t len)
{
	char *golden;

	if (getenv("UPDATE_GOLDEN")) {
		FILE *file = fopen(path, "w");

		cr_assert(file);
		cr_assert_eq(fwrite(text, 1, len, file), len);
		fclose(file);
		return;
	}
	golden = read_file(path);
	cr_assert_str_eq(text, golden, "%s differs", path);
	free(golden);
}

/* No control byte but newlines and our own colours, and no line longer than the terminal. */
static void check_lines(char *text, int width, bool colour)
{
	char *rest = text, *line;

	while ((line = strsep(&rest, "\n"))) {
		char plain[8192];
		size_t used = 0;

		for (char *c = line; *c; c++) {
			if (*c == '\033') {
				cr_assert(colour);
				cr_assert_eq(c[1], '[');
				c += strcspn(c, "m");
				continue;
			}
			cr_assert((uint8_t)*c >= 0x20 && *c != 0x7f, "a control byte in: %s", line);
			plain[used++] = *c;
		}
		plain[used] = '\0';
		cr_assert(!width || escape_width(plain) <= width, "%d: %s", width, plain);
	}
}

static void golden(const char *locale, int width, bool colour)
{
	char path[128], *text = NULL;
	size_t len = 0;
	FILE *file = open_memstream(&text, &len);
	struct output *output;

	cr_assert(setlocale(LC_ALL, locale));
	setenv("TZ", "UTC", 1);
	tzset();
	output = output_text_new(file, width, colour);
	cr_assert(output);
	write_all(output);
	output_destroy(output);
	fclose(file);
	snprintf(path, sizeof(path), GOLDEN_DIR "text-%d-%s%s.txt", width,
		 strcmp(locale, "C") ? "utf8" : "ascii", colour ? "-colour" : "");
	compare(path, text, len);
	check_lines(text, width, colour);
	free(text);
}

Test(text, utf8)
{
	golden("C.UTF-8", 80, false);
	golden("C.UTF-8", 120, false);
	golden("C.UTF-8", 200, false);
	golden("C.UTF-8", 0, false);
}

Test(text, utf8_colour)
{
	golden("C.UTF-8", 80, true);
	golden("C.UTF-8", 120, true);
	golden("C.UTF-8", 200, true);
	golden("C.UTF-8", 0, true);
}

Test(text, ascii)
{
	golden("C", 80, false);
	golden("C", 120, false);
	golden("C", 200, false);
	golden("C", 0, false);
}

/* Odd sizes are not kept as files; they must only keep within the terminal. */
Test(text, every_width)
{
	cr_assert(setlocale(LC_ALL, "C.UTF-8"));
	for (int width = 24; width < 240; width++) {
		char *text = NULL;
		size_t len = 0;
		FILE *file = open_memstream(&text, &len);
		struct output *output = output_text_new(file, width, width % 2);

		write_all(output);
		output_destroy(output);
		fclose(file);
		check_lines(text, width, width % 2);
		free(text);
	}
}

Test(text, write_error_is_returned)
{
	FILE *file = fopen("/dev/full", "w");
	struct output *output = output_text_new(file, 0, false);
	struct record record = fixture_record(NULL);

	output->ops->connection(output, &record);
	cr_assert_lt(output->ops->flush(output), 0);
	output_destroy(output);
	fclose(file);
}
