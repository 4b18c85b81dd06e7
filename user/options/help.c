/* SPDX-License-Identifier: BSD-2-Clause */
/* Help is made of worked examples first; then the list. */
#include <string.h>

#include "options/rows.h"

#define HELP_COLUMN 28

/* Each line of `text` behind `indent` spaces, the first too. */
static void put_lines(FILE *out, const char *text, int indent)
{
	while (*text) {
		int len = (int)strcspn(text, "\n");

		fprintf(out, "%*s%.*s\n", indent, "", len, text);
		text += len + (text[len] == '\n');
	}
}

static void put_examples(FILE *out, const char *text)
{
	while (*text) {
		int len = (int)strcspn(text, "\n");
		bool command = !strncmp(text, "tlswhy ", 7);

		fprintf(out, "  %s%.*s\n", command ? "  " : "# ", len, text);
		text += len + (text[len] == '\n');
	}
}

static void put_option(FILE *out, const struct option_row *row)
{
	char left[64];
	int len, first;

	len = snprintf(left, sizeof(left), "  %c%c%c --%s%s%s", row->letter ? '-' : ' ',
		       row->letter ? row->letter : ' ', row->letter ? ',' : ' ', row->name,
		       row->argument ? " " : "", row->argument ? row->argument : "");
	first = (int)strcspn(row->help, "\n");
	fprintf(out, "%s%*s%.*s\n", left, len < HELP_COLUMN ? HELP_COLUMN - len : 1, "", first,
		row->help);
	if (row->help[first])
		put_lines(out, row->help + first + 1, HELP_COLUMN);
}

static void put_commands(FILE *out)
{
	fputs("\nCommands:\n", out);
	for (int command = COMMAND_NONE + 1; command < COMMAND_COUNT; command++)
		fprintf(out, "  %-10s%s\n", command_rows[command].name,
			command_rows[command].purpose);
	fputs("  tlswhy COMMAND --help tells what each takes; without a command: trace.\n", out);
}

void options_help(enum command command, FILE *out)
{
	const struct command_row *about = &command_rows[command];
	/* The program's own page lists what its default takes. */
	enum command takes = command == COMMAND_NONE ? COMMAND_TRACE : command;

	fprintf(out, "tlswhy%s%s: %s\n\nUsage:\n", about->name ? " " : "",
		about->name ? about->name : "", about->purpose);
	put_lines(out, about->usage, 2);
	fputs("\nExamples:\n", out);
	put_examples(out, about->examples);
	if (command == COMMAND_NONE)
		put_commands(out);
	fputs("\nOptions:\n", out);
	for (int i = 0; i < option_row_count; i++) {
		if (option_rows[i].commands & COMMAND_BIT(takes))
			put_option(out, &option_rows[i]);
	}
	if (takes != COMMAND_CHECK)
		fputs("\nSeveral values of one option are alternatives, different options must all "
		      "hold,\nand ! in front excludes.\n",
		      out);
	fputs("\nExit status: 0 done, 1 runtime error, 2 usage, 3 no nginx with OpenSSL,\n"
	      "4 the host lacks something, 5 not permitted.\n",
	      out);
}
