/* SPDX-License-Identifier: BSD-2-Clause */
/* Wires the commands to the command line, and says what failed: once, in one line. */
#include <locale.h>
#include <stdlib.h>
#include <stdio.h>
#include <unistd.h>

#include "command/check.h"
#include "command/replay.h"
#include "command/trace.h"
#include "options/options.h"

static int run(const struct options *options, struct failure *why)
{
	switch (options->command) {
	case COMMAND_TRACE:
		return command_trace(options, why);
	case COMMAND_REPLAY:
		return command_replay(options, why);
	case COMMAND_CHECK:
		why->exit_code = command_check(options->target, stdout,
					       isatty(STDOUT_FILENO) && !getenv("NO_COLOR"));
		why->message[0] = '\0';
		return why->exit_code == EXIT_OK ? 0 : -1;
	default:
		return failure_set(why, EXIT_USAGE, "no command; see tlswhy --help");
	}
}

int main(int argc, char **argv)
{
	struct failure why = { .exit_code = EXIT_RUNTIME };
	struct options options;
	int err;

	setlocale(LC_CTYPE, "");
	err = options_parse(&options, argc, argv, &why);
	if (!err && options.version)
		printf("tlswhy %s\n", TLSWHY_VERSION);
	else if (!err && options.help)
		options_help(options.command, stdout);
	else if (!err)
		err = run(&options, &why);
	options_clear(&options);
	if (err >= 0)
		return EXIT_OK;
	if (*why.message)
		fprintf(stderr, "tlswhy: %s\n", why.message);
	return why.exit_code;
}
