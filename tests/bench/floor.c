/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The floor under every tracer of handshakes: uprobes that do nothing on SSL_set_fd and on entry
 * and return of SSL_do_handshake. What this adds to a handshake, nothing that sees it can avoid.
 *
 *   floor LIBSSL              attaches, says "ready", stays until SIGINT or SIGTERM
 *   floor --armed PID LIBSSL  exit 0 if both functions carry a breakpoint in that process, 1 if not
 */
#include "symbol.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define UPROBE_PMU "/sys/bus/event_source/devices/uprobe/"

static const char *const functions[] = {"SSL_set_fd", "SSL_do_handshake"};

/* The kernel gives the uprobe PMU its type number at boot. */
static int uprobe_pmu_type(void)
{
	FILE *file = fopen(UPROBE_PMU "type", "re");
	int type = -1;

	if (!file || fscanf(file, "%d", &type) != 1)
		fprintf(stderr, "floor: no uprobe PMU: %s\n", strerror(errno));
	if (file)
		fclose(file);
	return type;
}

/* Which bit of config makes it a return probe: "config:0" up to now. */
static uint64_t uprobe_return_bit(void)
{
	FILE *file = fopen(UPROBE_PMU "format/retprobe", "re");
	unsigned int bit = 0;

	if (file) {
		if (fscanf(file, "config:%u", &bit) != 1 || bit > 63)
			bit = 0;
		fclose(file);
	}
	return UINT64_C(1) << bit;
}

static int load_empty_program(void)
{
	const struct bpf_insn code[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0},
		{.code = BPF_JMP | BPF_EXIT},
	};

	return bpf_prog_load(BPF_PROG_TYPE_KPROBE, "floor", "GPL", code, 2, NULL);
}

/* Like libbpf for all processes: pid -1 on CPU 0; the program runs wherever the probe is hit. */
static int attach(const char *library, const struct symbol *symbol, uint64_t config, int program)
{
	struct perf_event_attr attr = {
		.size = sizeof(attr),
		.config = config,
		.uprobe_path = (uint64_t)(uintptr_t)library,
		.probe_offset = symbol->probe,
	};
	int type = uprobe_pmu_type(), fd;

	if (type < 0)
		return -1;
	attr.type = (uint32_t)type;
	fd = (int)syscall(SYS_perf_event_open, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
	if (fd < 0 || ioctl(fd, PERF_EVENT_IOC_SET_BPF, program) < 0 ||
	    ioctl(fd, PERF_EVENT_IOC_ENABLE, 0) < 0) {
		fprintf(stderr, "floor: %s+0x%" PRIx64 ": %s\n", library, symbol->probe,
			strerror(errno));
		return -1;
	}
	return 0;
}

static int run_floor(const char *library)
{
	struct symbol set_fd, do_handshake;
	sigset_t stop;
	int program, received;

	/* Blocked before attaching, so that no signal is lost before sigwait() takes it. */
	sigemptyset(&stop);
	sigaddset(&stop, SIGINT);
	sigaddset(&stop, SIGTERM);
	sigprocmask(SIG_BLOCK, &stop, NULL);

	program = load_empty_program();
	if (program < 0) {
		fprintf(stderr, "floor: cannot load a BPF program: %s\n", strerror(-program));
		return 2;
	}
	if (symbol_find(library, functions[0], &set_fd) < 0 ||
	    symbol_find(library, functions[1], &do_handshake) < 0 ||
	    attach(library, &set_fd, 0, program) < 0 ||
	    attach(library, &do_handshake, 0, program) < 0 ||
	    attach(library, &do_handshake, uprobe_return_bit(), program) < 0)
		return 2;
	printf("ready: %s %s, %s %s\n", functions[0], set_fd.push ? "push" : "single-stepped",
	       functions[1], do_handshake.push ? "push" : "single-stepped");
	fflush(stdout);
	sigwait(&stop, &received);
	return 0;
}

/* The address at which a process maps this offset of this file, 0 where it does not. */
static uint64_t mapped_address(int pid, const char *library, uint64_t offset)
{
	char path[64], line[4352], name[4096];
	uint64_t start, end, from, address = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	file = fopen(path, "re");
	while (file && address == 0 && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %*s %" SCNx64 " %*s %*s %4095[^\n]",
			   &start, &end, &from, name) != 4)
			continue;
		if (strcmp(name, library) == 0 && offset >= from && offset - from < end - start)
			address = start + offset - from;
	}
	if (file)
		fclose(file);
	return address;
}

/* A uprobe is a breakpoint in the process's copy of the page: its code differs from the file's. */
static int is_armed(int pid, const char *library, const char *function)
{
	uint8_t code[SYMBOL_CODE_LEN];
	struct symbol symbol;
	char path[64];
	uint64_t address;
	ssize_t length;
	int fd;

	if (symbol_find(library, function, &symbol) < 0)
		return -1;
	address = mapped_address(pid, library, symbol.offset);
	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (address == 0 || fd < 0) {
		fprintf(stderr, "floor: process %d does not map %s\n", pid, library);
		return -1;
	}
	length = pread(fd, code, sizeof(code), (off_t)address);
	close(fd);
	if (length != (ssize_t)sizeof(code))
		return -1;
	return memcmp(code, symbol.code, sizeof(code)) != 0;
}

static int check_armed(int pid, const char *library)
{
	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
		int armed = is_armed(pid, library, functions[i]);

		if (armed < 0)
			return 2;
		if (armed == 0)
			return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 4 && strcmp(argv[1], "--armed") == 0)
		return check_armed(atoi(argv[2]), argv[3]);
	if (argc == 2 && argv[1][0] != '-')
		return run_floor(argv[1]);
	fprintf(stderr, "usage: floor LIBSSL | floor --armed PID LIBSSL\n");
	return 2;
}
