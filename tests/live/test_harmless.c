/* SPDX-License-Identifier: BSD-2-Clause */
/* Under load nobody dies, nobody sees an error, nothing stays, and no request is read. */
#include <criterion/criterion.h>

#include "lab.h"

Test(harmless, start_and_stop)
{
	lab_assert_case("scenario_harmless.py", "start-and-stop", 300);
}

Test(harmless, kill)
{
	lab_assert_case("scenario_harmless.py", "kill", 180);
}

Test(harmless, no_request_is_read)
{
	lab_assert_case("scenario_harmless.py", "no-request-is-read", 90);
}
