/* SPDX-License-Identifier: BSD-2-Clause */
#include "live/private_nginx.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "trace/process.h"

#define DEADLINE_MS 10000
#define STEP_MS 5

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void private_nginx_await(bool (*done)(void *data), void *data, const char *what)
{
	int64_t deadline = now_ms() + DEADLINE_MS;

	while (!done(data)) {
		if (now_ms() > deadline)
			cr_assert_fail("waited in vain for %s", what);
		poll(NULL, 0, STEP_MS);
	}
}

void private_nginx_run(const char *format, ...)
{
	char command[2048];
	va_list args;

	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	if (system(command))
		cr_assert_fail("failed: %s", command);
}

uint16_t private_nginx_free_port(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	cr_assert(fd >= 0 && !bind(fd, (struct sockaddr *)&address, len) &&
		  !getsockname(fd, (struct sockaddr *)&address, &len));
	close(fd);
	return ntohs(address.sin_port);
}

void private_nginx_make_dir(struct private_nginx *nginx)
{
	if (nginx->dir[0])
		return;
	strcpy(nginx->dir, "/tmp/tlswhy-test.XXXXXX");
	cr_assert_not_null(mkdtemp(nginx->dir));
	/* nginx's workers are another user. */
	private_nginx_run("chmod 755 %s", nginx->dir);
}

static void write_config(const struct private_nginx *nginx)
{
	char path[128];
	FILE *config;

	snprintf(path, sizeof(path), "%s/nginx.conf", nginx->dir);
	config = fopen(path, "w");
	cr_assert_not_null(config);
	fprintf(config,
		"daemon off; error_log %s/error.log; pid %s; %s\n"
		"events { worker_connections 64; }\n"
		"http {\n"
		"  access_log off;\n"
		"  client_body_temp_path %s/t1; proxy_temp_path %s/t2; fastcgi_temp_path %s/t3;\n"
		"  uwsgi_temp_path %s/t4; scgi_temp_path %s/t5;\n"
		"  %s\n"
		"  server { listen 127.0.0.1:%u ssl; listen [::1]:%u ssl;\n"
		"    ssl_certificate %s/cert.pem; ssl_certificate_key %s/key.pem; }\n"
		"}\n",
		nginx->dir, nginx->pid_file,
		nginx->main_directives ? nginx->main_directives : "worker_processes 2;", nginx->dir,
		nginx->dir, nginx->dir, nginx->dir, nginx->dir,
		nginx->http_directives ? nginx->http_directives : "", nginx->port, nginx->port,
		nginx->dir, nginx->dir);
	cr_assert(!fclose(config));
}

static void exec_nginx(const struct private_nginx *nginx)
{
	const char *binary = nginx->binary ? nginx->binary : "/usr/sbin/nginx";
	char config[128];
	int null;

	/* Whatever happens to the test: the master ends, and ends its workers. */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	snprintf(config, sizeof(config), "%s/nginx.conf", nginx->dir);
	if (nginx->library_path)
		setenv("LD_LIBRARY_PATH", nginx->library_path, 1);
	null = open("/dev/null", O_RDWR);
	dup2(null, 0);
	dup2(null, 1);
	dup2(null, 2);
	execl(binary, binary, "-p", nginx->dir, "-c", config, (char *)NULL);
	_exit(127);
}

static void run_child(const struct private_nginx *nginx)
{
	int status;
	pid_t pid;

	if (nginx->prepare)
		nginx->prepare(nginx->data);
	if (nginx->new_pid_namespace) {
		/* The next child is process 1 of a new namespace; this one waits for it. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (unshare(CLONE_NEWPID))
			_exit(126);
		pid = fork();
		if (pid > 0) {
			waitpid(pid, &status, 0);
			_exit(0);
		}
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	}
	exec_nginx(nginx);
}

struct start {
	struct private_nginx *nginx;
	int workers;
};

static int count_children(pid_t parent, uint32_t role)
{
	struct process process;
	pid_t *children;
	int n = process_children(parent, &children), count = 0;

	for (int i = 0; i < n; i++)
		count += !process_read(children[i], &process) && process.role == role;
	if (n >= 0)
		free(children);
	return count;
}

static bool listens(uint16_t port)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_port = htons(port),
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), err;

	err = connect(fd, (struct sockaddr *)&address, sizeof(address));
	close(fd);
	return !err;
}

static bool started(void *data)
{
	struct start *start = data;
	struct private_nginx *nginx = start->nginx;
	pid_t *children;
	int count;

	cr_assert_eq(waitpid(nginx->child, NULL, WNOHANG), 0,
		     "nginx ended: see the test's command");
	nginx->master = nginx->child;
	if (nginx->new_pid_namespace) {
		count = process_children(nginx->child, &children);
		cr_assert_geq(count, 0);
		nginx->master = count ? children[0] : 0;
		free(children);
		if (!count)
			return false;
	}
	/* A worker has its master's title until it sets its own. */
	if (start->workers)
		return count_children(nginx->master, ROLE_WORKER) == start->workers &&
		       count_children(nginx->master, ROLE_MASTER) == 0 && listens(nginx->port);
	return listens(nginx->port);
}

void private_nginx_start(struct private_nginx *nginx, int workers)
{
	struct start start = {nginx, workers};

	private_nginx_make_dir(nginx);
	snprintf(nginx->pid_file, sizeof(nginx->pid_file), "%s/nginx.pid", nginx->dir);
	nginx->port = private_nginx_free_port();
	private_nginx_run("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 "
			  "-nodes -keyout %s/key.pem -out %s/cert.pem -subj /CN=localhost -days 2 "
			  "2>/dev/null",
			  nginx->dir, nginx->dir);
	write_config(nginx);
	nginx->child = fork();
	cr_assert(nginx->child >= 0);
	if (nginx->child == 0)
		run_child(nginx);
	private_nginx_await(started, &start, "nginx to start");
}

void private_nginx_stop(struct private_nginx *nginx)
{
	if (nginx->child > 0) {
		/* Process 1 of a namespace: with it the kernel ends all others in there. */
		if (nginx->new_pid_namespace && nginx->master > 0)
			kill(nginx->master, SIGKILL);
		else
			kill(nginx->child, SIGTERM);
		waitpid(nginx->child, NULL, 0);
		nginx->child = 0;
	}
	if (!strncmp(nginx->dir, "/tmp/tlswhy-test.", 17))
		private_nginx_run("rm -rf %s", nginx->dir);
	nginx->dir[0] = '\0';
}
