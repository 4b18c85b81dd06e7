/* SPDX-License-Identifier: BSD-2-Clause */
/* The key=value lines of a recording. */
#ifndef TLSWHY_RECORD_RECORDING_FACTS_H
#define TLSWHY_RECORD_RECORDING_FACTS_H

#include <stddef.h>

#include "record/recording.h"

/* As layout.h wants it, filled up to 8 bytes; the caller frees *ret. 0, -ENOMEM or -E2BIG. */
int recording_facts_write(char **ret, size_t *ret_len, const struct recording_header *header);

/* Cuts `text` (len bytes and a NUL) up in place: what *header then points at lives in it, and in
 * three lists that recording_facts_clear() frees. Lines that say nothing are passed over. 0,
 * -ENOMEM. */
int recording_facts_read(struct recording_header *header, char *text, size_t len);
void recording_facts_clear(struct recording_header *header);

#endif
