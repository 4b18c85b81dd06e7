/* SPDX-License-Identifier: BSD-2-Clause */
/* The two tables that options.c parses with and help.c prints. */
#ifndef TLSWHY_OPTIONS_ROWS_H
#define TLSWHY_OPTIONS_ROWS_H

#include "options/options.h"

#define COMMAND_BIT(command) (1u << (command))

struct command_row {
	const char *name; /* NULL: the program itself */
	const char *usage;
	const char *purpose;
	const char *examples; /* pairs of lines: what for, and the command */
};

extern const struct command_row command_rows[COMMAND_COUNT];

struct option_row {
	char letter; /* 0: none */
	const char *name;
	const char *argument; /* NULL: takes none */
	unsigned commands;    /* COMMAND_BIT of those that take it */
	int (*take)(struct options *options, const char *value, struct failure *why);
	const char *help; /* lines */
};

#define OPTION_ROWS_MAX 32 /* a page of help has no room for more */
extern const struct option_row option_rows[];
extern const int option_row_count;

#endif
