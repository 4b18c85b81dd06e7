/* SPDX-License-Identifier: BSD-2-Clause */
/* Where OpenSSL is found in a process, and where its functions are in the file. */
#include <criterion/criterion.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/perf_event.h>
#include <openssl/crypto.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "live/private_nginx.h"
#include "trace/library.h"
#include "trace/probes.h"
#include "trace/process.h"
#include "trace/procfs.h"
#include "trace/symbols.h"

static struct private_nginx nginx;
static pid_t program;

static void stop(void)
{
	private_nginx_stop(&nginx);
	if (program > 0) {
		kill(program, SIGKILL);
		waitpid(program, NULL, 0);
	}
}

/* The file that this very process has for a library: what the system's nginx uses too. */
static void system_library(const char *soname, const char *function, char path[PATH_MAX])
{
	void *handle = dlopen(soname, RTLD_NOW);
	Dl_info info;

	cr_assert_not_null(handle, "%s", dlerror());
	cr_assert(dladdr(dlsym(handle, function), &info));
	cr_assert_not_null(realpath(info.dli_fname, path));
}

static void find(pid_t pid, struct libraries *libraries)
{
	struct failure why = {0};

	cr_assert_eq(library_find(pid, libraries, &why), 0, "%s", why.message);
}

static const struct library *one(const struct libraries *libraries, enum library_kind kind)
{
	return &libraries->list[libraries->index[kind]];
}

/* What counts in the end: the kernel takes that path for a uprobe. */
static void expect_probeable(const struct probe_site *site)
{
	struct perf_event_attr attr = {.size = sizeof(attr)};
	uint64_t type;
	int fd;

	cr_assert_eq(procfs_read_number("/sys/bus/event_source/devices/uprobe/type", &type), 0);
	attr.type = (uint32_t)type;
	attr.uprobe_path = (uint64_t)(uintptr_t)site->library->open_path;
	attr.probe_offset = site->offset;
	/* On ourselves alone: no other user of the inode feels it. */
	fd = (int)syscall(SYS_perf_event_open, &attr, getpid(), -1, -1, PERF_FLAG_FD_CLOEXEC);
	cr_expect(fd >= 0, "%s in %s: %m", site->symbol, site->library->open_path);
	if (fd >= 0)
		close(fd);
}

static void resolve(const struct libraries *libraries, struct probe_site sites[PROBE_COUNT])
{
	struct failure why = {0};

	cr_assert_eq(probes_resolve(libraries, sites, &why), 0, "%s", why.message);
}

static void expect_inode(const struct library *library, const char *path)
{
	struct stat st;

	cr_assert_eq(stat(path, &st), 0, "%s", path);
	cr_expect_eq(library->ino, st.st_ino, "%s is not %s", library->open_path, path);
	cr_expect_eq(library->dev, st.st_dev);
	cr_assert_eq(stat(library->open_path, &st), 0);
	cr_expect_eq(library->ino, st.st_ino);
}

Test(library, dynamic, .fini = stop)
{
	char ssl[PATH_MAX], crypto[PATH_MAX], shown[LIBRARY_BUILD_ID_MAX], command[PATH_MAX + 64];
	static struct libraries libraries;
	FILE *tell;

	system_library("libssl.so.3", "SSL_do_handshake", ssl);
	system_library("libcrypto.so.3", "ERR_error_string_n", crypto);
	private_nginx_start(&nginx, 2);
	find(nginx.master, &libraries);
	cr_expect_eq(libraries.count, 2);
	cr_expect_str_eq(one(&libraries, LIBRARY_SSL)->open_path, ssl);
	cr_expect_str_eq(one(&libraries, LIBRARY_CRYPTO)->open_path, crypto);
	cr_expect_str_eq(one(&libraries, LIBRARY_SSL)->shown_path, ssl);
	expect_inode(one(&libraries, LIBRARY_SSL), ssl);
	snprintf(command, sizeof(command), "OpenSSL %s", OpenSSL_version(OPENSSL_VERSION_STRING));
	for (int i = 0; i < 2; i++) {
		cr_expect_str_eq(libraries.list[i].flavour, command);
		cr_expect(library_is_openssl(&libraries.list[i]));
		cr_expect_not(libraries.list[i].deleted || libraries.list[i].is_executable);
	}
	cr_expect_not(library_same(&libraries.list[0], &libraries.list[1]));
	snprintf(command, sizeof(command), "readelf -n %s | sed -n 's/.*Build ID: //p'", ssl);
	tell = popen(command, "r");
	cr_assert(fscanf(tell, "%64s", shown) == 1);
	pclose(tell);
	cr_expect_str_eq(one(&libraries, LIBRARY_SSL)->build_id, shown);
}

