/* SPDX-License-Identifier: BSD-2-Clause */
/* A wait shows in the part of latency_us whose fault it is, and the parts add up. */
#include <criterion/criterion.h>

#include "lab.h"

Test(latency, waits_before_hello)
{
	lab_assert_case("scenario_latency.py", "hello-wait", 60);
}

Test(latency, waits_in_handshake)
{
	lab_assert_case("scenario_latency.py", "peer-wait", 60);
}

Test(latency, busy_worker)
{
	lab_assert_case("scenario_latency.py", "pickup", 60);
}

Test(latency, upstream)
{
	lab_assert_case("scenario_latency.py", "upstream", 60);
}
