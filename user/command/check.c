/* SPDX-License-Identifier: BSD-2-Clause */
#include "command/check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/failure.h"
#include "trace/library.h"
#include "trace/listeners.h"
#include "trace/probes.h"
#include "trace/requirements.h"
#include "trace/target.h"

/* As many listeners as fit a line that a person reads; the rest is counted. */
#define LISTENERS_SHOWN 6

struct page {
	FILE *out;
	bool colour;
};

static void __attribute__((format(printf, 4, 5)))
line(const struct page *page, enum requirement_state state, const char *name, const char *format,
     ...)
{
	static const struct {
		const char *word, *colour;
	} states[] = {
		[REQUIREMENT_OK] = {"ok", "\033[32m"},
		[REQUIREMENT_WARNING] = {"warning", "\033[33m"},
		[REQUIREMENT_MISSING] = {"missing", "\033[31m"},
	};
	va_list args;

	fprintf(page->out, "%s%-8s%s %-24s ", page->colour ? states[state].colour : "",
		states[state].word, page->colour ? "\033[0m" : "", name);
	va_start(args, format);
	vfprintf(page->out, format, args);
	va_end(args);
	fputc('\n', page->out);
	/* The trial of return probes takes a moment: what is known so far is shown before it. */
	fflush(page->out);
}

static void show_requirement(const struct requirement *requirement, void *data)
{
	line(data, requirement->state, requirement->name, "%s%s%s", requirement->detail,
	     requirement->action[0] ? "; " : "", requirement->action);
}

static void show_target(const struct page *page, const struct target *target)
{
	const char *version = target->nginx_version[0] ? target->nginx_version : "nginx";
	int workers = target_worker_count(target);

	if (target->master)
		line(page, REQUIREMENT_OK, "nginx", "%d: %s, master with %d worker%s, %s",
		     target->pid, version, workers, workers == 1 ? "" : "s", target->executable);
	else if (target->master_off)
		line(page, REQUIREMENT_OK, "nginx", "%d: %s, without a master, %s", target->pid,
		     version, target->executable);
	else
		line(page, REQUIREMENT_OK, "nginx", "%d: %s, one worker alone, %s", target->pid,
		     version, target->executable);
}

static void show_libraries(const struct page *page, const struct libraries *libraries)
{
	static const char *const names[] = {
		[LIBRARY_SSL] = "libssl", [LIBRARY_CRYPTO] = "libcrypto"};

	for (int kind = 0; kind < LIBRARY_KINDS; kind++) {
		const struct library *library = &libraries->list[libraries->index[kind]];

		line(page, REQUIREMENT_OK, names[kind], "%s%s: %s, build id %s",
		     library->shown_path,
		     library->is_executable ? " (linked statically)"
		     : library->deleted	    ? " (deleted on disk)"
					    : "",
		     library->flavour, library->build_id[0] ? library->build_id : "none");
	}
}

/* Where the probe sits and what a call costs then, on ordinary hardware and on slow machines. */
static void cost_text(const struct instruction *instruction, bool returns, char *ret, size_t size)
{
	const char *both = returns ? ", with the return" : "";

	switch (instruction->cost) {
	case PROBE_EMULATED:
		snprintf(ret, size, "%s at +%u: 1 µs a call%s", instruction->name,
			 instruction->offset, both);
		break;
	case PROBE_SINGLE_STEPPED:
		snprintf(ret, size, "single-stepped: 10 to 30 µs a call%s", both);
		break;
	default:
		snprintf(ret, size, "found, cost unknown on this architecture%s", both);
	}
}

/* One line for all probes of one function; the first of them in the table speaks. */
static void show_function(const struct page *page, const struct probe_site *site, bool returns)
{
	char cost[96];
	bool every_handshake = site->probe->need == PROBE_REQUIRED && site->when == PROBE_ALWAYS &&
			       site->probe->library == LIBRARY_SSL;

	if (!site->found) {
		line(page,
		     site->probe->need == PROBE_REQUIRED ? REQUIREMENT_MISSING
							 : REQUIREMENT_WARNING,
		     site->symbol, "not in this library: no %s", site->probe->why);
		return;
	}
	if (!site->chosen) {
		line(page, REQUIREMENT_OK, site->symbol, "not needed here");
		return;
	}
	cost_text(&site->instruction, returns, cost, sizeof(cost));
	line(page,
	     every_handshake && site->instruction.cost == PROBE_SINGLE_STEPPED ? REQUIREMENT_WARNING
									       : REQUIREMENT_OK,
	     site->symbol, "%s (%s%s)", cost, site->probe->why,
	     site->when == PROBE_ADAPTIVE ? "; attached only at times" : "");
}

