/* SPDX-License-Identifier: BSD-2-Clause */
#include "trace/uprobe.h"

#include <errno.h>
#include <linux/bpf.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bpf/bpf.h>

/* include/uapi/linux/bpf.h of Linux 6.6; the header of Debian 12 is older. */
enum { TRACE_UPROBE_MULTI = 48, UPROBE_MULTI_RETURN = 1 };

/* union bpf_attr, link_create, uprobe_multi */
struct multi_attr {
	uint32_t prog_fd, target_fd, attach_type, flags;
	uint64_t path, offsets, ref_ctr_offsets, cookies;
	uint32_t count, multi_flags;
	uint32_t pid; /* 0: all */
	uint32_t reserved;
};

static int multi_create(int program, const char *path, uint64_t offset, bool at_return,
			uint64_t cookie)
{
	struct multi_attr attr = {
		.prog_fd = program,
		.attach_type = TRACE_UPROBE_MULTI,
		.path = (uintptr_t)path,
		.offsets = (uintptr_t)&offset,
		.cookies = cookie ? (uintptr_t)&cookie : 0,
		.count = 1,
		.multi_flags = at_return ? UPROBE_MULTI_RETURN : 0,
	};
	int fd = syscall(SYS_bpf, BPF_LINK_CREATE, &attr, sizeof(attr));

	return fd < 0 ? -errno : fd;
}

bool uprobe_multi_supported(void)
{
	const struct bpf_insn instructions[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = (enum bpf_attach_type)TRACE_UPROBE_MULTI);
	int program, link;

	program = bpf_prog_load(BPF_PROG_TYPE_KPROBE, "uprobe_multi", "GPL", instructions, 2,
				&options);
	if (program < 0)
		return false;
	/* a directory is not probed: whoever says just that has understood the rest */
	link = multi_create(program, "/", 0, false, 0);
	if (link >= 0)
		close(link);
	close(program);
	return link == -EBADF;
}

void uprobe_multi_prepare(struct bpf_program *program)
{
	bpf_program__set_expected_attach_type(program, (enum bpf_attach_type)TRACE_UPROBE_MULTI);
}

static int perf_attach(struct uprobe *uprobe, struct bpf_program *program, const char *path,
		       uint64_t offset, bool at_return, uint64_t cookie)
{
	LIBBPF_OPTS(bpf_uprobe_opts, options, .retprobe = at_return, .bpf_cookie = cookie);

	/* pid −1: a perf event of one task makes the kernel swap contexts at each of its switches,
	 * which costs every request; and workers to come would not inherit it */
	uprobe->link = bpf_program__attach_uprobe_opts(program, -1, path, offset, &options);
	return uprobe->link ? 0 : -errno;
}

int uprobe_attach(struct uprobe *uprobe, struct bpf_program *program, const char *path,
		  uint64_t offset, bool at_return, uint64_t cookie)
{
	int fd;

	if ((int)bpf_program__expected_attach_type(program) != TRACE_UPROBE_MULTI)
		return perf_attach(uprobe, program, path, offset, at_return, cookie);
	fd = multi_create(bpf_program__fd(program), path, offset, at_return, cookie);
	if (fd < 0)
		return fd;
	uprobe->fd = fd;
	return 0;
}

bool uprobe_is_attached(const struct uprobe *uprobe)
{
	return uprobe->link || uprobe->fd;
}

void uprobe_detach(struct uprobe *uprobe)
{
	bpf_link__destroy(uprobe->link);
	if (uprobe->fd)
		close(uprobe->fd);
	memset(uprobe, 0, sizeof(*uprobe));
}
