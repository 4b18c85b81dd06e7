/* SPDX-License-Identifier: BSD-2-Clause */
/* A borrowed run of bytes: nothing here owns or frees what it points at. */
#ifndef TLSWHY_TLS_SPAN_H
#define TLSWHY_TLS_SPAN_H

#include <stddef.h>
#include <stdint.h>

struct span {
	const uint8_t *at;
	size_t len;
};

#endif
