/* SPDX-License-Identifier: BSD-2-Clause */
/* tlswhy replay: a recording through the same joiner and diagnosis, without root and without BPF. */
#ifndef TLSWHY_COMMAND_REPLAY_H
#define TLSWHY_COMMAND_REPLAY_H

#include "base/failure.h"
#include "options/options.h"

/* 0, or -1 with *why: a file that cannot be read, or that is corrupt; what was good is written. */
int command_replay(const struct options *options, struct failure *why);

#endif
