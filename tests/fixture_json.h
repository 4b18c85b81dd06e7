/* SPDX-License-Identifier: BSD-2-Clause */
/* One line of NDJSON, parsed again by yajl's own parser: that it is valid is part of every test. */
#ifndef TLSWHY_TESTS_FIXTURE_JSON_H
#define TLSWHY_TESTS_FIXTURE_JSON_H

#include <criterion/criterion.h>
#include <stdlib.h>
#include <yajl/yajl_tree.h>

#include "fixture_record.h"
#include "output/output.h"

/* What one call wrote: parsed, and as text. */
struct written {
	char *text;
	size_t len;
	yajl_val tree;
};

static inline void written_free(struct written *written)
{
	yajl_tree_free(written->tree);
	free(written->text);
}

static inline void written_parse(struct written *written)
{
	char why[256];
	size_t lines = 0;

	cr_assert_gt(written->len, 1);
	cr_assert_eq(written->text[written->len - 1], '\n');
	for (size_t i = 0; i < written->len; i++)
		lines += written->text[i] == '\n';
	cr_assert_eq(lines, 1);
	written->tree = yajl_tree_parse(written->text, why, sizeof(why));
	cr_assert(written->tree, "%s: %s", why, written->text);
}

static inline yajl_val at(const struct written *written, const char *a, const char *b)
{
	const char *path[] = {a, b, NULL};
	yajl_val value = yajl_tree_get(written->tree, path, yajl_t_any);

	cr_assert(value, "%s %s is not there: %s", a, b ? b : "", written->text);
	return value;
}

static inline void is_null(const struct written *written, const char *a, const char *b)
{
	cr_assert(YAJL_IS_NULL(at(written, a, b)), "%s %s is not null", a, b ? b : "");
}

static inline void is_text(const struct written *written, const char *a, const char *b,
			   const char *expected)
{
	yajl_val value = at(written, a, b);

	cr_assert(YAJL_IS_STRING(value), "%s %s is no string", a, b ? b : "");
	cr_assert_str_eq(YAJL_GET_STRING(value), expected);
}

static inline void is_int(const struct written *written, const char *a, const char *b,
			  long long expected)
{
	yajl_val value = at(written, a, b);

	cr_assert(YAJL_IS_INTEGER(value), "%s %s is no integer", a, b ? b : "");
	cr_assert_eq(YAJL_GET_INTEGER(value), expected);
}

static inline void is_list(const struct written *written, const char *a, const char *b,
			   const char *joined)
{
	yajl_val list = at(written, a, b);
	char text[4096] = "";

	cr_assert(YAJL_IS_ARRAY(list));
	for (size_t i = 0; i < YAJL_GET_ARRAY(list)->len; i++) {
		yajl_val item = YAJL_GET_ARRAY(list)->values[i];

		cr_assert(YAJL_IS_STRING(item));
		if (i)
			strcat(text, " ");
		strcat(text, item->u.string);
	}
	cr_assert_str_eq(text, joined);
}

#endif
