/* SPDX-License-Identifier: BSD-2-Clause */
#include "trace/requirements.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/failure.h"
#include "trace/cgroup.h"
#include "trace/procfs.h"
#include "trace/safety.h"

#ifndef CAP_PERFMON
#define CAP_PERFMON 38
#define CAP_BPF 39
#endif
#ifndef CAP_CHECKPOINT_RESTORE
#define CAP_CHECKPOINT_RESTORE 40
#endif

#define BTF_FILE "/sys/kernel/btf/vmlinux"

struct tester {
	struct btf *btf; /* the kernel's; NULL where there is none */
};

static void __attribute__((format(printf, 3, 4)))
found(struct requirement *requirement, enum requirement_state state, const char *format, ...)
{
	va_list args;

	requirement->state = state;
	va_start(args, format);
	vsnprintf(requirement->detail, sizeof(requirement->detail), format, args);
	va_end(args);
}

static void advise(struct requirement *requirement, const char *action)
{
	snprintf(requirement->action, sizeof(requirement->action), "%s", action);
}

/* A call that failed: without the right to make it, nothing is known about the feature. */
static void failed(struct requirement *requirement, int err, const char *what, const char *action)
{
	if (err == -EPERM || err == -EACCES) {
		requirement->exit_code = EXIT_PERMISSION;
		found(requirement, REQUIREMENT_MISSING, "%s: not permitted", what);
		advise(requirement, "run as root");
		return;
	}
	found(requirement, REQUIREMENT_MISSING, "%s: %s", what, strerror(-err));
	advise(requirement, action);
}

static uint64_t effective_capabilities(void)
{
	char text[16384];
	const char *field;

	if (procfs_read("/proc/self/status", text, sizeof(text)) < 0)
		return 0;
	field = procfs_field(text, "CapEff:");
	return field ? strtoull(field, NULL, 16) : 0;
}

static void append(char *text, size_t size, const char *word)
{
	size_t len = strlen(text);

	snprintf(text + len, size - len, "%s%s", len ? ", " : "", word);
}

/* What a test finds must be said even where CAP_SYS_ADMIN stands for the narrower ones. */
static void test_rights(struct tester *tester, struct requirement *requirement)
{
	static const struct {
		int number;
		const char *name;
		bool admin; /* CAP_SYS_ADMIN includes it */
		bool needed;
	} capabilities[] = {
		{CAP_BPF, "CAP_BPF", true, true},
		{CAP_PERFMON, "CAP_PERFMON", true, true},
		{CAP_NET_ADMIN, "CAP_NET_ADMIN", false, true},
		{CAP_SYS_PTRACE, "CAP_SYS_PTRACE", false, true},
		{CAP_DAC_READ_SEARCH, "CAP_DAC_READ_SEARCH", false, false},
		{CAP_CHECKPOINT_RESTORE, "CAP_CHECKPOINT_RESTORE", true, false},
	};
	uint64_t have = effective_capabilities();
	bool admin = have >> CAP_SYS_ADMIN & 1;
	char missing[256] = "", absent[128] = "";

	(void)tester;
	for (size_t i = 0; i < sizeof(capabilities) / sizeof(capabilities[0]); i++) {
		if (have >> capabilities[i].number & 1 || (admin && capabilities[i].admin))
			continue;
		if (capabilities[i].needed)
			append(missing, sizeof(missing), capabilities[i].name);
		else
			append(absent, sizeof(absent), capabilities[i].name);
	}
	requirement->exit_code = EXIT_PERMISSION;
	if (missing[0]) {
		found(requirement, REQUIREMENT_MISSING, "without %s", missing);
		advise(requirement, "run as root, or give these capabilities");
	} else if (absent[0]) {
		found(requirement, REQUIREMENT_WARNING,
		      "without %s: a library that was deleted on disk, or that only its owner may "
		      "read, cannot be opened",
		      absent);
		advise(requirement, "run as root if that is the case");
	} else {
		found(requirement, REQUIREMENT_OK, "%s",
		      geteuid() == 0 ? "root" : "all capabilities that are needed");
	}
}

static void test_lockdown(struct tester *tester, struct requirement *requirement)
{
	char text[128];

	(void)tester;
	if (procfs_read("/sys/kernel/security/lockdown", text, sizeof(text)) < 0 ||
	    !strstr(text, "[confidentiality]")) {
		found(requirement, REQUIREMENT_OK, "kernel memory may be read by BPF programs");
		return;
	}
	found(requirement, REQUIREMENT_MISSING, "the kernel is locked down (confidentiality)");
	advise(requirement, "boot with lockdown=integrity");
}

