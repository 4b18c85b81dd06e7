/* SPDX-License-Identifier: BSD-2-Clause */
#include <criterion/criterion.h>
#include <string.h>
#include <unistd.h>

#include "options/options.h"
#include "options/rows.h"

#define WORDS_MAX 40

static struct options options;
static struct failure why;
static char line_copy[512];

static void tear_down(void)
{
	options_clear(&options);
}

TestSuite(options, .fini = tear_down);

/* A command line without quotes; "" is written as @. */
static int parse(const char *line)
{
	char *argv[WORDS_MAX] = {"tlswhy"};
	int argc = 1;

	options_clear(&options);
	memset(&why, 0, sizeof(why));
	cr_assert_lt(strlen(line), sizeof(line_copy));
	strcpy(line_copy, line);
	for (char *word = strtok(line_copy, " "); word; word = strtok(NULL, " ")) {
		cr_assert_lt(argc, WORDS_MAX - 1);
		argv[argc++] = strcmp(word, "@") ? word : word + 1;
	}
	return options_parse(&options, argc, argv, &why);
}

static void good(const char *line)
{
	cr_assert_eq(parse(line), 0, "%s: %s", line, why.message);
}

static void refused(const char *line, const char *because)
{
	cr_assert_eq(parse(line), -1, "%s", line);
	cr_assert_eq(why.exit_code, EXIT_USAGE, "%s", line);
	cr_assert(strstr(why.message, because), "%s: %s", line, why.message);
	cr_assert_null(strchr(why.message, '\n'));
	options_clear(&options);
}

Test(options, trace_is_the_default)
{
	good("-p 1234");
	cr_assert_eq(options.command, COMMAND_TRACE);
	cr_assert_str_eq(options.target, "1234");
	cr_assert_eq(options.format, FORMAT_AUTO);
	cr_assert_eq(options.filter.rule_count, 0);
	cr_assert_eq(options.duration_s, 0);
	cr_assert_eq(options.count, 0);
	cr_assert_eq(options.ring_size, 0);
	cr_assert_null(options.save);
	cr_assert_not(options.follow || options.anonymize || options.help || options.version);
}

Test(options, everything_of_trace)
{
	good("trace --pid /run/nginx.pid -o json -s client --failed --sni *.org --peer 10.0.0.0/8 "
	     "--cause !x* --outcome failed --tls-version TLSv1.3 -d 1.5 -n 7 --save f --follow "
	     "--anonymize --ring-size=64K");
	cr_assert_eq(options.command, COMMAND_TRACE);
	cr_assert_str_eq(options.target, "/run/nginx.pid");
	cr_assert_eq(options.format, FORMAT_JSON);
	cr_assert(options.filter.failed);
	cr_assert_eq(options.filter.rule_count, 6);
	cr_assert_eq(options.duration_s, 1.5);
	cr_assert_eq(options.count, 7);
	cr_assert_str_eq(options.save, "f");
	cr_assert(options.follow && options.anonymize);
	cr_assert_eq(options.ring_size, 65536);
}

Test(options, replay)
{
	good("replay -o text file.rec --failed -n 3");
	cr_assert_eq(options.command, COMMAND_REPLAY);
	cr_assert_str_eq(options.file, "file.rec");
	cr_assert_eq(options.format, FORMAT_TEXT);
	cr_assert(options.filter.failed);
	cr_assert_eq(options.count, 3);
	good("replay -- -odd-name");
	cr_assert_str_eq(options.file, "-odd-name");
	refused("replay", "which recording");
	refused("replay a b", "one file");
	refused("replay -p 1 a", "replay takes no --pid");
	refused("replay a --save b", "replay takes no --save");
	refused("replay a --ring-size 64K", "replay takes no --ring-size");
}

Test(options, check)
{
	good("check");
	cr_assert_eq(options.command, COMMAND_CHECK);
	cr_assert_null(options.target);
	good("check -p 12");
	cr_assert_str_eq(options.target, "12");
	refused("check 12", "unexpected argument '12'");
	refused("check --failed", "check takes no --failed");
}

Test(options, nothing_given)
{
	refused("", "see tlswhy --help");
}

Test(options, commands)
{
	refused("explain 48", "unknown command 'explain'");
	refused("live -p 1", "unknown command 'live'");
	refused("report", "unknown command 'report'");
	refused("daemon", "unknown command 'daemon'");
	refused("whatif f", "unknown command 'whatif'");
	refused("1234", "unknown command '1234'");
	refused("@", "unknown command ''");
	refused("-p 1 check", "unexpected argument 'check'");
}

Test(options, mistakes)
{
	refused("trace", "which nginx");
	refused("-f", "which nginx");
	refused("-p", "--pid needs a value");
	refused("trace --pid", "--pid needs a value");
	refused("-p @", "--pid: empty");
	refused("-p 1 --bogus", "unknown option --bogus");
	refused("-p 1 --bogus=3", "unknown option --bogus=3");
	refused("-p 1 -x", "unknown option -x");
	refused("-p 1 -fx", "unknown option -x");
	refused("-p 1 --failed=yes", "--failed takes no value");
	refused("-p 1 -o html", "use text or json");
	refused("-p 1 --save @", "--save: empty");
	refused("-p 1 --outcome lost", "--outcome lost");
	refused("-p 1 --peer somewhere", "--peer somewhere");
	refused("-p 1 -s both", "client or upstream");
	refused("-p 1 trace", "unexpected argument 'trace'");
	refused("-p 1 -- 2", "unexpected argument '2'");
}

/* The first mistake is told. */
Test(options, first_mistake)
{
	refused("--bogus -d x", "--bogus");
	refused("-d x --bogus", "--duration x");
}