/* Copies of the system's libraries in the test's directory: no other tracer's breakpoints in them.
 */
static void copy_libraries(void)
{
	char ssl[PATH_MAX], crypto[PATH_MAX];

	system_library("libssl.so.3", "SSL_do_handshake", ssl);
	system_library("libcrypto.so.3", "ERR_error_string_n", crypto);
	private_nginx_make_dir(&nginx);
	private_nginx_run("cp %s %s %s", ssl, crypto, nginx.dir);
	nginx.library_path = nginx.dir;
}

/* The bytes at each offset are those that run in this process under the same name. */
Test(probes, offsets_are_the_functions, .fini = stop)
{
	static const char *const names[] = {
		[LIBRARY_SSL] = "libssl.so.3", [LIBRARY_CRYPTO] = "libcrypto.so.3"};
	struct probe_site sites[PROBE_COUNT];
	static struct libraries libraries;
	void *handles[LIBRARY_KINDS];
	char path[128];

	copy_libraries();
	for (int kind = 0; kind < LIBRARY_KINDS; kind++) {
		snprintf(path, sizeof(path), "%s/%s", nginx.dir, names[kind]);
		handles[kind] = dlopen(path, RTLD_NOW | RTLD_LOCAL);
		cr_assert_not_null(handles[kind], "%s", dlerror());
	}
	private_nginx_start(&nginx, 2);
	find(nginx.master, &libraries);
	resolve(&libraries, sites);
	for (int i = 0; i < PROBE_COUNT; i++) {
		const struct probe_site *site = &sites[i];
		uint8_t code[INSTRUCTION_CODE_LEN];
		const void *runs = dlsym(handles[site->probe->library], site->symbol);

		cr_assert(site->found, "%s", site->symbol);
		cr_assert_eq(symbols_read_code(site->library->open_path, site->function, code,
					       sizeof(code)),
			     sizeof(code));
		cr_expect_arr_eq(code, runs, sizeof(code), "%s", site->symbol);
		cr_expect_str_eq(site->symbol, site->probe->symbol);
		cr_expect_str_eq(site->program, site->probe->program);
		cr_expect_eq(site->offset, site->function + site->instruction.offset);
		expect_probeable(site);
	}
	cr_expect(sites[PROBE_ERR_LIB_ERROR_STRING_ENTRY].chosen !=
		  (sites[PROBE_ERR_ERROR_STRING_N_ENTRY].when == PROBE_ALWAYS));
}

