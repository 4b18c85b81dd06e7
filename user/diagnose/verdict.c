/* SPDX-License-Identifier: BSD-2-Clause */
#include "diagnose/verdict.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* A fix's command is meant to be copied into a shell: no SNI that could mean something there. */
static bool is_plain_name(const struct span *name)
{
	for (size_t i = 0; i < name->len; i++) {
		uint8_t c = name->at[i];

		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		      c == '_' || ((c == '.' || c == '-') && i > 0)))
			return false;
	}
	return name->len > 0;
}

/* What stands for a {placeholder} of causes.def; NULL: there is no such one. */
static const char *fill(const struct facts *facts, const char *name, size_t len,
			char buf[static FACTS_TEXT])
{
	const struct record *record = facts->record;
	char sni[FACTS_TEXT];

	if (len == 7 && !memcmp(name, "connect", 7))
		return facts_say_address(
			record->side == SIDE_CLIENT ? &record->local : &record->peer, buf);
	if (len == 3 && !memcmp(name, "sni", 3))
		return facts_say_sni(facts, buf);
	if (len == 10 && !memcmp(name, "servername", 10)) {
		if (!facts->record->sni.at)
			snprintf(buf, FACTS_TEXT, "-noservername");
		else if (is_plain_name(&facts->record->sni))
			snprintf(buf, FACTS_TEXT, "-servername %.150s", facts_say_sni(facts, sni));
		else
			snprintf(buf, FACTS_TEXT, "-servername NAME");
		return buf;
	}
	if (len == 7 && !memcmp(name, "version", 7)) {
		static const char *const options[] = {"-tls1", "-tls1_1", "-tls1_2", "-tls1_3"};
		unsigned at = facts->max_version - 0x0301u;

		return at < sizeof(options) / sizeof(*options) ? options[at] : "";
	}
	return NULL;
}

static void append(char *out, size_t size, size_t *used, const char *text, size_t len)
{
	for (size_t i = 0; i < len && *used + 1 < size; i++)
		out[(*used)++] = text[i];
	out[*used] = '\0';
}

static void expand(const struct facts *facts, const char *template, char *out, size_t size)
{
	char buf[FACTS_TEXT];
	size_t used = 0;

	out[0] = '\0';
	while (*template) {
		size_t plain = strcspn(template, "{");
		const char *end = template[plain] ? strchr(template + plain, '}') : NULL;
		const char *name = template + plain + 1;
		const char *value;

		append(out, size, &used, template, plain);
		if (!end)
			break;
		value = fill(facts, name, (size_t)(end - name), buf);
		if (value)
			append(out, size, &used, value, strlen(value));
		template = end + 1;
	}
}

bool verdict_is(struct verdict *verdict, enum cause_number number, const char *format, ...)
{
	const struct cause *cause = cause_at(number);
	enum side side = verdict->facts->record->side;
	va_list args;

	verdict->cause->id = cause->id;
	verdict->cause->directive = cause_directive(cause, side);
	expand(verdict->facts, cause_fix(cause, side), verdict->cause->fix,
	       sizeof(verdict->cause->fix));
	va_start(args, format);
	vsnprintf(verdict->cause->summary, sizeof(verdict->cause->summary), format, args);
	va_end(args);
	return true;
}

void verdict_directive(struct verdict *verdict, const char *directive)
{
	verdict->cause->directive = directive;
}

void verdict_fact(struct verdict *verdict, const char *format, ...)
{
	struct record_cause *cause = verdict->cause;
	int room = sizeof(cause->evidence) / sizeof(cause->evidence[0]);
	va_list args;

	if (cause->evidence_count >= room)
		return;
	va_start(args, format);
	vsnprintf(cause->evidence[cause->evidence_count++], sizeof(cause->evidence[0]), format,
		  args);
	va_end(args);
}
