/* SPDX-License-Identifier: BSD-2-Clause */
/* All pairs of libraries that nginx's processes map. */
#include <stdlib.h>

#include "trace/attach.h"

static bool same_pair(const struct libraries *a, const struct libraries *b)
{
	return library_same(&a->list[a->index[LIBRARY_SSL]], &b->list[b->index[LIBRARY_SSL]]) &&
	       library_same(&a->list[a->index[LIBRARY_CRYPTO]], &b->list[b->index[LIBRARY_CRYPTO]]);
}

static bool known(const struct attachments *attachments, const struct libraries *libraries)
{
	for (int i = 0; i < attachments->count; i++) {
		if (same_pair(&attachments->list[i]->libraries, libraries))
			return true;
	}
	return false;
}

static int pair_add(struct attachments *attachments, const struct libraries *libraries,
		    struct failure *why)
{
	struct attachment *attachment;

	if (attachments->count >= ATTACHMENTS_MAX)
		return failure_set(why, EXIT_RUNTIME,
				   "cannot attach: more than %d OpenSSL libraries; start tlswhy again",
				   ATTACHMENTS_MAX);
	attachment = calloc(1, sizeof(*attachment));
	if (!attachment)
		return failure_set(why, EXIT_RUNTIME, "cannot attach: out of memory; free some");
	if (attach_open(attachment, libraries, attachments->object, attachments->return_probes, why)) {
		free(attachment);
		return -1;
	}
	for (int group = ATTACH_ALWAYS + 1; group < ATTACH_GROUPS; group++)
		attach_group(attachment, attachments->object, group, attachments->return_probes);
	attachments->list[attachments->count++] = attachment;
	return 0;
}

int attachments_add(struct attachments *attachments, pid_t pid, struct failure *why)
{
	struct libraries *libraries = calloc(1, sizeof(*libraries));
	int err;

	if (!libraries)
		return failure_set(why, EXIT_RUNTIME, "cannot attach: out of memory; free some");
	err = library_find(pid, libraries, why);
	if (!err && !known(attachments, libraries))
		err = pair_add(attachments, libraries, why);
	free(libraries);
	return err;
}

void attachments_set(struct attachments *attachments, enum attach_group group, bool attached)
{
	for (int i = 0; i < attachments->count; i++) {
		if (attached)
			attach_group(attachments->list[i], attachments->object, group,
				     attachments->return_probes);
		else
			attach_release(attachments->list[i], group);
	}
}

void attachments_close(struct attachments *attachments)
{
	for (int i = 0; i < attachments->count; i++) {
		attach_close(attachments->list[i]);
		free(attachments->list[i]);
	}
	attachments->count = 0;
}
