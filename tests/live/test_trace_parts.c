/* SPDX-License-Identifier: BSD-2-Clause */
/* The trace room's parts that need no skeleton, against a real nginx: processes, target, listeners,
 * cgroups, and what a return probe does. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "command/check.h"
#include "live/private_nginx.h"
#include "trace/cgroup.h"
#include "trace/listeners.h"
#include "trace/process.h"
#include "trace/safety.h"
#include "trace/target.h"

#define NOBODY 65534

static struct private_nginx nginx;

static void stop(void)
{
	private_nginx_stop(&nginx);
}

static void start(void)
{
	private_nginx_start(&nginx, 2);
}

static const char *text_of(pid_t pid)
{
	static char text[16];

	snprintf(text, sizeof(text), "%d", pid);
	return text;
}

/* Runs `work` in a child without any right; what it returns (below 256). */
static int as_nobody(int (*work)(void *data), void *data)
{
	pid_t pid = fork();
	int status;

	cr_assert(pid >= 0);
	if (pid == 0) {
		if (setgid(NOBODY) || setuid(NOBODY))
			_exit(200);
		_exit(work(data));
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* ---- processes ---------------------------------------------------------------------------- */

Test(process, titles)
{
	cr_expect_eq(process_role("nginx: master process /usr/sbin/nginx -c x"), ROLE_MASTER);
	cr_expect_eq(process_role("nginx: worker process"), ROLE_WORKER);
	cr_expect_eq(process_role("nginx: worker process is shutting down"), ROLE_WORKER);
	cr_expect_eq(process_role("angie: master process v1.8"), ROLE_MASTER);
	cr_expect_eq(process_role("nginx: cache manager process"), ROLE_OTHER);
	cr_expect_eq(process_role("nginx: cache loader process"), ROLE_OTHER);
	cr_expect_eq(process_role("nginx: privileged agent process"), ROLE_OTHER);
	cr_expect_eq(process_role("nginx: worker processes"), ROLE_UNKNOWN);
	cr_expect_eq(process_role("nginx"), ROLE_UNKNOWN);
	cr_expect_eq(process_role("grep nginx: worker process"), ROLE_UNKNOWN);
	cr_expect_eq(process_role(": worker process"), ROLE_UNKNOWN);
	cr_expect_eq(process_role(""), ROLE_UNKNOWN);
	cr_expect_str_eq(process_kind("nginx: cache loader process"), "cache loader process");
}

Test(process, tells_of_itself)
{
	struct process process;
	char path[PATH_MAX], exe[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

	exe[n] = '\0';
	prctl(PR_SET_NAME, "a) \x1b[31m b");
	cr_assert_eq(process_read(getpid(), &process), 0);
	cr_expect_eq(process.pid, getpid());
	cr_expect_eq(process.parent, getppid());
	cr_expect_eq(process.uid, geteuid());
	cr_expect_not(process.is_thread || process.kernel_thread);
	cr_expect_eq(process.state, 'R');
	cr_expect_eq(process.ns_pids[process.ns_count - 1], getpid());
	cr_expect_str_eq(process.comm, "a) ?[31m b", "%s", process.comm);
	cr_expect(process.start_ticks > 0 && process.start_stack > 0);
	cr_expect_eq(process_executable(getpid(), path, sizeof(path)), 0);
	cr_expect_str_eq(path, exe);
	cr_expect_eq(process_is_nginx(getpid(), path, sizeof(path)), 0, "a test is no nginx");
	cr_expect_eq(process_read(0x3fffffff, &process), -ESRCH);
}

Test(process, knows_children)
{
	pid_t pid = fork(), *children;
	bool among = false;
	int n;

	if (pid == 0) {
		pause();
		_exit(0);
	}
	n = process_children(getpid(), &children);
	for (int i = 0; i < n; i++)
		among |= children[i] == pid;
	free(children);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	cr_expect(n >= 1 && among);
}

Test(process, recognises_a_renamed_nginx, .fini = stop)
{
	char version[64], shown[64] = "", binary[128];
	FILE *tell;

	private_nginx_make_dir(&nginx);
	snprintf(binary, sizeof(binary), "%s/webserver", nginx.dir);
	private_nginx_run("cp /usr/sbin/nginx %s", binary);
	nginx.binary = binary;
	start();
	cr_assert_eq(process_is_nginx(nginx.master, version, sizeof(version)), 1);
	tell = popen("/usr/sbin/nginx -v 2>&1", "r");
	cr_assert(fscanf(tell, "nginx version: %63s", shown) == 1);
	pclose(tell);
	cr_expect_str_eq(version, shown, "%s", version);
}

/* ---- target --------------------------------------------------------------------------------- */

static int count_role(const struct target *target, uint32_t role)
{
	int count = 0;

	for (int i = 0; i < target->process_count; i++)
		count += target->processes[i].role == role;
	return count;
}

static void expect_master(const char *given)
{
	struct failure why = {0};
	struct target target;

	cr_assert_eq(target_open(&target, given, &why), 0, "%s", why.message);
	cr_expect_eq(target.pid, nginx.master, "%d", target.pid);
	cr_expect_eq(target.master, nginx.master);
	cr_expect_not(target.single || target.master_off);
	cr_expect_eq(target_worker_count(&target), 2);
	cr_expect_eq(count_role(&target, ROLE_MASTER), 1);
	cr_expect_eq(target.process_count, 3 + count_role(&target, ROLE_OTHER));
	cr_expect_eq(strncmp(target.nginx_version, "nginx/1.", 8), 0, "%s", target.nginx_version);
	cr_expect_str_eq(target.executable, "/usr/sbin/nginx");
	target_close(&target);
}

static pid_t find_child(uint32_t role)
{
	struct process process;
	pid_t *children, found = 0;
	int n = process_children(nginx.master, &children);

	for (int i = 0; i < n; i++)
		if (!process_read(children[i], &process) && process.role == role)
			found = children[i];
	free(children);
	cr_assert(found);
	return found;
}

static void expect_refused(const char *given, int code, const char *because)
{
	struct failure why = {0};
	struct target target;

	cr_assert_eq(target_open(&target, given, &why), -1, "%s was taken", given);
	cr_expect_eq(why.exit_code, code, "%s: exit %d", given, why.exit_code);
	cr_expect_not_null(strstr(why.message, because), "%s: %s", given, why.message);
	cr_expect_not_null(strstr(why.message, "; "), "what to do: %s", why.message);
	cr_expect_null(strchr(why.message, '\n'));
	cr_expect_null(target.processes);
}

Test(target, master_worker_and_pid_file, .fini = stop)
{
	struct failure why = {0};
	struct target target;
	pid_t worker, other;
	char expected[64];

	nginx.http_directives = "proxy_cache_path cache keys_zone=z:1m;";
	start();
	expect_master(text_of(nginx.master));
	expect_master(nginx.pid_file);

	worker = find_child(ROLE_WORKER);
	cr_assert_eq(target_open(&target, text_of(worker), &why), 0, "%s", why.message);
	cr_expect_eq(target.pid, worker);
	cr_expect_eq(target.master, 0);
	cr_expect(target.single && !target.master_off);
	cr_expect_eq(target.process_count, 1);
	cr_expect_eq(target.processes[0].role, ROLE_WORKER);
	target_close(&target);

	other = find_child(ROLE_OTHER);
	snprintf(expected, sizeof(expected), "give its master, %d", nginx.master);
	expect_refused(text_of(other), EXIT_TARGET, expected);
}

Test(target, without_a_master, .fini = stop)
{
	struct failure why = {0};
	struct target target;

	nginx.main_directives = "master_process off;";
	private_nginx_start(&nginx, 0);
	cr_assert_eq(target_open(&target, text_of(nginx.child), &why), 0, "%s", why.message);
	cr_expect(target.single && target.master_off);
	cr_expect_eq(target.master, 0);
	cr_expect_eq(target_worker_count(&target), 1);
	target_close(&target);
}

static bool has_new_workers(void *data)
{
	struct failure why;
	struct target *target = data;
	pid_t old[2] = {target->processes[1].pid, target->processes[2].pid};
	int fresh = 0;

	cr_assert_eq(target_refresh(target, &why), 0, "%s", why.message);
	for (int i = 0; i < target->process_count; i++)
		fresh += target->processes[i].role == ROLE_WORKER &&
			 target->processes[i].pid != old[0] && target->processes[i].pid != old[1];
	return fresh >= 1 && target->process_count >= 3;
}

Test(target, follows_a_reload_and_the_end, .fini = stop)
{
	struct failure why = {0};
	struct target target;

	start();
	cr_assert_eq(target_open(&target, text_of(nginx.master), &why), 0, "%s", why.message);
	kill(nginx.master, SIGHUP);
	private_nginx_await(has_new_workers, &target, "the workers of a reload");
	kill(nginx.master, SIGTERM);
	waitpid(nginx.child, NULL, 0);
	nginx.child = 0;
	cr_expect_eq(target_refresh(&target, &why), -1);
	cr_expect_eq(why.exit_code, EXIT_TARGET);
	target_close(&target);
}

static bool is_zombie(void *data)
{
	struct process process;

	return !process_read(*(pid_t *)data, &process) && process.state == 'Z';
}

static void *give_tid(void *data)
{
	*(pid_t *)data = gettid();
	pause();
	return NULL;
}

static bool has_tid(void *data)
{
	return *(volatile pid_t *)data != 0;
}

Test(target, refuses_what_is_no_process)
{
	expect_refused("", EXIT_TARGET, "no process id");
	expect_refused("0", EXIT_TARGET, "not a process id");
	expect_refused("-1", EXIT_TARGET, "not a process id");
	expect_refused("+5", EXIT_TARGET, "not a process id");
	expect_refused("99999999999999999999", EXIT_TARGET, "not a process id");
	expect_refused("2147483647", EXIT_TARGET, "no such process");
	expect_refused("abc", EXIT_TARGET, "neither a process id nor a pid file");
	expect_refused("12x", EXIT_TARGET, "neither a process id nor a pid file");
	expect_refused("/dev/null", EXIT_TARGET, "not a file");
	expect_refused("/tmp", EXIT_TARGET, "not a file");
	expect_refused(text_of(getpid()), EXIT_TARGET, "is not nginx");
}

Test(target, refuses_threads_zombies_and_kernel_threads)
{
	struct process process;
	struct process_link *links;
	pid_t child, tid = 0, kernel = 0;
	pthread_t thread;
	int n;

	cr_assert_eq(pthread_create(&thread, NULL, give_tid, &tid), 0);
	private_nginx_await(has_tid, &tid, "a thread");
	expect_refused(text_of(tid), EXIT_TARGET, "it is a thread of process");

	child = fork();
	if (child == 0)
		_exit(0);
	private_nginx_await(is_zombie, &child, "a zombie");
	expect_refused(text_of(child), EXIT_TARGET, "zombie");
	waitpid(child, NULL, 0);

	n = process_table(&links);
	for (int i = 0; i < n && !kernel; i++)
		if (!process_read(links[i].pid, &process) && process.kernel_thread)
			kernel = links[i].pid;
	free(links);
	if (kernel) /* none is visible in a container */
		expect_refused(text_of(kernel), EXIT_TARGET, "kernel thread");
}

Test(target, refuses_bad_pid_files, .fini = stop)
{
	char path[128];

	private_nginx_make_dir(&nginx);
	snprintf(path, sizeof(path), "%s/pid", nginx.dir);
	private_nginx_run(": >%s", path);
	expect_refused(path, EXIT_TARGET, "empty");
	private_nginx_run("printf ' \\n\\n' >%s", path);
	expect_refused(path, EXIT_TARGET, "empty");
	private_nginx_run("printf '\\0\\1\\2' >%s", path);
	expect_refused(path, EXIT_TARGET, "empty");
	private_nginx_run("echo 12monkeys >%s", path);
	expect_refused(path, EXIT_TARGET, "no process id in that file");
	private_nginx_run("echo 0 >%s", path);
	expect_refused(path, EXIT_TARGET, "no process id in that file");
	private_nginx_run("echo 2147483647 >%s", path);
	expect_refused(path, EXIT_TARGET, "no such process");
	private_nginx_run("rm %s && mkfifo %s", path, path);
	expect_refused(path, EXIT_TARGET, "not a file");
}

static int open_code(void *data)
{
	struct failure why = {0};
	struct target target;

	return target_open(&target, data, &why) ? why.exit_code : 0;
}

Test(target, without_rights, .fini = stop)
{
	char secret[128];

	start();
	cr_expect_eq(as_nobody(open_code, (void *)text_of(nginx.master)), EXIT_PERMISSION);
	snprintf(secret, sizeof(secret), "%s/secret", nginx.dir);
	private_nginx_run("echo 1 >%s && chmod 600 %s", secret, secret);
	cr_expect_eq(as_nobody(open_code, secret), EXIT_PERMISSION);
}

/* nginx is process 1 of its own namespace, and its pid file says so. */
Test(target, pid_file_of_a_container, .fini = stop)
{
	char inside[160];

	nginx.new_pid_namespace = true;
	start();
	cr_assert_neq(nginx.master, 1);
	expect_master(nginx.pid_file);
	snprintf(inside, sizeof(inside), "/proc/%d/root%s", nginx.master, nginx.pid_file);
	expect_master(inside);
	cr_expect_eq(process_translate(process_namespace(nginx.master, "pid"), 1), nginx.master);
}

/* ---- listeners --------------------------------------------------------------------------------
 */

struct seen {
	struct listener list[16];
	int count;
	int stop_with;
};

static int see(const struct listener *listener, void *data)
{
	struct seen *seen = data;
	socklen_t len = sizeof(uint64_t);
	uint64_t cookie = 0;

	cr_assert_lt(seen->count, 16);
	cr_expect_eq(getsockopt(listener->fd, SOL_SOCKET, SO_COOKIE, &cookie, &len), 0);
	cr_expect_eq(cookie, listener->cookie);
	seen->list[seen->count++] = *listener;
	return seen->stop_with;
}

static int count_listeners(const struct seen *seen, uint16_t family, uint16_t port)
{
	int count = 0;

	for (int i = 0; i < seen->count; i++)
		count += seen->list[i].tuple.family == family &&
			 seen->list[i].tuple.local_port == port;
	return count;
}

static int errno_of_listeners(void *data)
{
	int n = listeners_each(data, 1, see, &(struct seen){0});

	return n < 0 ? -n : 0;
}

Test(listeners, finds_each_once, .fini = stop)
{
	static const uint8_t v4[4] = {127, 0, 0, 1};
	struct seen seen = {.count = 0};
	struct target target;
	struct failure why;
	pid_t pids[8];
	char directives[256];
	uint16_t shared = private_nginx_free_port();
	int n, open_fds;
	DIR *fds;

	private_nginx_make_dir(&nginx);
	snprintf(directives, sizeof(directives),
		 "server { listen 127.0.0.1:%u reuseport; listen unix:%s/socket; }", shared,
		 nginx.dir);
	nginx.http_directives = directives;
	start();
	cr_assert_eq(target_open(&target, text_of(nginx.master), &why), 0);
	for (n = 0; n < target.process_count; n++)
		pids[n] = target.processes[n].pid;
	fds = opendir("/proc/self/fd");
	for (open_fds = 0; readdir(fds); open_fds++)
		;
	cr_expect_eq(listeners_each(pids, n, see, &seen), 4);
	rewinddir(fds);
	for (; readdir(fds); open_fds--)
		;
	closedir(fds);
	cr_expect_eq(open_fds, 0, "descriptors leaked");
	cr_expect_eq(seen.count, 4);
	cr_expect_eq(count_listeners(&seen, AF_INET, nginx.port), 1);
	cr_expect_eq(count_listeners(&seen, AF_INET6, nginx.port), 1);
	cr_expect_eq(count_listeners(&seen, AF_INET, shared), 2, "one for each worker");
	for (int i = 0; i < seen.count; i++) {
		const struct listener *one = &seen.list[i];

		cr_expect_eq(one->tuple.netns, process_namespace(getpid(), "net"));
		cr_expect_not(one->mptcp);
		if (one->tuple.family == AF_INET)
			cr_expect_arr_eq(one->tuple.local, v4, 4);
		else
			cr_expect_eq(one->tuple.local[15], 1);
		for (int k = 0; k < i; k++)
			cr_expect_neq(one->cookie, seen.list[k].cookie);
	}
	seen = (struct seen){.stop_with = -EINTR};
	cr_expect_eq(listeners_each(pids, n, see, &seen), -EINTR);
	cr_expect_eq(seen.count, 1, "the callback ends the walk");
	cr_expect_eq(as_nobody(errno_of_listeners, &nginx.master), EPERM);
	target_close(&target);
}

Test(listeners, skips_who_has_ended)
{
	pid_t child = fork(), pids[1];

	if (child == 0)
		_exit(0);
	waitpid(child, NULL, 0);
	pids[0] = child;
	cr_expect_eq(listeners_each(pids, 1, see, &(struct seen){0}), 0);
}

/* ---- cgroups ------------------------------------------------------------------------------------
 */

static void expect_cgroup2(int fd)
{
	struct statfs fs;
	struct stat st;

	cr_assert(fd >= 0, "%d", fd);
	cr_assert_eq(fstatfs(fd, &fs), 0);
	cr_expect_eq(fs.f_type, CGROUP2_SUPER_MAGIC);
	cr_expect_eq(fstat(fd, &st), 0);
	cr_expect(S_ISDIR(st.st_mode));
	cr_expect_eq(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	cr_expect_eq(faccessat(fd, "cgroup.procs", F_OK, 0), 0);
	close(fd);
}

Test(cgroup, root_with_and_without_a_mount)
{
	struct failure why = {0};
	int fd = cgroup_open_root(&why);

	cr_assert(fd >= 0, "%s", why.message);
	expect_cgroup2(fd);
	expect_cgroup2(cgroup_open_detached());
}

Test(cgroup, of_a_process_and_its_container)
{
	static const char id[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
	char mount[PATH_MAX], path[PATH_MAX], group[PATH_MAX + 128], found[65] = "";
	bool is_root;
	pid_t child;

	cr_assert_eq(cgroup_of_process(getpid(), path, sizeof(path)), 0);
	cr_expect_eq(path[0], '/');
	cr_expect_eq(cgroup_of_process(0x3fffffff, path, sizeof(path)), -ENOENT);
	if (cgroup_find_mount(mount, sizeof(mount), &is_root))
		cr_skip("cgroup2 is mounted nowhere here: no group can be made by path");
	snprintf(group, sizeof(group), "%s/docker-%s.scope", mount, id);
	cr_assert_eq(mkdir(group, 0755), 0, "%s: %s", group, strerror(errno));
	child = fork();
	if (child == 0) {
		pause();
		_exit(0);
	}
	private_nginx_run("echo %d >%s/cgroup.procs", child, group);
	cr_expect_eq(cgroup_of_process(child, path, sizeof(path)), 0);
	cr_expect_not_null(strstr(path, id), "%s", path);
	cr_expect_eq(cgroup_container(child, found), 0);
	cr_expect_str_eq(found, id);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	cr_expect_eq(rmdir(group), 0);
}

/* ---- return probes ------------------------------------------------------------------------------
 */

static int count_fds(void)
{
	DIR *fds = opendir("/proc/self/fd");
	int count = 0;

	while (readdir(fds))
		count++;
	closedir(fds);
	return count;
}

Test(safety, return_probe_is_tried_and_nothing_stays)
{
	struct safety safety;
	int before = count_fds();

	safety_test(&safety);
	cr_expect_eq(safety.verdict, SAFETY_SAFE, "%s", safety.why);
	cr_expect_eq(count_fds(), before);
	cr_expect(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
}

static int verdict_of_nobody(void *data)
{
	struct safety safety;

	(void)data;
	safety_test(&safety);
	return safety.verdict;
}

Test(safety, says_when_it_cannot_be_tried)
{
	cr_expect_eq(as_nobody(verdict_of_nobody, NULL), SAFETY_UNKNOWN);
}

/* ---- check
 * ---------------------------------------------------------------------------------------- */

static char *check_text;

static int run_check(const char *given)
{
	size_t size;
	FILE *out;
	int code;

	free(check_text);
	out = open_memstream(&check_text, &size);
	code = command_check(given, out, false);
	fclose(out);
	return code;
}

static void expect_line(const char *begin)
{
	cr_expect(!strncmp(check_text, begin, strlen(begin)) || strstr(check_text, begin),
		  "no line \"%s\" in:\n%s", begin, check_text);
}

static int check_code(void *data)
{
	int code = run_check(data);

	/* Every line is printed before the exit code says no. */
	return strstr(check_text, "\nmissing  nginx ") && strstr(check_text, "missing  rights ") &&
			       strstr(check_text, "return probes ")
		       ? code
		       : 100;
}

Test(check, says_what_there_is, .fini = stop)
{
	char expected[128];

	start();
	cr_expect_eq(run_check(text_of(nginx.master)), EXIT_OK, "%s", check_text);
	expect_line("ok       rights ");
	expect_line("\nok       ring buffer ");
	expect_line("\nok       return probes            safe: ");
	snprintf(expected, sizeof(expected), "%d: nginx/1.", nginx.master);
	expect_line(expected);
	expect_line("master with 2 workers");
	expect_line("\nok       libssl                   /");
	expect_line("\nok       SSL_do_handshake ");
	snprintf(expected, sizeof(expected), "127.0.0.1:%u, [::1]:%u", nginx.port, nginx.port);
	expect_line(expected);
	cr_expect_null(strchr(check_text, '\033'));
	cr_expect_eq(run_check(NULL), EXIT_OK);
	cr_expect_eq(run_check("/nowhere"), EXIT_TARGET);
	expect_line("\nmissing  nginx ");
	cr_expect_eq(as_nobody(check_code, (void *)text_of(nginx.master)), EXIT_PERMISSION);
}
