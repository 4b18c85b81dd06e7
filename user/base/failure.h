/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Why something could not be done, carried upward to the one place that prints it.
 *
 * A function that can fail for a reason the user must act on takes a `struct failure *`, fills it
 * and returns -1; main() prints "tlswhy: what: why; what to do" once and exits with its code.
 */
#ifndef TLSWHY_BASE_FAILURE_H
#define TLSWHY_BASE_FAILURE_H

/* The exit codes of the interface. */
enum {
	EXIT_OK = 0,
	EXIT_RUNTIME = 1,
	EXIT_USAGE = 2,
	EXIT_TARGET = 3, /* target not found, not nginx, or no OpenSSL in it */
	EXIT_HOST = 4, /* the host lacks something */
	EXIT_PERMISSION = 5,
};

struct failure {
	int exit_code;
	char message[1024]; /* "what: why; what to do", without the program's name */
};

/* Fills and returns -1, so that `return failure_set(…)` reads well. */
int failure_set(struct failure *failure, int exit_code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