static void test_btf(struct tester *tester, struct requirement *requirement)
{
	struct stat st;

	if (tester->btf && !stat(BTF_FILE, &st)) {
		found(requirement, REQUIREMENT_OK, BTF_FILE ", %ld KB", (long)st.st_size / 1024);
		return;
	}
	found(requirement, REQUIREMENT_MISSING, BTF_FILE " is not there");
	advise(requirement, "use a kernel with CONFIG_DEBUG_INFO_BTF");
}

static void test_ring(struct tester *tester, struct requirement *requirement)
{
	/* The size that a run takes by default would do as well; this one shows the memory limit.
	 */
	int fd = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "tlswhy_test", 0, 0, 1 << 20, NULL);

	(void)tester;
	if (fd < 0) {
		failed(requirement, -errno, "a BPF ring buffer cannot be made",
		       "use Linux 5.10 or newer; raise the memory lock limit (ulimit -l)");
		return;
	}
	close(fd);
	found(requirement, REQUIREMENT_OK, "can be made");
}

/* A map with the flags of the real one: its type asks for BTF of key and value. fd or -errno. */
static int make_storage(void)
{
	LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_NO_PREALLOC | BPF_F_CLONE);
	struct btf *btf = btf__new_empty();
	int id, fd = -1, err;

	if (!btf)
		return -ENOMEM;
	id = btf__add_int(btf, "int", 4, BTF_INT_SIGNED);
	err = id < 0 ? id : btf__load_into_kernel(btf);
	if (!err) {
		options.btf_fd = btf__fd(btf);
		options.btf_key_type_id = options.btf_value_type_id = id;
		fd = bpf_map_create(BPF_MAP_TYPE_SK_STORAGE, "tlswhy_test", 4, 4, 0, &options);
		if (fd < 0)
			err = -errno;
	}
	btf__free(btf);
	return err ? err : fd;
}

#define INSN(c, d, s, o, i)                                                                        \
	{                                                                                          \
		.code = (c), .dst_reg = (d), .src_reg = (s), .off = (o), .imm = (i)                \
	}
#define RETURN_ZERO INSN(BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 0)
#define RETURN_ONE INSN(BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 1)
#define EXIT INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)

/* Loads a program on a tracepoint by its BTF id. fd or -errno. */
static int load_tracepoint(const struct tester *tester, const char *name,
			   const struct bpf_insn *program, size_t count)
{
	LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = BPF_TRACE_RAW_TP);
	char type[128];
	int id, fd;

	snprintf(type, sizeof(type), "btf_trace_%s", name);
	id = tester->btf ? btf__find_by_name_kind(tester->btf, type, BTF_KIND_TYPEDEF) : -ENOENT;
	if (id < 0)
		return -ENOENT;
	options.attach_btf_id = id;
	fd = bpf_prog_load(BPF_PROG_TYPE_TRACING, "tlswhy_test", "GPL", program, count, &options);
	return fd < 0 ? -errno : fd;
}

/* Attaches to each of them for a moment a program that does nothing. */
static void test_tracepoints(const struct tester *tester, struct requirement *requirement,
			     const char *const *names, int count)
{
	static const struct bpf_insn nothing[] = {RETURN_ZERO, EXIT};
	char missing[256] = "";
	int err = 0;

	for (int i = 0; i < count; i++) {
		int program = load_tracepoint(tester, names[i], nothing, 2);
		int link = program < 0 ? program : bpf_raw_tracepoint_open(NULL, program);

		if (link < 0) {
			err = program < 0 ? program : -errno;
			append(missing, sizeof(missing), names[i]);
		}
		if (link >= 0)
			close(link);
		if (program >= 0)
			close(program);
	}
	if (err)
		failed(requirement, err, missing, "use Linux 5.10 or newer with BTF");
	else
		found(requirement, REQUIREMENT_OK, "%d of %d attach", count, count);
}

static void test_tcp(struct tester *tester, struct requirement *requirement)
{
	static const char *const names[] = {"inet_sock_set_state", "tcp_retransmit_skb"};

	test_tracepoints(tester, requirement, names, 2);
}

static void test_processes(struct tester *tester, struct requirement *requirement)
{
	static const char *const names[] = {"sched_process_fork", "sched_process_exec",
					    "sched_process_exit", "signal_deliver"};

	test_tracepoints(tester, requirement, names, 4);
}

