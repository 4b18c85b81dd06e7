/* SPDX-License-Identifier: BSD-2-Clause */
/* Workers come and go, and each is traced from its first handshake. */
#include <criterion/criterion.h>

#include "lab.h"

Test(reload, reload)
{
	lab_assert_case("scenario_reload.py", "reload", 90);
}

Test(reload, failed_reload)
{
	lab_assert_case("scenario_reload.py", "failed-reload", 60);
}

Test(reload, worker_killed)
{
	lab_assert_case("scenario_reload.py", "worker-killed", 60);
}

Test(reload, binary_upgrade)
{
	lab_assert_case("scenario_reload.py", "binary-upgrade", 90);
}

Test(reload, one_worker)
{
	lab_assert_case("scenario_reload.py", "one-worker", 60);
}
