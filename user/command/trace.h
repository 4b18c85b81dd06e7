/* SPDX-License-Identifier: BSD-2-Clause */
/* tlswhy trace: one record per connection of a running nginx. */
#ifndef TLSWHY_COMMAND_TRACE_H
#define TLSWHY_COMMAND_TRACE_H

#include "base/failure.h"
#include "options/options.h"

/* 0, or -1 with *why. */
int command_trace(const struct options *options, struct failure *why);

#endif
