/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One slice of load on one nginx, and what it cost that nginx's worker.
 *
 *   tlsload KIND --to ADDRESS:PORT --count N --worker PID
 *           [--cpu N] [--in-flight N] [--warm-up N] [--tracer PID] [--certificate FILE]
 *
 * Prints "CPU_NS TRAPS": the worker's CPU time, and with --tracer how often that process's uprobe
 * programs ran. Connections made to warm up come before the measure.
 */
#include "handshakes.h"
#include "meter.h"
#include "requests.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WARM_UP 16 /* two of each slot: caches, the allocator's arenas, the page of the probe */

enum load {
	LOAD_HANDSHAKES,
	LOAD_TLS_REQUESTS,   /* on one established connection */
	LOAD_CLEAR_REQUESTS, /* the same in the clear: nginx handshakes with its upstream */
};

static const struct kind {
	const char *name;
	enum load load;
	struct handshake_kind handshake;
} kinds[] = {
	{"full13", LOAD_HANDSHAKES, {.version = TLS1_3_VERSION}},
	{"full12", LOAD_HANDSHAKES, {.version = TLS1_2_VERSION}},
	{"resumed13", LOAD_HANDSHAKES, {.version = TLS1_3_VERSION, .resumed = true}},
	{"resumed12", LOAD_HANDSHAKES, {.version = TLS1_2_VERSION, .resumed = true}},
	{"refused", LOAD_HANDSHAKES, {.version = TLS1_1_VERSION, .refused = true}},
	{"keepalive", LOAD_TLS_REQUESTS, {0}},
	{"proxied", LOAD_CLEAR_REQUESTS, {0}},
};

struct options {
	const struct kind *kind;
	struct sockaddr_in server;
	unsigned int count;
	unsigned int in_flight;
	unsigned int warm_up;
	int worker;
	int tracer; /* 0: none */
	int cpu;    /* -1: any */
	const char *certificate;
};

static const struct kind *kind_find(const char *name)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(kinds[i].name, name) == 0)
			return &kinds[i];
	return NULL;
}

static int parse_server(const char *text, struct sockaddr_in *ret_server)
{
	char address[INET_ADDRSTRLEN];
	unsigned int port;

	*ret_server = (struct sockaddr_in){.sin_family = AF_INET};
	if (sscanf(text, "%15[0-9.]:%u", address, &port) != 2 || port > 65535 ||
	    inet_pton(AF_INET, address, &ret_server->sin_addr) != 1)
		return -1;
	ret_server->sin_port = htons((uint16_t)port);
	return 0;
}

static int parse_options(int argc, char **argv, struct options *ret_options)
{
	static const struct option longs[] = {
		{"to", required_argument, NULL, 't'},
		{"count", required_argument, NULL, 'n'},
		{"worker", required_argument, NULL, 'w'},
		{"cpu", required_argument, NULL, 'c'},
		{"in-flight", required_argument, NULL, 'i'},
		{"tracer", required_argument, NULL, 'T'},
		{"certificate", required_argument, NULL, 'C'},
		{"warm-up", required_argument, NULL, 'W'},
		{NULL, 0, NULL, 0},
	};
	struct options options = {.cpu = -1, .in_flight = 8, .warm_up = WARM_UP};
	int option;

	while ((option = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (option) {
		case 't':
			if (parse_server(optarg, &options.server) < 0)
				return -1;
			break;
		case 'n':
			options.count = (unsigned int)strtoul(optarg, NULL, 10);
			break;
		case 'w':
			options.worker = atoi(optarg);
			break;
		case 'c':
			options.cpu = atoi(optarg);
			break;
		case 'i':
			options.in_flight = (unsigned int)strtoul(optarg, NULL, 10);
			break;
		case 'W':
			options.warm_up = (unsigned int)strtoul(optarg, NULL, 10);
			break;
		case 'T':
			options.tracer = atoi(optarg);
			break;
		case 'C':
			options.certificate = optarg;
			break;
		default:
			return -1;
		}
	}
	if (optind != argc - 1)
		return -1;
	options.kind = kind_find(argv[optind]);
	if (!options.kind || !options.server.sin_port || !options.count || !options.in_flight ||
	    options.worker <= 0)
		return -1;
	*ret_options = options;
	return 0;
}

static int pin_to_cpu(int cpu)
{
	cpu_set_t set;

	if (cpu < 0)
		return 0;
	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) < 0) {
		fprintf(stderr, "tlsload: cannot run on CPU %d: %s\n", cpu, strerror(errno));
		return -1;
	}
	return 0;
}

struct load_source {
	struct handshakes *handshakes;
	struct requests *requests;
};

static int load_open(const struct options *options, struct load_source *ret_source)
{
	struct load_source source = {0};

	if (options->kind->load == LOAD_HANDSHAKES)
		source.handshakes = handshakes_new(&options->kind->handshake, &options->server,
						   options->in_flight);
	else
		source.requests =
			requests_new(&options->server, options->kind->load == LOAD_TLS_REQUESTS,
				     options->certificate);
	*ret_source = source;
	return source.handshakes || source.requests ? 0 : -1;
}

static int load_run(const struct load_source *source, unsigned int count)
{
	if (source->handshakes)
		return handshakes_run(source->handshakes, count);
	return requests_run(source->requests, count);
}

static int measure(const struct options *options, const struct load_source *source)
{
	struct reading before, after;

	if (load_run(source, options->warm_up) < 0 ||
	    meter_read(options->worker, options->tracer, &before) < 0 ||
	    load_run(source, options->count) < 0 ||
	    meter_read(options->worker, options->tracer, &after) < 0)
		return -1;
	printf("%" PRIu64 " %" PRIu64 "\n", after.cpu_ns - before.cpu_ns,
	       after.traps - before.traps);
	return 0;
}

int main(int argc, char **argv)
{
	struct load_source source;
	struct options options;
	int result;

	if (parse_options(argc, argv, &options) < 0) {
		fprintf(stderr, "usage: tlsload KIND --to ADDRESS:PORT --count N --worker PID "
				"[--cpu N] [--in-flight N] [--warm-up N] [--tracer PID] "
				"[--certificate FILE]\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	if (pin_to_cpu(options.cpu) < 0 || (options.tracer > 0 && meter_count_traps() < 0) ||
	    load_open(&options, &source) < 0)
		return 1;
	result = measure(&options, &source);
	handshakes_free(source.handshakes);
	requests_free(source.requests);
	return result < 0 ? 1 : 0;
}