/* Marks on sockets: the map, and that a tracepoint may look into it (5.11). */
static void test_storage(struct tester *tester, struct requirement *requirement)
{
	int map = make_storage(), program;
	const struct bpf_insn look[] = {
		INSN(BPF_LDX | BPF_MEM | BPF_DW, 2, 1, 0, 0), /* r2 = the tracepoint's sock */
		INSN(BPF_LD | BPF_IMM | BPF_DW, 1, BPF_PSEUDO_MAP_FD, 0, map),
		INSN(0, 0, 0, 0, 0),
		INSN(BPF_ALU64 | BPF_MOV | BPF_K, 3, 0, 0, 0),
		INSN(BPF_ALU64 | BPF_MOV | BPF_K, 4, 0, 0, 0),
		INSN(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_sk_storage_get),
		RETURN_ZERO,
		EXIT,
	};

	if (map < 0) {
		failed(requirement, map, "sk_storage with BPF_F_CLONE cannot be made",
		       "use Linux 5.10 or newer with CONFIG_BPF_SYSCALL and CONFIG_INET");
		return;
	}
	program = load_tracepoint(tester, "inet_sock_set_state", look,
				  sizeof(look) / sizeof(look[0]));
	close(map);
	if (program < 0) {
		failed(requirement, program, "no access from tracepoints",
		       "use Linux 5.11 or newer");
		return;
	}
	close(program);
	found(requirement, REQUIREMENT_OK, "cloned to children, reached from tracepoints");
}

/* Another's program that allows no second one would make ours fail. */
static void test_exclusive(int cgroup, struct requirement *requirement)
{
	static const enum bpf_attach_type types[] = {BPF_CGROUP_INET_INGRESS,
						     BPF_CGROUP_INET_EGRESS};

	for (int i = 0; i < 2; i++) {
		uint32_t flags = 0, count = 0;

		if (bpf_prog_query(cgroup, types[i], 0, &flags, NULL, &count) || !count)
			continue;
		if (flags & BPF_F_ALLOW_MULTI)
			continue;
		found(requirement, REQUIREMENT_MISSING,
		      "another program holds the root cgroup's packets for itself");
		advise(requirement, "find it with `bpftool cgroup tree` and detach it");
	}
}

static void test_cgroup(struct tester *tester, struct requirement *requirement)
{
	char path[4096];
	struct failure why;
	bool is_root;
	int fd;

	(void)tester;
	fd = cgroup_open_root(&why);
	if (fd < 0) {
		requirement->exit_code = why.exit_code;
		found(requirement, REQUIREMENT_MISSING, "%.400s", why.message);
		return;
	}
	if (cgroup_find_mount(path, sizeof(path), &is_root)) {
		found(requirement, REQUIREMENT_OK, "mounted nowhere, but usable");
	} else if (is_root) {
		found(requirement, REQUIREMENT_OK, "%.400s", path);
	} else {
		found(requirement, REQUIREMENT_WARNING,
		      "%.300s shows a part of the hierarchy only: sockets of other cgroups show no "
		      "packets",
		      path);
		advise(requirement, "run on the host, or with the host's cgroup namespace");
	}
	test_exclusive(fd, requirement);
	close(fd);
}

static void test_packets(struct tester *tester, struct requirement *requirement)
{
	LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = BPF_CGROUP_INET_INGRESS);
	static const struct bpf_insn pass[] = {RETURN_ONE, EXIT};
	static const struct {
		enum bpf_func_id id;
		const char *name;
	} helpers[] = {
		{BPF_FUNC_sk_storage_get, "sk_storage_get"},
		{BPF_FUNC_skb_load_bytes, "skb_load_bytes"},
		{BPF_FUNC_tcp_sock, "tcp_sock"},
		{BPF_FUNC_get_socket_cookie, "get_socket_cookie"},
		{BPF_FUNC_ringbuf_reserve, "ringbuf_reserve"},
	};
	char missing[128] = "";
	int fd;

	(void)tester;
	fd = bpf_prog_load(BPF_PROG_TYPE_CGROUP_SKB, "tlswhy_test", "GPL", pass, 2, &options);
	if (fd < 0) {
		failed(requirement, -errno, "cgroup_skb programs do not load",
		       "use a kernel with CONFIG_CGROUP_BPF");
		return;
	}
	close(fd);
	for (size_t i = 0; i < sizeof(helpers) / sizeof(helpers[0]); i++)
		if (libbpf_probe_bpf_helper(BPF_PROG_TYPE_CGROUP_SKB, helpers[i].id, NULL) == 0)
			append(missing, sizeof(missing), helpers[i].name);
	if (missing[0])
		failed(requirement, -ENOSYS, missing, "use Linux 5.10 or newer");
	else
		found(requirement, REQUIREMENT_OK, "cgroup_skb programs load, with all helpers");
}

