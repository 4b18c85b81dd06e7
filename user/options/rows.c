/* SPDX-License-Identifier: BSD-2-Clause */
#include "options/rows.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The kernel takes a ring of up to 64 GiB and maps it twice; beyond this nobody means it. */
#define RING_MAX (UINT64_C(1) << 30)
/* Some thirty years: it fits a timer in nanoseconds. */
#define DURATION_MAX_S 1e9

const struct command_row command_rows[COMMAND_COUNT] = {
	[COMMAND_NONE] =
		{
			.usage = "tlswhy -p PID\n"
				 "tlswhy COMMAND [OPTION]...\n",
			.purpose = "says why TLS handshakes fail in a running nginx",
			.examples =
				"every connection of the nginx whose master is 1234, as it ends\n"
				"tlswhy trace -p 1234\n"
				"only what failed, as JSON\n"
				"tlswhy trace -p /run/nginx.pid --failed -o json\n"
				"keep what happens for a minute, look at it later\n"
				"tlswhy trace -p 1234 -d 60 --save handshakes.rec\n"
				"tlswhy replay handshakes.rec --failed\n"
				"can this machine be traced, and this nginx\n"
				"tlswhy check -p 1234\n",
		},
	[COMMAND_TRACE] =
		{
			.name = "trace",
			.usage = "tlswhy trace -p PID|FILE [OPTION]...\n",
			.purpose = "one record for each connection of a running nginx",
			.examples =
				"all workers of a master, now and after a reload\n"
				"tlswhy trace -p 1234\n"
				"failures of one name, without health checks\n"
				"tlswhy trace -p 1234 -f --sni '*.example.org' --peer "
				"'!10.0.0.0/8'\n"
				"all that has to do with certificates\n"
				"tlswhy trace -p 1234 --cause '*certificate*'\n"
				"who still speaks old versions\n"
				"tlswhy trace -p 1234 --tls-version TLSv1 --tls-version TLSv1.1\n"
				"the next hundred failures, for a script\n"
				"tlswhy trace -p 1234 --failed -n 100 -o json > failures.json\n",
		},
	[COMMAND_REPLAY] =
		{
			.name = "replay",
			.usage = "tlswhy replay FILE [OPTION]...\n",
			.purpose = "the records of a recording, without root and without nginx",
			.examples =
				"record on one machine, look on another\n"
				"tlswhy trace -p 1234 -d 60 --anonymize --save handshakes.rec\n"
				"tlswhy replay handshakes.rec\n"
				"what upstreams refused\n"
				"tlswhy replay handshakes.rec --side upstream --failed -o json\n",
		},
	[COMMAND_CHECK] =
		{
			.name = "check",
			.usage = "tlswhy check [-p PID|FILE]\n",
			.purpose =
				"can this host and that nginx be traced, and what to do where not",
			.examples = "the host alone\n"
				    "tlswhy check\n"
				    "the host and one nginx with its OpenSSL\n"
				    "tlswhy check -p 1234\n",
		},
};

static int take_help(struct options *options, const char *value, struct failure *why)
{
	(void)value;
	(void)why;
	options->help = true;
	return 0;
}

static int take_version(struct options *options, const char *value, struct failure *why)
{
	(void)value;
	(void)why;
	options->version = true;
	return 0;
}

static int take_failed(struct options *options, const char *value, struct failure *why)
{
	(void)value;
	(void)why;
	options->filter.failed = true;
	return 0;
}

static int take_follow(struct options *options, const char *value, struct failure *why)
{
	(void)value;
	(void)why;
	options->follow = true;
	return 0;
}

static int take_anonymize(struct options *options, const char *value, struct failure *why)
{
	(void)value;
	(void)why;
	options->anonymize = true;
	return 0;
}

static int take_pid(struct options *options, const char *value, struct failure *why)
{
	if (!*value)
		return failure_set(why, EXIT_USAGE,
				   "--pid: empty: give a pid or a pid file; see tlswhy --help");
	options->target = value;
	return 0;
}

static int take_save(struct options *options, const char *value, struct failure *why)
{
	if (!*value)
		return failure_set(why, EXIT_USAGE,
				   "--save: empty: give a file to write; see tlswhy --help");
	options->save = value;
	return 0;
}

static int take_output(struct options *options, const char *value, struct failure *why)
{
	if (!strcmp(value, "text"))
		options->format = FORMAT_TEXT;
	else if (!strcmp(value, "json"))
		options->format = FORMAT_JSON;
	else
		return failure_set(
			why, EXIT_USAGE,
			"--output %s: no such format: use text or json; see tlswhy --help", value);
	return 0;
}

