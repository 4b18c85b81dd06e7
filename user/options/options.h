/* SPDX-License-Identifier: BSD-2-Clause */
/* The command line: one table of commands and one of options drive parsing and help alike. */
#ifndef TLSWHY_OPTIONS_OPTIONS_H
#define TLSWHY_OPTIONS_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/failure.h"
#include "output/filter.h"

enum command {
	COMMAND_NONE,  /* only with help or version */
	COMMAND_TRACE, /* also what `tlswhy -p PID` means */
	COMMAND_REPLAY,
	COMMAND_CHECK,
	COMMAND_COUNT,
};

enum format { FORMAT_AUTO, FORMAT_TEXT, FORMAT_JSON };

/* Strings are argv's. */
struct options {
	enum command command;
	bool help, version; /* nothing else was checked then */
	const char *target; /* -p: a pid or a pid file; NULL only for check */
	const char *file;   /* replay's recording */
	enum format format;
	struct filter filter;
	double duration_s; /* 0: no end */
	uint64_t count;	   /* 0: no end */
	const char *save;  /* NULL: no recording */
	bool follow;
	bool anonymize;
	uint32_t ring_size; /* bytes; 0: the default */
};

/* Fills *options, whatever was in it. 0, or -1 with *why (EXIT_USAGE). */
int options_parse(struct options *options, int argc, char **argv, struct failure *why);
void options_clear(struct options *options);

const char *command_name(enum command command); /* "trace" */

/* COMMAND_NONE: the help of the program. */
void options_help(enum command command, FILE *out);

#endif
