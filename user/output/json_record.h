/* SPDX-License-Identifier: BSD-2-Clause */
/* The objects inside a connection's line, each written into a fragment. */
#ifndef TLSWHY_OUTPUT_JSON_RECORD_H
#define TLSWHY_OUTPUT_JSON_RECORD_H

#include "join/record.h"
#include "output/fragment.h"

void json_tls(struct fragment *out, const struct record *record);
void json_error(struct fragment *out, const struct record *record);
/* Codes of another connection that were drained as this one began: no cause of anything here. */
void json_stale_errors(struct fragment *out, const struct record *record);
void json_alerts(struct fragment *out, const struct record *record);
void json_verify(struct fragment *out, const struct record *record);
void json_cause(struct fragment *out, const struct record *record);
void json_latency(struct fragment *out, const struct record *record);
void json_tcp(struct fragment *out, const struct record *record);
void json_messages(struct fragment *out, const struct record *record);

#endif
