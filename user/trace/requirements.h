/* SPDX-License-Identifier: BSD-2-Clause */
/* What tlswhy needs from the host: each requirement by a test of the feature, never by a version.
 */
#ifndef TLSWHY_TRACE_REQUIREMENTS_H
#define TLSWHY_TRACE_REQUIREMENTS_H

enum requirement_state {
	REQUIREMENT_OK,
	REQUIREMENT_WARNING, /* works, but costs or shows less: the line says what */
	REQUIREMENT_MISSING,
};

struct requirement {
	const char *name;
	enum requirement_state state;
	int exit_code;	  /* what a missing one means: EXIT_HOST or EXIT_PERMISSION */
	char detail[512]; /* what was found */
	char action[256]; /* what to do; "" where there is nothing to do */
};

typedef void requirements_fn(const struct requirement *requirement, void *data);

/*
 * Tests everything the host must have and calls `each` for every line, in a fixed order, whatever
 * fails. The exit code that follows: EXIT_OK, EXIT_HOST, EXIT_PERMISSION (which wins: without
 * rights the other tests may fail for that reason alone).
 */
int requirements_test(requirements_fn *each, void *data);

#endif
