/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/failure.h"

#include <stdarg.h>
#include <stdio.h>

int failure_set(struct failure *failure, int exit_code, const char *format, ...)
{
	va_list args;

	failure->exit_code = exit_code;
	va_start(args, format);
	vsnprintf(failure->message, sizeof(failure->message), format, args);
	va_end(args);
	return -1;
}
