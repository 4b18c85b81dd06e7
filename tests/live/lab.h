/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Runs a scenario of the laboratory (tests/live/lab, Python: peers are processes anyway) and turns
 * its verdict into a Criterion assertion.
 *
 * A scenario gets a process group and a deadline, dies with the test, and cleans up after itself
 * whichever way it ends: see room.py's guard.
 */
#ifndef TLSWHY_TESTS_LIVE_LAB_H
#define TLSWHY_TESTS_LIVE_LAB_H

#include <stdbool.h>
#include <stddef.h>

struct lab_run {
	int exit_code; /* -1 where a signal or the deadline ended it */
	bool timed_out;
	char *output; /* both streams, NUL-terminated; never NULL */
	size_t output_len;
};

/* Runs tests/live/lab/SCRIPT with arguments (NULL-terminated, may be NULL), at most `seconds`. */
struct lab_run lab_run(const char *script, const char *const arguments[], int seconds);
void lab_run_free(struct lab_run *run);

/*
 * Asserts that a script with these arguments exits 0; its last line is printed then, all of its
 * output when it does not. Without root the test is skipped: tracing needs it.
 */
void lab_assert(const char *script, const char *const arguments[], int seconds);
/* The same for one case of a scenario. */
void lab_assert_case(const char *script, const char *name, int seconds);

#endif