Test(options, durations)
{
	static const char *const wrong[] = {"0",   "-1",  "x",	  "1x",	       "@",
					    "inf", "nan", "0x10", "1e3",       "1.2.3",
					    ".",   "0.0", "+1",	  "9999999999"};
	char line[64];

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		snprintf(line, sizeof(line), "-p 1 -d %s", wrong[i]);
		refused(line, "not a number of seconds above 0");
	}
	good("-p 1 -d 0.25");
	cr_assert_eq(options.duration_s, 0.25);
	good("-p 1 -d 3600");
	cr_assert_eq(options.duration_s, 3600);
}

Test(options, counts)
{
	static const char *const wrong[] = {"0", "-1", "x",   "1x",
					    "@", "+1", "1.5", "99999999999999999999"};
	char line[64];

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		snprintf(line, sizeof(line), "-p 1 -n %s", wrong[i]);
		refused(line, "not a number of records above 0");
	}
	good("-p 1 -n 18446744073709551615");
	cr_assert_eq(options.count, UINT64_MAX);
}

Test(options, ring_sizes)
{
	static const char *const wrong[] = {"0",
					    "1",
					    "5000",
					    "64KK",
					    "64G",
					    "K",
					    "@",
					    "-4096",
					    "3M",
					    "2048M",
					    "0K",
					    "64 K",
					    "1k",
					    "18446744073709551616",
					    "17592186044416M"};
	char line[64];

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		snprintf(line, sizeof(line), "-p 1 --ring-size %s", wrong[i]);
		cr_assert_eq(parse(line), -1, "%s", line);
		cr_assert_eq(why.exit_code, EXIT_USAGE);
		options_clear(&options);
	}
	snprintf(line, sizeof(line), "-p 1 --ring-size %ld", sysconf(_SC_PAGESIZE));
	good(line);
	cr_assert_eq(options.ring_size, sysconf(_SC_PAGESIZE));
	snprintf(line, sizeof(line), "-p 1 --ring-size %ld", sysconf(_SC_PAGESIZE) / 2);
	refused(line, "power of two");
	good("-p 1 --ring-size 256k");
	cr_assert_eq(options.ring_size, 256 * 1024);
	good("-p 1 --ring-size 1024M");
	cr_assert_eq(options.ring_size, 1u << 30);
}

Test(options, help_and_version_anywhere)
{
	good("--help");
	cr_assert(options.help);
	cr_assert_eq(options.command, COMMAND_NONE);
	good("trace --help");
	cr_assert(options.help);
	cr_assert_eq(options.command, COMMAND_TRACE);
	good("replay -h");
	cr_assert(options.help);
	cr_assert_eq(options.command, COMMAND_REPLAY);
	good("--version");
	cr_assert(options.version);
	good("check --version");
	cr_assert(options.version);
	good("-p 1 --bogus --help");
	cr_assert(options.help);
	good("replay a b -p 1 -V");
	cr_assert(options.version);
	refused("-p 1 --sni", "--sni needs a value");
	good("-p 1 --sni --help"); /* the name it was given */
	cr_assert_not(options.help);
	refused("-p 1 -- --help", "unexpected argument '--help'");
}

/* Twice in one process: getopt keeps nothing. */
Test(options, again)
{
	good("-p 1 -f");
	good("-p 2");
	cr_assert_not(options.filter.failed);
	cr_assert_str_eq(options.target, "2");
}

static const char *help_of(enum command command)
{
	static char text[8192];
	FILE *out;

	memset(text, 0, sizeof(text));
	out = fmemopen(text, sizeof(text) - 1, "w");
	cr_assert(out);
	options_help(command, out);
	cr_assert_eq(fclose(out), 0);
	return text;
}

Test(options, help_lists_what_is_taken)
{
	for (enum command command = COMMAND_TRACE; command < COMMAND_COUNT; command++) {
		const char *text = help_of(command);
		const char *list = strstr(text, "\nOptions:\n");

		cr_assert(strstr(text, command_rows[command].usage));
		cr_assert(list);
		for (int i = 0; i < option_row_count; i++) {
			bool taken = option_rows[i].commands & COMMAND_BIT(command);
			char name[32];

			snprintf(name, sizeof(name), " --%s ", option_rows[i].name);
			cr_assert_eq(strstr(list, name) != NULL, taken, "%s: %s",
				     command_name(command), name);
		}
	}
}

Test(options, help_of_the_program_names_every_command)
{
	const char *text = help_of(COMMAND_NONE);

	for (enum command command = COMMAND_TRACE; command < COMMAND_COUNT; command++)
		cr_assert(strstr(text, command_rows[command].purpose));
}

Test(options, help_fits_a_terminal)
{
	for (enum command command = COMMAND_NONE; command < COMMAND_COUNT; command++) {
		const char *text = help_of(command);

		for (const char *line = text; *line; line += strcspn(line, "\n") + 1)
			cr_assert_leq(strcspn(line, "\n"), 100, "%.*s", (int)strcspn(line, "\n"),
				      line);
	}
}

/* Each example is a command line: it must parse. */
Test(options, examples_work)
{
	for (enum command command = COMMAND_NONE; command < COMMAND_COUNT; command++) {
		const char *line = command_rows[command].examples;

		for (; *line; line += strcspn(line, "\n") + 1) {
			char words[256], *to = words;

			if (strncmp(line, "tlswhy ", 7))
				continue;
			for (const char *from = line + 7; *from != '\n' && *from != '>'; from++) {
				if (*from != '\'')
					*to++ = *from;
			}
			*to = '\0';
			good(words);
			options_clear(&options);
		}
	}
}
