/* SPDX-License-Identifier: BSD-2-Clause */
/* Seen and lost handshakes are those made, whatever the ring could not hold. */
#include <criterion/criterion.h>

#include "lab.h"

Test(loss, smallest_ring)
{
	lab_assert_case("scenario_loss.py", "smallest-ring", 120);
}

Test(loss, reader_stands_still)
{
	lab_assert_case("scenario_loss.py", "reader-stands-still", 120);
}
