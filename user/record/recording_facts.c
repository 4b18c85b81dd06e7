/* SPDX-License-Identifier: BSD-2-Clause */
#include "record/recording_facts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "record/layout.h"

static void put_fact(FILE *facts, const char *key, const char *value)
{
	if (!value)
		return;
	fprintf(facts, "%s=", key);
	for (; *value; value++) {
		if (*value == '\n')
			fputs("\\n", facts);
		else if (*value == '\\')
			fputs("\\\\", facts);
		else
			fputc(*value, facts);
	}
	fputc('\n', facts);
}

static void put_facts(FILE *facts, const struct recording_header *header)
{
	put_fact(facts, "version", header->version);
	fprintf(facts, "pid=%u\n", header->pid);
	put_fact(facts, "nginx_version", header->nginx_version);
	put_fact(facts, "kernel", header->kernel);
	for (int i = 0; i < header->library_count; i++) {
		put_fact(facts, "library", header->libraries[i].path);
		put_fact(facts, "library_build_id", header->libraries[i].build_id);
		put_fact(facts, "library_flavour", header->libraries[i].flavour);
	}
	for (int i = 0; i < header->probe_count; i++)
		put_fact(facts, "probe", header->probes[i]);
	for (int i = 0; i < header->missing_count; i++)
		put_fact(facts, "missing", header->missing[i]);
	fprintf(facts, "same_openssl=%d\n", header->same_openssl);
	fprintf(facts, "anonymized=%d\n", header->anonymized);
	while (ftell(facts) % 8)
		fputc('\n', facts);
}

int recording_facts_write(char **ret, size_t *ret_len, const struct recording_header *header)
{
	char *text = NULL;
	size_t len = 0;
	FILE *facts = open_memstream(&text, &len);
	bool good;

	if (!facts)
		return -ENOMEM;
	put_facts(facts, header);
	good = !ferror(facts);
	if (fclose(facts) || !good) {
		free(text);
		return -ENOMEM;
	}
	if (len > LAYOUT_FACTS_MAX) {
		free(text);
		return -E2BIG;
	}
	*ret = text;
	*ret_len = len;
	return 0;
}

/* Undoes put_fact()'s escapes, in place. */
static char *unescape(char *value)
{
	char *to = value;

	for (const char *from = value; *from; from++) {
		if (*from == '\\' && from[1])
			*to++ = *++from == 'n' ? '\n' : *from;
		else
			*to++ = *from;
	}
	*to = '\0';
	return value;
}

/* The lists grow by one: there are a dozen entries, and the text bounds them. */
static int list_add(const char *const **list, int *count, const char *value)
{
	const char **grown = realloc((void *)*list, sizeof(*grown) * (size_t)(*count + 1));

	if (!grown)
		return -ENOMEM;
	grown[(*count)++] = value;
	*list = grown;
	return 0;
}

static int library_add(struct recording_header *header, const char *path)
{
	struct recording_library *grown = realloc(
		(void *)header->libraries, sizeof(*grown) * (size_t)(header->library_count + 1));

	if (!grown)
		return -ENOMEM;
	grown[header->library_count++] = (struct recording_library){.path = path, .flavour = ""};
	header->libraries = grown;
	return 0;
}

/* The library that the last "library" line began. */
static struct recording_library *library_last(struct recording_header *header)
{
	if (!header->library_count)
		return NULL;
	return (struct recording_library *)&header->libraries[header->library_count - 1];
}

static int read_fact(struct recording_header *header, const char *key, char *value)
{
	struct recording_library *library = library_last(header);

	unescape(value);
	if (!strcmp(key, "version"))
		header->version = value;
	else if (!strcmp(key, "pid"))
		header->pid = (uint32_t)strtoul(value, NULL, 10);
	else if (!strcmp(key, "nginx_version"))
		header->nginx_version = value;
	else if (!strcmp(key, "kernel"))
		header->kernel = value;
	else if (!strcmp(key, "library"))
		return library_add(header, value);
	else if (!strcmp(key, "library_build_id") && library)
		library->build_id = value;
	else if (!strcmp(key, "library_flavour") && library)
		library->flavour = value;
	else if (!strcmp(key, "probe"))
		return list_add(&header->probes, &header->probe_count, value);
	else if (!strcmp(key, "missing"))
		return list_add(&header->missing, &header->missing_count, value);
	else if (!strcmp(key, "same_openssl"))
		header->same_openssl = !strcmp(value, "1");
	else if (!strcmp(key, "anonymized"))
		header->anonymized = !strcmp(value, "1");
	return 0;
}

int recording_facts_read(struct recording_header *header, char *text, size_t len)
{
	char *end = text + len;

	while (text < end) {
		char *line_end = memchr(text, '\n', (size_t)(end - text));
		char *equals;
		int err;

		if (!line_end)
			line_end = end;
		*line_end = '\0';
		equals = strchr(text, '=');
		if (equals) {
			*equals = '\0';
			err = read_fact(header, text, equals + 1);
			if (err)
				return err;
		}
		text = line_end + 1;
	}
	return 0;
}

void recording_facts_clear(struct recording_header *header)
{
	free((void *)header->libraries);
	free((void *)header->probes);
	free((void *)header->missing);
	*header = (struct recording_header){0};
}
