/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The `offered` object of a ClientHello as JSON, remembered: clients are few kinds, and each kind
 * offers the same again and again.
 */
#ifndef TLSWHY_OUTPUT_OFFER_CACHE_H
#define TLSWHY_OUTPUT_OFFER_CACHE_H

#include "output/fragment.h"
#include "tls/hello.h"

/* Two per set. Traffic can make more kinds than this: then they push each other out. */
#define OFFER_CACHE_ENTRIES 512
/* An entry beyond this is written and not kept, so that hostile hellos cannot make 512 × 100 KB of
 * them: a browser's key is 150 bytes, its JSON 1.5 KB. */
#define OFFER_CACHE_BYTES_MAX 6144

struct offer_cache;

struct offer_cache *offer_cache_new(void); /* NULL: no memory */
void offer_cache_free(struct offer_cache *cache);

/* Appends the object to out. `ja4` is written as it is, "" as null. */
void offer_cache_write(struct offer_cache *cache, struct fragment *out,
		       const struct client_hello *hello, const char *ja4);

#endif
