/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Text for people: one line a connection, under one another, and for a failure what to change.
 *
 *   12:04:31.204 ✗ 198.51.100.7:50122   api.test       TLSv1.1 offered    0.6 ms
 *                  client-protocol-too-old: client offered at most TLSv1.1 … · change ssl_protocols
 */
#include <errno.h>
#include <langinfo.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "output/escape.h"
#include "output/output.h"
#include "output/text_column.h"
#include "tls/names.h"

struct text_output {
	struct output output;
	FILE *out;
	struct text_style style;
	const struct text_layout *layout;
	bool headed;
};

static struct text_output *text_of(struct output *output)
{
	return (struct text_output *)output;
}

static int text_end(const struct text_output *text)
{
	if (!ferror(text->out))
		return 0;
	return errno ? -errno : -EIO;
}

static void put_header(struct text_output *text)
{
	struct text_line line;

	if (text->headed)
		return;
	text->headed = true;
	text_line_begin(&line, &text->style);
	text_line_colour(&line, TEXT_DIM);
	text_line_column(&line, "TIME", TEXT_TIME_WIDTH);
	text_line_column(&line, "", 1);
	text_line_column(&line, "PEER", text->layout->peer);
	if (text->layout->name)
		text_line_column(&line, "SNI", text->layout->name);
	text_line_column(&line, "VERSION", TEXT_VERSION_WIDTH);
	text_line_right(&line, "DURATION", TEXT_DURATION_WIDTH);
	if (text->layout->result)
		text_line_column(&line, "CAUSE OR CIPHER", 0);
	text_line_end(&line, text->out);
}

static void put_mark(struct text_line *line, enum outcome outcome)
{
	const struct text_style *style = line->style;

	switch (outcome) {
	case OUTCOME_ESTABLISHED:
		text_line_colour(line, TEXT_GREEN);
		text_line_column(line, style->utf8 ? "✓" : "+", 1);
		break;
	case OUTCOME_FAILED:
	case OUTCOME_REJECTED:
		text_line_colour(line, TEXT_RED);
		text_line_column(line, style->utf8 ? "✗" : "x", 1);
		break;
	default:
		text_line_colour(line, TEXT_YELLOW);
		text_line_column(line, style->utf8 ? "…" : ".", 1);
	}
	text_line_colour(line, TEXT_PLAIN);
}

static void put_name(struct text_line *line, const struct record *record, int width)
{
	char name[TEXT_COLUMN_MAX];

	if (!width)
		return;
	if (!record->sni.at) {
		text_line_column(line, record->hello ? "(no SNI)" : "-", width);
		return;
	}
	escape_terminal(name, sizeof(name), record->sni.at, record->sni.len, line->style->utf8);
	text_line_column(line, name, width);
}

static void put_version(struct text_line *line, const struct record *record)
{
	uint16_t version = record->tls.version;
	const char *suffix = record->tls.resumed == YES ? " resumed" : "";
	char hex[8], text[TEXT_COLUMN_MAX];

	if (!version && record->hello) {
		version = client_hello_max_version(record->hello);
		suffix = " offered";
	}
	if (!version)
		snprintf(text, sizeof(text), "-");
	else
		snprintf(text, sizeof(text), "%s%s",
			 name_or_hex(name_version(version), version, hex, sizeof(hex)), suffix);
	text_line_column(line, text, TEXT_VERSION_WIDTH);
}

/* The name ssl_ciphers takes where there is one: it is shorter. */
static const char *cipher_text(uint16_t cipher, char *hex, size_t size)
{
	const char *name = name_cipher_openssl(cipher);

	return name_or_hex(name ? name : name_cipher(cipher), cipher, hex, size);
}

static void put_result(struct text_line *line, const struct record *record, int width)
{
	char hex[8];

	if (!width)
		return;
	if (record->cause.id) {
		text_line_colour(line, TEXT_RED);
		text_line_column(line, record->cause.id, 0);
		text_line_colour(line, TEXT_PLAIN);
	} else if (record->tls.cipher) {
		text_line_column(line, cipher_text(record->tls.cipher, hex, sizeof(hex)), 0);
	}
}

static void put_why(struct text_output *text, const struct record *record)
{
	const struct record_cause *cause = &record->cause;
	const char *dot = text->style.utf8 ? " · " : " - ";
	char summary[4 * sizeof(cause->summary)], why[sizeof(summary) + 128];

	if (!cause->id)
		return;
	escape_terminal(summary, sizeof(summary), (const uint8_t *)cause->summary,
			strlen(cause->summary), text->style.utf8);
	snprintf(why, sizeof(why), "%s%s%s%s%s", text->layout->result ? "why " : cause->id,
		 text->layout->result ? "" : ": ", summary, cause->directive ? dot : "",
		 cause->directive ? "change " : "");
	if (cause->directive)
		strncat(why, cause->directive, sizeof(why) - strlen(why) - 1);
	text_wrap(text->out, &text->style, why, TEXT_TIME_WIDTH + 3);
}