/* What a package upgrade leaves behind: the mapped files are gone, others lie under their names. */
Test(library, replaced_on_disk, .fini = stop)
{
	char ssl[PATH_MAX], binary[128];
	struct probe_site sites[PROBE_COUNT];
	static struct libraries libraries;
	struct stat before;

	copy_libraries();
	private_nginx_run("cp /usr/sbin/nginx %s", nginx.dir);
	snprintf(binary, sizeof(binary), "%s/nginx", nginx.dir);
	nginx.binary = binary;
	private_nginx_start(&nginx, 2);
	snprintf(ssl, sizeof(ssl), "%s/libssl.so.3", nginx.dir);
	cr_assert_eq(stat(ssl, &before), 0);
	find(nginx.master, &libraries);
	cr_expect_eq(one(&libraries, LIBRARY_SSL)->ino, before.st_ino);
	cr_expect_not(one(&libraries, LIBRARY_SSL)->deleted);

	/* One is replaced, one is gone, and so is nginx itself. */
	private_nginx_run(
		"cd %s && echo other >new && mv new libssl.so.3 && rm libcrypto.so.3 nginx",
		nginx.dir);
	find(nginx.master, &libraries);
	cr_expect_eq(one(&libraries, LIBRARY_SSL)->ino, before.st_ino);
	cr_expect_str_eq(one(&libraries, LIBRARY_SSL)->shown_path, ssl);
	for (int i = 0; i < 2; i++) {
		cr_expect(libraries.list[i].deleted);
		cr_expect_eq(strncmp(libraries.list[i].open_path, "/proc/", 6), 0);
		cr_expect_eq(strlen(libraries.list[i].build_id), 40);
	}
	resolve(&libraries, sites);
	expect_probeable(&sites[PROBE_SSL_DO_HANDSHAKE_ENTRY]);
	expect_probeable(&sites[PROBE_ERR_LIB_ERROR_STRING_ENTRY]);
	cr_expect_eq(process_is_nginx(nginx.master, binary, sizeof(binary)), 1);
}

/* In the child: a mount namespace in which another file has the library's name. */
static void bind_copy(void *data)
{
	const char *const *paths = data;

	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount(paths[0], paths[1], NULL, MS_BIND, NULL))
		_exit(125);
}

Test(library, in_another_mount_namespace, .fini = stop)
{
	char ssl[PATH_MAX], copy[128], root[64];
	const char *paths[] = {copy, ssl};
	struct probe_site sites[PROBE_COUNT];
	static struct libraries libraries;
	const struct library *found;

	system_library("libssl.so.3", "SSL_do_handshake", ssl);
	private_nginx_make_dir(&nginx);
	snprintf(copy, sizeof(copy), "%s/copy", nginx.dir);
	private_nginx_run("cp %s %s", ssl, copy);
	nginx.prepare = bind_copy;
	nginx.data = paths;
	private_nginx_start(&nginx, 2);
	find(nginx.master, &libraries);
	found = one(&libraries, LIBRARY_SSL);
	expect_inode(found, copy);
	cr_expect_str_eq(found->shown_path, ssl);
	snprintf(root, sizeof(root), "/proc/%d/root/", nginx.master);
	cr_expect_eq(strncmp(found->open_path, root, strlen(root)), 0, "%s", found->open_path);
	cr_expect_not(found->deleted);
	resolve(&libraries, sites);
	expect_probeable(&sites[PROBE_SSL_DO_HANDSHAKE_ENTRY]);
}

/* ---- linked statically: a program that has OpenSSL's functions itself
 * ---------------------------- */

static const char *const source =
	"#include <unistd.h>\n"
	"const char *volatile version = VERSION;\n"
	"#define F(n) __attribute__((noinline)) int n(int x) { return x + version[0]; }\n"
	"F(SSL_set_fd) F(SSL_do_handshake) F(ERR_error_string_n)\n"
	"int main(void) { write(1, version, 1); pause();\n"
	"return SSL_set_fd(1) + SSL_do_handshake(1) + ERR_error_string_n(1); }\n";

static void build(const char *version)
{
	char path[128];
	FILE *file;

	private_nginx_make_dir(&nginx);
	snprintf(path, sizeof(path), "%s/s.c", nginx.dir);
	file = fopen(path, "w");
	fputs(source, file);
	fclose(file);
	private_nginx_run("cc -g -O1 -w -DVERSION='\"%s\"' -o %s/static %s", version, nginx.dir,
			  path);
}

static void run_program(void)
{
	char path[128], byte;
	int ends[2];

	snprintf(path, sizeof(path), "%s/static", nginx.dir);
	cr_assert_eq(pipe(ends), 0);
	program = fork();
	if (program == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(ends[1], 1);
		execl(path, path, (char *)NULL);
		_exit(127);
	}
	close(ends[1]);
	cr_assert_eq(read(ends[0], &byte, 1), 1);
	close(ends[0]);
}

