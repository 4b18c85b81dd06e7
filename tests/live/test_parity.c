/* SPDX-License-Identifier: BSD-2-Clause */
/* Every line that nginx's error log has about a handshake has exactly one record that says the same. */
#include <criterion/criterion.h>

#include "lab.h"

Test(parity, usual_mix)
{
	lab_assert("parity.py", NULL, 240);
}

Test(parity, second_set)
{
	const char *const arguments[] = { "--extra", NULL };

	lab_assert("parity.py", arguments, 240);
}
