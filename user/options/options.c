/* SPDX-License-Identifier: BSD-2-Clause */
#include "options/options.h"

#include <getopt.h>
#include <stdarg.h>
#include <string.h>

#include "options/rows.h"

/* Values of struct option above every character: an index into the rows. */
#define VALUE_FIRST 256

struct parser {
	struct options *options;
	struct failure *why;
	bool failed; /* *why has the first failure */
	bool named;  /* the command was written out */
};

/* The first failure is told; a --help behind it is still found. */
static void __attribute__((format(printf, 2, 3)))
fail(struct parser *parser, const char *format, ...)
{
	char text[512];
	va_list args;

	if (parser->failed)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	failure_set(parser->why, EXIT_USAGE, "%s; see tlswhy --help", text);
	parser->failed = true;
}

static const struct option_row *row_of(int value)
{
	if (value >= VALUE_FIRST && value - VALUE_FIRST < option_row_count)
		return &option_rows[value - VALUE_FIRST];
	for (int i = 0; i < option_row_count; i++) {
		if (value && option_rows[i].letter == value)
			return &option_rows[i];
	}
	return NULL;
}

static void take_argument(struct parser *parser, const char *argument)
{
	if (parser->options->command != COMMAND_REPLAY)
		fail(parser, "unexpected argument '%s'", argument);
	else if (parser->options->file)
		fail(parser, "unexpected argument '%s': replay takes one file", argument);
	else
		parser->options->file = argument;
}

static void take_option(struct parser *parser, const struct option_row *row, const char *value)
{
	enum command command = parser->options->command;
	struct failure why;

	if (!(row->commands & COMMAND_BIT(command)))
		fail(parser, "%s takes no --%s", command_name(command), row->name);
	else if (row->take(parser->options, value, &why) && !parser->failed) {
		*parser->why = why;
		parser->failed = true;
	}
}

/* What getopt_long() could not make sense of: '?' or ':'. */
static void take_mistake(struct parser *parser, int result, const char *word)
{
	const struct option_row *row = row_of(optopt);

	if (result == ':' && row)
		fail(parser, "--%s needs a value: %s", row->name, row->argument);
	else if (row)
		fail(parser, "--%s takes no value", row->name);
	else if (optopt)
		fail(parser, "unknown option -%c", optopt);
	else
		fail(parser, "unknown option %s", word);
}

static void walk(struct parser *parser, int argc, char **argv)
{
	struct option known[OPTION_ROWS_MAX + 1] = {0};
	char letters[2 * OPTION_ROWS_MAX + 3] = "-:"; /* in order; ':' for a missing value */
	char *end = letters + 2;
	int result;

	for (int i = 0; i < option_row_count; i++) {
		known[i].name = option_rows[i].name;
		known[i].has_arg = option_rows[i].argument ? required_argument : no_argument;
		known[i].val = VALUE_FIRST + i;
		if (option_rows[i].letter)
			*end++ = option_rows[i].letter;
		if (option_rows[i].letter && option_rows[i].argument)
			*end++ = ':';
	}
	opterr = 0;
	optind = 0; /* glibc: begin anew */
	while ((result = getopt_long(argc, argv, letters, known, NULL)) >= 0) {
		if (result == 1)
			take_argument(parser, optarg);
		else if (result == '?' || result == ':')
			take_mistake(parser, result, argv[optind - 1]);
		else
			take_option(parser, row_of(result), optarg);
	}
	while (optind < argc)
		take_argument(parser, argv[optind++]);
}

static int take_command(struct parser *parser, const char *name)
{
	for (enum command command = COMMAND_TRACE; command < COMMAND_COUNT; command++) {
		if (!strcmp(name, command_rows[command].name)) {
			parser->options->command = command;
			parser->named = true;
			return 0;
		}
	}
	fail(parser, "unknown command '%s': use trace, replay or check", name);
	return -1;
}

static void check_whole(struct parser *parser)
{
	const struct options *options = parser->options;

	if (options->command == COMMAND_TRACE && !options->target)
		fail(parser, "trace: which nginx: give -p with its pid or its pid file");
	if (options->command == COMMAND_REPLAY && !options->file)
		fail(parser, "replay: which recording: give the file that trace --save wrote");
}

int options_parse(struct options *options, int argc, char **argv, struct failure *why)
{
	struct parser parser = {.options = options, .why = why};

	*options = (struct options){.command = COMMAND_TRACE};
	if (argc < 2) {
		fail(&parser, "nothing to do: give -p with nginx's pid");
		return -1;
	}
	if (argv[1][0] != '-') {
		if (take_command(&parser, argv[1]))
			return -1;
		argc--;
		argv++;
	}
	walk(&parser, argc, argv);
	if (options->help || options->version) {
		if (!parser.named)
			options->command = COMMAND_NONE;
		return 0;
	}
	check_whole(&parser);
	return parser.failed ? -1 : 0;
}

void options_clear(struct options *options)
{
	filter_clear(&options->filter);
}

const char *command_name(enum command command)
{
	return command_rows[command].name;
}