static int take_duration(struct options *options, const char *value, struct failure *why)
{
	double seconds = 0;
	char *end = NULL;

	/* strtod() also reads "inf", "0x10" and leading space. */
	if (*value && !value[strspn(value, "0123456789.")])
		seconds = strtod(value, &end);
	if (!end || *end || !isfinite(seconds) || seconds <= 0 || seconds > DURATION_MAX_S)
		return failure_set(
			why, EXIT_USAGE,
			"--duration %s: not a number of seconds above 0; see tlswhy --help", value);
	options->duration_s = seconds;
	return 0;
}

/* Digits alone; 0 on anything else, and when it does not fit. */
static uint64_t parse_count(const char *value, char **end)
{
	uint64_t number;

	*end = (char *)value;
	if (*value < '0' || *value > '9')
		return 0;
	errno = 0;
	number = strtoull(value, end, 10);
	return errno ? 0 : number;
}

static int take_count(struct options *options, const char *value, struct failure *why)
{
	char *end;
	uint64_t count = parse_count(value, &end);

	if (!count || *end)
		return failure_set(why, EXIT_USAGE,
				   "--count %s: not a number of records above 0; see tlswhy --help",
				   value);
	options->count = count;
	return 0;
}

static int take_ring_size(struct options *options, const char *value, struct failure *why)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	char *end;
	uint64_t size = parse_count(value, &end);
	unsigned shift = 0;

	if (*end == 'K' || *end == 'k')
		shift = 10;
	else if (*end == 'M' || *end == 'm')
		shift = 20;
	if (shift)
		end++;
	if (*end || size > RING_MAX >> shift || (size <<= shift) < page || size & (size - 1))
		return failure_set(
			why, EXIT_USAGE,
			"--ring-size %s: not a power of two from %llu bytes to 1024M; see "
			"tlswhy --help",
			value, (unsigned long long)page);
	options->ring_size = (uint32_t)size;
	return 0;
}

#define TAKE_FILTER(function, field)                                                               \
	static int function(struct options *options, const char *value, struct failure *why)       \
	{                                                                                          \
		return filter_add(&options->filter, field, value, why);                            \
	}

TAKE_FILTER(take_side, FILTER_SIDE)
TAKE_FILTER(take_sni, FILTER_SNI)
TAKE_FILTER(take_peer, FILTER_PEER)
TAKE_FILTER(take_cause, FILTER_CAUSE)
TAKE_FILTER(take_outcome, FILTER_OUTCOME)
TAKE_FILTER(take_tls_version, FILTER_TLS_VERSION)

#define TRACE COMMAND_BIT(COMMAND_TRACE)
#define CHECK COMMAND_BIT(COMMAND_CHECK)
#define RECORDS (TRACE | COMMAND_BIT(COMMAND_REPLAY))
#define ALL (RECORDS | CHECK)

const struct option_row option_rows[] = {
	{'p', "pid", "PID|FILE", TRACE | CHECK, take_pid,
	 "an nginx master with all its workers, or one worker alone;\n"
	 "a pid file such as /run/nginx.pid will do"},
	{'o', "output", "FORMAT", RECORDS, take_output,
	 "text (on a terminal) or json, one object a line (elsewhere)"},
	{'f', "failed", NULL, RECORDS, take_failed, "no established connections"},
	{'s', "side", "SIDE", RECORDS, take_side,
	 "client (who connects to nginx) or upstream (whom nginx connects to)"},
	{0, "sni", "[!]GLOB", RECORDS, take_sni,
	 "the name the ClientHello asks for; none is the empty name"},
	{0, "peer", "[!]CIDR", RECORDS, take_peer,
	 "the other end's network, or the address that a PROXY header names"},
	{0, "cause", "[!]GLOB", RECORDS, take_cause, "the id of the cause"},
	{0, "outcome", "[!]NAME", RECORDS, take_outcome,
	 "established, failed, aborted, timed_out or rejected"},
	{0, "tls-version", "[!]NAME", RECORDS, take_tls_version,
	 "the negotiated version: TLSv1.3, TLSv1.2, TLSv1.1, TLSv1 or SSLv3"},
	{'d', "duration", "SECONDS", TRACE, take_duration, "stop after this time"},
	{'n', "count", "N", RECORDS, take_count, "stop after N connections were written"},
	{0, "save", "FILE", TRACE, take_save, "keep the raw events for tlswhy replay"},
	{0, "anonymize", NULL, RECORDS, take_anonymize,
	 "cut peers' addresses to /24 and /48, in what is saved too"},
	{'F', "follow", NULL, TRACE, take_follow, "when nginx ends, wait for the next one"},
	{0, "ring-size", "BYTES", TRACE, take_ring_size,
	 "of the kernel's buffer: a power of two, K or M may follow"},
	{'h', "help", NULL, ALL, take_help, "this"},
	{'V', "version", NULL, ALL, take_version, "the version of tlswhy"},
};

const int option_row_count = sizeof(option_rows) / sizeof(option_rows[0]);

_Static_assert(sizeof(option_rows) / sizeof(option_rows[0]) <= OPTION_ROWS_MAX, "getopt's arrays");