static void show_functions(const struct page *page, const struct probe_site *sites)
{
	for (int i = 0; i < PROBE_COUNT; i++) {
		bool returns = sites[i].probe->place == PROBE_RETURN;

		if (i && !strcmp(probes[i].symbol, probes[i - 1].symbol))
			continue;
		for (int k = i + 1; k < PROBE_COUNT && !strcmp(probes[k].symbol, probes[i].symbol);
		     k++)
			returns |= probes[k].place == PROBE_RETURN;
		show_function(page, &sites[i], returns);
	}
}

struct listener_text {
	char text[LISTENERS_SHOWN * (INET6_ADDRSTRLEN + 12)];
	int count;
};

static int add_listener(const struct listener *listener, void *data)
{
	const struct event_tuple *tuple = &listener->tuple;
	struct listener_text *text = data;
	char address[INET6_ADDRSTRLEN];
	size_t len = strlen(text->text);

	if (text->count++ >= LISTENERS_SHOWN)
		return 0;
	inet_ntop(tuple->family, tuple->local, address, sizeof(address));
	snprintf(text->text + len, sizeof(text->text) - len,
		 tuple->family == AF_INET6 ? "%s[%s]:%u" : "%s%s:%u", len ? ", " : "", address,
		 tuple->local_port);
	return 0;
}

/* Without the listening sockets there is no telling nginx's connections from others. */
static int show_listeners(const struct page *page, const struct target *target)
{
	struct listener_text text = {.count = 0};
	pid_t *pids;
	int n;

	pids = calloc(target->process_count + 1, sizeof(*pids));
	if (!pids) {
		line(page, REQUIREMENT_MISSING, "listening sockets", "%s", strerror(ENOMEM));
		return EXIT_HOST;
	}
	for (int i = 0; i < target->process_count; i++)
		pids[i] = target->processes[i].pid;
	n = listeners_each(pids, target->process_count, add_listener, &text);
	free(pids);
	if (n == -EPERM || n == -EACCES) {
		line(page, REQUIREMENT_MISSING, "listening sockets",
		     "not permitted to look at them; run as root or with CAP_SYS_PTRACE");
		return EXIT_PERMISSION;
	}
	if (n < 0) {
		line(page, REQUIREMENT_MISSING, "listening sockets", "%s", strerror(-n));
		return EXIT_HOST;
	}
	if (n == 0)
		line(page, REQUIREMENT_WARNING, "listening sockets",
		     "none for TCP: only handshakes with upstreams will be seen");
	else
		line(page, REQUIREMENT_OK, "listening sockets", "%d: %s%s", n, text.text,
		     n > LISTENERS_SHOWN ? ", …" : "");
	return EXIT_OK;
}

static int show_failure(const struct page *page, const char *name, const struct failure *why)
{
	line(page, REQUIREMENT_MISSING, name, "%s", why->message);
	return why->exit_code;
}

static int check_target(const struct page *page, const char *given)
{
	struct probe_site sites[PROBE_COUNT];
	struct libraries *libraries;
	struct target target;
	struct failure why;
	int code;

	if (target_open(&target, given, &why))
		return show_failure(page, "nginx", &why);
	show_target(page, &target);
	libraries = malloc(sizeof(*libraries));
	if (!libraries) {
		failure_set(&why, EXIT_RUNTIME, "%s", strerror(ENOMEM));
		code = show_failure(page, "OpenSSL", &why);
	} else if (library_find(target.pid, libraries, &why)) {
		code = show_failure(page, "OpenSSL", &why);
	} else {
		show_libraries(page, libraries);
		code = probes_resolve(libraries, sites, &why) ? why.exit_code : EXIT_OK;
		show_functions(page, sites);
		if (code)
			show_failure(page, "OpenSSL", &why);
	}
	if (!code)
		code = show_listeners(page, &target);
	free(libraries);
	target_close(&target);
	return code;
}

/* Rights first: without them the rest may fail for that reason alone. Then the host. */
static int worse(int host, int target)
{
	if (host == EXIT_PERMISSION || target == EXIT_PERMISSION)
		return EXIT_PERMISSION;
	return host ? host : target;
}

int command_check(const char *target, FILE *out, bool colour)
{
	struct page page = {out, colour};
	int host, nginx = EXIT_OK, code;

	host = requirements_test(show_requirement, &page);
	if (target)
		nginx = check_target(&page, target);
	code = worse(host, nginx);
	fputc('\n', out);
	if (code == EXIT_PERMISSION)
		fprintf(out, "not permitted: run as root, then check again\n");
	else if (code == EXIT_HOST)
		fprintf(out, "this host cannot be traced: see what is missing\n");
	else if (code)
		fprintf(out, "%s cannot be traced: see what is missing\n", target);
	else if (target)
		fprintf(out, "%s can be traced: tlswhy -p %s\n", target, target);
	else
		fprintf(out, "this host can be traced; check an nginx with: tlswhy check -p PID\n");
	return code;
}
