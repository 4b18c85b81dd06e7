/* SPDX-License-Identifier: BSD-2-Clause */
#include "trace/attach.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum attach_group attach_group_of(const struct probe_site *site)
{
	if (site->when == PROBE_ALWAYS)
		return ATTACH_ALWAYS;
	if (site->probe == &probes[PROBE_SSL_CTX_REMOVE_SESSION_ENTRY])
		/* nginx as a TLS 1.3 client calls it for each success: that is cheap where it needs no
		 * single step */
		return site->instruction.cost == PROBE_SINGLE_STEPPED ? ATTACH_SESSIONS : ATTACH_ALWAYS;
	return ATTACH_TEXTS;
}

static int attach_site(struct attachment *attachment, int i, struct bpf_object *object)
{
	const struct probe_site *site = &attachment->sites[i];
	struct bpf_program *program = bpf_object__find_program_by_name(object, site->program);
	uint64_t cookie = 0;

	if (!program)
		return -ENOENT;
	/* for this program alone: a kernel without cookies refuses a link that has one */
	if (site->probe == &probes[PROBE_X509_STORE_CTX_FREE_ENTRY])
		cookie = site->accessor_offset;
	return uprobe_attach(&attachment->uprobes[i], program, site->library->open_path, site->offset,
			     site->probe->place == PROBE_RETURN, cookie);
}

static bool wanted(const struct probe_site *site, bool return_probes)
{
	return site->found && site->chosen && (return_probes || site->probe->place == PROBE_ENTRY);
}

void attach_group(struct attachment *attachment, struct bpf_object *object, enum attach_group group,
		  bool return_probes)
{
	if (attachment->attached[group])
		return;
	attachment->attached[group] = true;
	for (int i = 0; i < PROBE_COUNT; i++) {
		if (attach_group_of(&attachment->sites[i]) == group &&
		    wanted(&attachment->sites[i], return_probes))
			attach_site(attachment, i, object);
	}
}

int attach_open(struct attachment *attachment, const struct libraries *libraries,
		struct bpf_object *object, bool return_probes, struct failure *why)
{
	int err;

	memset(attachment, 0, sizeof(*attachment));
	attachment->libraries = *libraries;
	if (probes_resolve(&attachment->libraries, attachment->sites, why) < 0)
		return -1;
	if (libbpf_probe_bpf_helper(BPF_PROG_TYPE_KPROBE, BPF_FUNC_get_attach_cookie, NULL) != 1)
		probes_without_cookie(attachment->sites);
	for (int i = 0; i < PROBE_COUNT; i++) {
		const struct probe_site *site = &attachment->sites[i];

		if (attach_group_of(site) != ATTACH_ALWAYS || !wanted(site, return_probes))
			continue;
		err = attach_site(attachment, i, object);
		if (err < 0 && site->probe->need == PROBE_REQUIRED) {
			attach_close(attachment);
			return failure_set(why, err == -EPERM || err == -EACCES ? EXIT_PERMISSION : EXIT_HOST,
					   "cannot probe %s in %s: %s; run tlswhy check", site->symbol,
					   site->library->shown_path, strerror(-err));
		}
	}
	attachment->attached[ATTACH_ALWAYS] = true;
	return 0;
}

/* Uprobes that a thread of their own detaches. */
struct doomed {
	struct uprobe uprobes[PROBE_COUNT];
	int count;
};

static void *doom(void *arg)
{
	struct doomed *doomed = arg;

	for (int i = 0; i < doomed->count; i++)
		uprobe_detach(&doomed->uprobes[i]);
	free(doomed);
	return NULL;
}

void attach_release(struct attachment *attachment, enum attach_group group)
{
	struct doomed *doomed;
	pthread_t thread;

	if (!attachment->attached[group])
		return;
	doomed = calloc(1, sizeof(*doomed));
	if (!doomed)
		return;
	attachment->attached[group] = false;
	for (int i = 0; i < PROBE_COUNT; i++) {
		struct uprobe *uprobe = &attachment->uprobes[i];

		if (!uprobe_is_attached(uprobe) || attach_group_of(&attachment->sites[i]) != group)
			continue;
		doomed->uprobes[doomed->count++] = *uprobe;
		memset(uprobe, 0, sizeof(*uprobe));
	}
	if (pthread_create(&thread, NULL, doom, doomed))
		doom(doomed);
	else
		pthread_detach(thread);
}

void attach_close(struct attachment *attachment)
{
	for (int i = 0; i < PROBE_COUNT; i++)
		uprobe_detach(&attachment->uprobes[i]);
}