static void expect_static(const char *flavour)
{
	struct probe_site sites[PROBE_COUNT];
	static struct libraries libraries;
	char path[128];

	snprintf(path, sizeof(path), "%s/static", nginx.dir);
	find(program, &libraries);
	cr_expect_eq(libraries.count, 1);
	cr_expect_eq(libraries.index[LIBRARY_CRYPTO], 0);
	cr_expect(libraries.list[0].is_executable);
	expect_inode(&libraries.list[0], path);
	cr_expect_str_eq(libraries.list[0].flavour, flavour, "%s", libraries.list[0].flavour);
	resolve(&libraries, sites);
	cr_expect(sites[PROBE_SSL_SET_FD_ENTRY].chosen);
	cr_expect(sites[PROBE_SSL_SET_FD_ENTRY].offset !=
		  sites[PROBE_SSL_DO_HANDSHAKE_ENTRY].offset);
	cr_expect_not(sites[PROBE_SSL_READ_EARLY_DATA_ENTRY].found);
	/* Without ERR_lib_error_string the codes come from the other function, always. */
	cr_expect_eq(sites[PROBE_ERR_ERROR_STRING_N_ENTRY].when, PROBE_ALWAYS);
	expect_probeable(&sites[PROBE_SSL_SET_FD_ENTRY]);
}

Test(library, linked_statically, .fini = stop)
{
	build("OpenSSL 1.1.1w  11 Sep 2023");
	run_program();
	expect_static("OpenSSL 1.1.1w");
}

Test(library, forks_of_openssl, .fini = stop)
{
	build("OpenSSL 1.1.1 (compatible; BoringSSL)");
	run_program();
	expect_static("BoringSSL");
}

Test(library, stripped_with_a_debug_file, .fini = stop)
{
	static struct libraries libraries;
	struct failure why = {0};

	build("OpenSSL 3.0.2 15 Mar 2022");
	private_nginx_run("cd %s && objcopy --only-keep-debug static static.debug && "
			  "strip static && objcopy --add-gnu-debuglink=static.debug static",
			  nginx.dir);
	run_program();
	expect_static("OpenSSL 3.0.2");

	/* A debug file of another build is none. */
	private_nginx_run("cd %s && printf x >>static.debug", nginx.dir);
	cr_expect_eq(library_find(program, &libraries, &why), -1);
	cr_expect_eq(why.exit_code, EXIT_TARGET);
	cr_expect_not_null(strstr(why.message, "was built with OpenSSL 3.0.2"), "%s", why.message);
	cr_expect_not_null(strstr(why.message, "debug symbols"), "%s", why.message);
}

static bool is_sleep(void *data)
{
	struct process process;

	return !process_read(*(pid_t *)data, &process) && !strcmp(process.comm, "sleep");
}

Test(library, none_at_all, .fini = stop)
{
	static struct libraries libraries;
	struct failure why = {0};

	program = fork();
	if (program == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execl("/bin/sleep", "sleep", "60", (char *)NULL);
		_exit(127);
	}
	private_nginx_await(is_sleep, &program, "the program to be executed");
	cr_expect_eq(library_find(program, &libraries, &why), -1);
	cr_expect_eq(why.exit_code, EXIT_TARGET);
	cr_expect_not_null(strstr(why.message, "no OpenSSL in it"), "%s", why.message);
	cr_expect_eq(library_find(0x3fffffff, &libraries, &why), -1);
	cr_expect_eq(why.exit_code, EXIT_TARGET);
}

Test(symbols, of_what_is_no_elf)
{
	struct symbol symbol = {.name = "main"};
	char id[64];

	cr_expect_lt(symbols_find("/etc/passwd", NULL, NULL, &symbol, 1), 0);
	cr_expect_lt(symbols_find("/nowhere", NULL, NULL, &symbol, 1), 0);
	cr_expect_lt(symbols_find("/dev/zero", NULL, NULL, &symbol, 1), 0);
	cr_expect_lt(symbols_build_id("/etc/passwd", id, sizeof(id)), 0);
	cr_expect_str_eq(id, "");
}
