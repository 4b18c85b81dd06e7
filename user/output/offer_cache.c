/* SPDX-License-Identifier: BSD-2-Clause */
#include "output/offer_cache.h"

#include <stdlib.h>

#include "tls/names.h"

struct entry {
	uint64_t hash;
	uint32_t key_len, json_len;
	uint64_t used; /* for which of a set to push out */
	char *bytes;   /* the key, then the JSON */
};

struct offer_cache {
	struct entry entries[OFFER_CACHE_ENTRIES];
	struct fragment key;
	uint64_t clock;
};

struct offer_cache *offer_cache_new(void)
{
	return calloc(1, sizeof(struct offer_cache));
}

void offer_cache_free(struct offer_cache *cache)
{
	if (!cache)
		return;
	for (int i = 0; i < OFFER_CACHE_ENTRIES; i++)
		free(cache->entries[i].bytes);
	fragment_free(&cache->key);
	free(cache);
}

/* A list's codes without GREASE (RFC 8701), which clients draw anew for each connection. */
static void key_codes(struct fragment *key, const struct code_list *list)
{
	char *out;
	uint16_t kept = 0;

	if (!fragment_reserve(key, list->bytes.len + sizeof(kept)))
		return;
	out = key->at + key->len + sizeof(kept);
	for (size_t i = 0; i < code_list_count(list); i++) {
		const uint8_t *code = list->bytes.at + 2 * i;

		if (code[0] == code[1] && (code[0] & 0x0f) == 0x0a)
			continue;
		memcpy(out + 2 * kept++, code, 2);
	}
	memcpy(key->at + key->len, &kept, sizeof(kept));
	key->len += sizeof(kept) + 2 * (size_t)kept;
}

/* Everything that write_offer() reads, and nothing else. */
static void make_key(struct fragment *key, const struct client_hello *hello, const char *ja4)
{
	key->len = 0;
	fragment_raw(key, (const char *)&hello->legacy_version, sizeof(hello->legacy_version));
	fragment_raw(key, hello->has_versions ? "v" : "-", 1);
	key_codes(key, &hello->versions);
	key_codes(key, &hello->ciphers);
	key_codes(key, &hello->groups);
	key_codes(key, &hello->signature_algorithms);
	fragment_raw(key, ja4, strlen(ja4) + 1);
	fragment_raw(key, (const char *)hello->alpn.at, hello->alpn.len);
}

/* Not keyed: who makes hellos collide wins a miss, that is, the cost of one formatting. */
static uint64_t hash_bytes(const char *bytes, size_t len)
{
	uint64_t hash = 0x9e3779b97f4a7c15u ^ len, word;

	for (; len >= sizeof(word); bytes += sizeof(word), len -= sizeof(word)) {
		memcpy(&word, bytes, sizeof(word));
		hash = (hash ^ word) * 0xff51afd7ed558ccdu;
		hash ^= hash >> 32;
	}
	word = 0;
	memcpy(&word, bytes, len);
	hash = (hash ^ word) * 0xc4ceb9fe1a85ec53u;
	return hash ^ hash >> 29;
}

static void write_codes(struct fragment *out, const struct code_list *list,
			const char *(*name)(uint16_t))
{
	char hex[8];

	fragment_literal(out, "[");
	for (size_t i = 0; i < code_list_count(list); i++) {
		uint16_t code = code_list_at(list, i);

		if (name_is_grease(code))
			continue;
		fragment_name(out, name_or_hex(name(code), code, hex, sizeof(hex)));
		fragment_literal(out, ",");
	}
	fragment_trim_comma(out);
	fragment_literal(out, "]");
}

static void write_alpn(struct fragment *out, const struct span *list)
{
	fragment_literal(out, "[");
	for (size_t at = 0; at < list->len;) {
		size_t len = list->at[at];
		const uint8_t *name = list->at + at + 1;

		at += 1 + len;
		if (at > list->len)
			break;
		/* RFC 8701 section 2: two bytes. */
		if (len == 2 && name[0] == name[1] && (name[0] & 0x0f) == 0x0a)
			continue;
		fragment_string(out, name, len);
		fragment_literal(out, ",");
	}
	fragment_trim_comma(out);
	fragment_literal(out, "]");
}

static void write_offer(struct fragment *out, const struct client_hello *hello, const char *ja4)
{
	uint8_t legacy[2] = {(uint8_t)(hello->legacy_version >> 8), (uint8_t)hello->legacy_version};
	struct code_list only = {{legacy, sizeof(legacy)}};

	/* RFC 8446 section 4.2.1: without supported_versions the old field is the offer. */
	fragment_literal(out, "{\"versions\":");
	write_codes(out, hello->has_versions ? &hello->versions : &only, name_version);
	fragment_literal(out, ",\"ciphers\":");
	write_codes(out, &hello->ciphers, name_cipher);
	fragment_literal(out, ",\"groups\":");
	write_codes(out, &hello->groups, name_group);
	fragment_literal(out, ",\"signature_algorithms\":");
	write_codes(out, &hello->signature_algorithms, name_signature_scheme);
	fragment_literal(out, ",\"alpn\":");
	write_alpn(out, &hello->alpn);
	fragment_literal(out, ",\"ja4\":");
	fragment_text(out, ja4[0] ? ja4 : NULL);
	fragment_literal(out, "}");
}

static void remember(struct offer_cache *cache, struct entry *entry, uint64_t hash,
		     const char *json, size_t json_len)
{
	size_t size = cache->key.len + json_len;
	char *bytes;

	if (size > OFFER_CACHE_BYTES_MAX)
		return;
	bytes = malloc(size);
	if (!bytes)
		return;
	memcpy(bytes, cache->key.at, cache->key.len);
	memcpy(bytes + cache->key.len, json, json_len);
	free(entry->bytes);
	*entry = (struct entry){
		.hash = hash,
		.key_len = (uint32_t)cache->key.len,
		.json_len = (uint32_t)json_len,
		.used = cache->clock,
		.bytes = bytes,
	};
}

void offer_cache_write(struct offer_cache *cache, struct fragment *out,
		       const struct client_hello *hello, const char *ja4)
{
	struct entry *set, *victim;
	size_t start = out->len;
	uint64_t hash;

	make_key(&cache->key, hello, ja4);
	if (cache->key.failed) {
		out->failed = true;
		return;
	}
	hash = hash_bytes(cache->key.at, cache->key.len);
	set = &cache->entries[hash % (OFFER_CACHE_ENTRIES / 2) * 2];
	cache->clock++;
	for (struct entry *entry = set; entry < set + 2; entry++) {
		if (!entry->bytes || entry->hash != hash || entry->key_len != cache->key.len ||
		    memcmp(entry->bytes, cache->key.at, entry->key_len))
			continue;
		entry->used = cache->clock;
		fragment_raw(out, entry->bytes + entry->key_len, entry->json_len);
		return;
	}
	write_offer(out, hello, ja4);
	victim = set[0].used <= set[1].used ? &set[0] : &set[1];
	if (!out->failed)
		remember(cache, victim, hash, out->at + start, out->len - start);
}