static int text_connection(struct output *output, const struct record *record)
{
	struct text_output *text = text_of(output);
	const struct text_layout *layout = text->layout;
	char column[TEXT_COLUMN_MAX];
	struct text_line line;

	put_header(text);
	text_line_begin(&line, &text->style);
	text_line_column(&line, text_time(record->time_ns, column), TEXT_TIME_WIDTH);
	put_mark(&line, record->outcome);
	text_line_column(&line, text_peer(record, layout->peer, text->style.utf8, column),
			 layout->peer);
	put_name(&line, record, layout->name);
	put_version(&line, record);
	text_line_right(&line, text_duration(record->latency.total_us, column),
			TEXT_DURATION_WIDTH);
	put_result(&line, record, layout->result);
	text_line_end(&line, text->out);
	put_why(text, record);
	return text_end(text);
}

/* A line that is no connection's: its text may hold paths and the like, so it is escaped whole. */
static int put_notice(struct text_output *text, enum text_colour colour, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
static int put_notice(struct text_output *text, enum text_colour colour, const char *format, ...)
{
	char raw[1024], safe[2048];
	struct text_line line;
	va_list args;

	va_start(args, format);
	vsnprintf(raw, sizeof(raw), format, args);
	va_end(args);
	escape_terminal(safe, sizeof(safe), (const uint8_t *)raw, strlen(raw), text->style.utf8);
	text_line_begin(&line, &text->style);
	text_line_colour(&line, colour);
	text_line_column(&line, safe, 0);
	text_line_end(&line, text->out);
	return text_end(text);
}

static int text_session(struct output *output, const struct session_info *session)
{
	struct text_output *text = text_of(output);

	put_notice(text, TEXT_DIM, "tlswhy %s: nginx %s, pid %u, %s, kernel %s, %d probes",
		   session->version,
		   session->nginx_version ? session->nginx_version : "(version unknown)",
		   session->pid,
		   session->library_count ? session->libraries[0].flavour : "no TLS library",
		   session->kernel ? session->kernel : "unknown", session->probe_count);
	for (int i = 0; i < session->missing_count; i++)
		put_notice(text, TEXT_YELLOW, "missing: %s", session->missing[i]);
	put_header(text);
	return text_end(text);
}

static int text_lost(struct output *output, const struct lost_info *lost)
{
	char since[TEXT_COLUMN_MAX];

	return put_notice(text_of(output), TEXT_YELLOW,
			  "lost: %llu events since %s (%s), %llu of them the end of a handshake",
			  (unsigned long long)lost->events, text_time(lost->since_ns, since),
			  lost->where, (unsigned long long)lost->handshakes);
}

static int text_reload(struct output *output, const struct reload_info *reload)
{
	char time[TEXT_COLUMN_MAX];

	text_time(reload->time_ns, time);
	if (!reload->succeeded)
		return put_notice(text_of(output), TEXT_RED,
				  "%s reload: failed, the old configuration is still in force",
				  time);
	return put_notice(text_of(output), TEXT_DIM, "%s reload: %d new workers, %d old ones leave",
			  time, reload->new_count, reload->old_count);
}

static int text_worker_exit(struct output *output, const struct worker_exit_info *info)
{
	struct text_output *text = text_of(output);
	char time[TEXT_COLUMN_MAX];

	text_time(info->time_ns, time);
	if (info->signal)
		return put_notice(
			text, TEXT_RED,
			"%s worker %u was ended by signal %d, %llu handshakes were pending", time,
			info->pid, info->signal, (unsigned long long)info->pending);
	return put_notice(text, TEXT_DIM, "%s worker %u exited, %llu handshakes were pending", time,
			  info->pid, (unsigned long long)info->pending);
}

/* The summary is stderr's: see summary_print(). */
static int text_summary(struct output *output, const struct summary *summary)
{
	(void)output;
	(void)summary;
	return 0;
}

static int text_flush(struct output *output)
{
	struct text_output *text = text_of(output);

	if (fflush(text->out))
		return errno ? -errno : -EIO;
	return text_end(text);
}

static void text_destroy(struct output *output)
{
	free(text_of(output));
}

static const struct output_ops text_ops = {
	.session = text_session,
	.connection = text_connection,
	.lost = text_lost,
	.reload = text_reload,
	.worker_exit = text_worker_exit,
	.summary = text_summary,
	.flush = text_flush,
	.destroy = text_destroy,
};

struct output *output_text_new(FILE *out, int width, bool colour)
{
	struct text_output *text = calloc(1, sizeof(*text));

	if (!text)
		return NULL;
	text->output.ops = &text_ops;
	text->out = out;
	text->style.width = width > 0 ? width : 0;
	text->style.colour = colour;
	text->style.utf8 = !strcmp(nl_langinfo(CODESET), "UTF-8");
	text->layout = text_layout_for(text->style.width);
	return &text->output;
}
