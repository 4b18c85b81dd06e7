// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* The one way out: its order is the order of things, on all CPUs. */
#include "bpf/tlswhy.bpf.h"

struct ring events SEC(".maps");
struct event_lost lost = {};
__u32 ring_woken = 0;
const volatile __u32 ring_wakeup_bytes = 512 * 1024;

char LICENSE[] SEC("license") = "Dual BSD/GPL";
