/* SPDX-License-Identifier: BSD-2-Clause */
/* Peers' addresses out of events, for `--anonymize`: cut to /24 (IPv4) and /48 (IPv6). */
#ifndef TLSWHY_RECORD_ANONYMIZE_H
#define TLSWHY_RECORD_ANONYMIZE_H

#include "bpf/abi.h"

/* In place; `event` was judged by event_check(). The peer is the remote end of every tuple; both
 * addresses of a PROXY header are cut too. */
void anonymize_event(struct event *event);

#endif