static void test_uprobes(struct tester *tester, struct requirement *requirement)
{
	static const struct bpf_insn nothing[] = {RETURN_ZERO, EXIT};
	uint64_t type;
	int err, fd;

	(void)tester;
	err = procfs_read_number("/sys/bus/event_source/devices/uprobe/type", &type);
	if (err) {
		failed(requirement, err, "no uprobe event source in /sys",
		       "use a kernel with CONFIG_UPROBE_EVENTS");
		return;
	}
	fd = bpf_prog_load(BPF_PROG_TYPE_KPROBE, "tlswhy_test", "GPL", nothing, 2, NULL);
	if (fd < 0) {
		failed(requirement, -errno, "programs for them do not load",
		       "use a kernel with CONFIG_BPF_EVENTS");
		return;
	}
	close(fd);
	found(requirement, REQUIREMENT_OK, "event source %llu", (unsigned long long)type);
}

static void test_return_probes(struct tester *tester, struct requirement *requirement)
{
	struct safety safety;

	(void)tester;
	safety_test(&safety);
	switch (safety.verdict) {
	case SAFETY_SAFE:
		found(requirement, REQUIREMENT_OK, "safe: %s", safety.why);
		break;
	case SAFETY_KILLED:
		found(requirement, REQUIREMENT_MISSING, "not safe: %s", safety.why);
		advise(requirement,
		       "update the kernel (seccomp passes uretprobe(2) from 6.14 and in "
		       "the newest 6.12); until then tlswhy attaches nothing");
		break;
	default:
		if (effective_capabilities() >> CAP_SYS_ADMIN & 1 ||
		    effective_capabilities() >> CAP_PERFMON & 1) {
			found(requirement, REQUIREMENT_MISSING, "not known to be safe: %s",
			      safety.why);
			advise(requirement, "see the reason");
		} else {
			failed(requirement, -EPERM, "trying them", "");
		}
	}
}

/* Taking nginx's listening sockets: here from ourselves, with the right to do so of course. */
static void test_descriptors(struct tester *tester, struct requirement *requirement)
{
	int pidfd, fd, err;

	(void)tester;
	pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
	fd = pidfd < 0 ? -1 : (int)syscall(SYS_pidfd_getfd, pidfd, pidfd, 0);
	err = fd < 0 ? -errno : 0;
	if (fd >= 0)
		close(fd);
	if (pidfd >= 0)
		close(pidfd);
	if (err)
		failed(requirement, err, "pidfd_getfd",
		       "use Linux 5.10 or newer; allow the call in "
		       "the seccomp filter tlswhy runs under");
	else
		found(requirement, REQUIREMENT_OK, "listening sockets can be taken from nginx");
}

static int silent(enum libbpf_print_level level, const char *format, va_list args)
{
	(void)level;
	(void)format;
	(void)args;
	return 0;
}

int requirements_test(requirements_fn *each, void *data)
{
	static const struct {
		const char *name;
		void (*test)(struct tester *tester, struct requirement *requirement);
	} tests[] = {
		{"rights", test_rights},
		{"lockdown", test_lockdown},
		{"kernel types (BTF)", test_btf},
		{"ring buffer", test_ring},
		{"socket storage", test_storage},
		{"packets", test_packets},
		{"cgroup v2", test_cgroup},
		{"TCP tracepoints", test_tcp},
		{"process tracepoints", test_processes},
		{"sockets of others", test_descriptors},
		{"uprobes", test_uprobes},
		{"return probes", test_return_probes},
	};
	libbpf_print_fn_t before = libbpf_set_print(silent);
	struct tester tester = {.btf = btf__load_vmlinux_btf()};
	int worst = EXIT_OK;

	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
		struct requirement requirement = {.name = tests[i].name, .exit_code = EXIT_HOST};

		tests[i].test(&tester, &requirement);
		each(&requirement, data);
		if (requirement.state == REQUIREMENT_MISSING && requirement.exit_code > worst)
			worst = requirement.exit_code;
	}
	btf__free(tester.btf);
	libbpf_set_print(before);
	return worst;
}
