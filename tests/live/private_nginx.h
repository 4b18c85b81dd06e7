/* SPDX-License-Identifier: BSD-2-Clause */
/* An nginx of the tests' own, on loopback, that ends with the test whatever happens to it. */
#ifndef TLSWHY_TESTS_LIVE_PRIVATE_NGINX_H
#define TLSWHY_TESTS_LIVE_PRIVATE_NGINX_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct private_nginx {
	/* Before the start; zero is fine for all of them. */
	const char *binary;	     /* NULL: Debian's */
	const char *library_path;    /* LD_LIBRARY_PATH */
	const char *main_directives; /* into the main context; NULL: two workers */
	const char *http_directives; /* into http {} besides the TLS server */
	void (*prepare)(void *data); /* in the child, before exec */
	void *data;
	bool new_pid_namespace; /* nginx is process 1 in there */

	/* After it. */
	char dir[64]; /* a private directory, made by private_nginx_make_dir() or the start */
	char pid_file[96];
	uint16_t port; /* of the TLS server, on 127.0.0.1 and on ::1 */
	pid_t child;   /* to be waited for */
	pid_t master;  /* in our own pid namespace */
};

/* Fails the running test where something goes wrong. */
void private_nginx_make_dir(struct private_nginx *nginx);
/* Starts it and waits until `workers` processes carry a worker's title (0: until it listens). */
void private_nginx_start(struct private_nginx *nginx, int workers);
/* Ends it and removes its directory; fine when it never started. */
void private_nginx_stop(struct private_nginx *nginx);

/* A port on 127.0.0.1 that nobody listens on. */
uint16_t private_nginx_free_port(void);

/* Runs a shell command and fails the test where it fails. */
void private_nginx_run(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Asks `done` every few milliseconds until it says true; fails the test after ten seconds. */
void private_nginx_await(bool (*done)(void *data), void *data, const char *what);

#endif
