/* SPDX-License-Identifier: BSD-2-Clause */
#include "trace/tracees.h"

/* The place it has, else a free one in its set, else -1. */
static int place_of(const struct tracees *tracees, pid_t pid)
{
	int first = pid % TRACEE_SETS * TRACEE_WAYS, free_place = -1;

	for (int i = first; i < first + TRACEE_WAYS; i++) {
		if (tracees->tags[i] == (__u32)pid)
			return i;
		if (!tracees->tags[i] && free_place < 0)
			free_place = i;
	}
	return free_place;
}

bool tracees_enter(const struct tracees *tracees, pid_t pid, __u32 role)
{
	int place = place_of(tracees, pid);

	if (place < 0)
		return false;
	tracees->table[place].role = role;
	tracees->tags[place] = pid; /* last: from now on it is found */
	return true;
}

bool tracees_any(const struct tracees *tracees)
{
	for (int i = 0; i < TRACEES; i++) {
		if (tracees->tags[i])
			return true;
	}
	return false;
}
