/* SPDX-License-Identifier: BSD-2-Clause */
/* From a record to its cause: pure, no clock, no allocation. */
#ifndef TLSWHY_DIAGNOSE_DIAGNOSE_H
#define TLSWHY_DIAGNOSE_DIAGNOSE_H

#include "join/record.h"

/* Fills record->cause. An established record gets none (cause.id NULL). */
void diagnose_record(struct record *record);

#endif
