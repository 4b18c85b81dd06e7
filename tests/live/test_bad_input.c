/* SPDX-License-Identifier: BSD-2-Clause */
/* Every exit code of the interface, damaged recordings, hostile bytes. */
#include <criterion/criterion.h>

#include "lab.h"

Test(bad_input, usage)
{
	lab_assert_case("scenario_bad_input.py", "usage", 60);
}

Test(bad_input, no_target)
{
	lab_assert_case("scenario_bad_input.py", "no-target", 60);
}

Test(bad_input, host)
{
	lab_assert_case("scenario_bad_input.py", "host", 60);
}

Test(bad_input, clean_ends)
{
	lab_assert_case("scenario_bad_input.py", "clean-ends", 90);
}

Test(bad_input, damaged_recordings)
{
	lab_assert_case("scenario_bad_input.py", "recordings", 180);
}

Test(bad_input, hostile_bytes)
{
	lab_assert_case("scenario_bad_input.py", "hostile-bytes", 120);
}
