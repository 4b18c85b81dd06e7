/* SPDX-License-Identifier: BSD-2-Clause */
/* Failures that nginx's log does not tell, or only at level info, have their record. */
#include <criterion/criterion.h>

#include "lab.h"

Test(silent, closed_before_hello)
{
	lab_assert_case("scenario_silent.py", "closed-before-hello", 60);
}

Test(silent, half_hello_until_timeout)
{
	lab_assert_case("scenario_silent.py", "half-hello-until-timeout", 60);
}

Test(silent, silent_until_timeout)
{
	lab_assert_case("scenario_silent.py", "silent-until-timeout", 60);
}

Test(silent, reset)
{
	lab_assert_case("scenario_silent.py", "reset", 60);
}

Test(silent, closed_in_handshake)
{
	lab_assert_case("scenario_silent.py", "closed-in-handshake", 60);
}
