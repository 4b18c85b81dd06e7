/* SPDX-License-Identifier: BSD-2-Clause */
/* tlswhy check: can this host, and that nginx, be traced; and what to do where not. */
#ifndef TLSWHY_COMMAND_CHECK_H
#define TLSWHY_COMMAND_CHECK_H

#include <stdbool.h>
#include <stdio.h>

/*
 * Prints one line per requirement to `out`, every one whatever fails, and the verdict as the last.
 * target: what -p named, or NULL: the host alone. colour: `out` is a terminal that may be coloured.
 * The exit code: EXIT_OK, EXIT_TARGET, EXIT_HOST, EXIT_PERMISSION.
 */
int command_check(const char *target, FILE *out, bool colour);

#endif
