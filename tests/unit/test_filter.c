/* SPDX-License-Identifier: BSD-2-Clause */
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <string.h>

#include "output/filter.h"

static struct filter filter;
static struct record record;

static void set_up(void)
{
	filter = (struct filter){0};
	memset(&record, 0, sizeof(record));
	record.side = SIDE_CLIENT;
	record.outcome = OUTCOME_FAILED;
	record.peer = (struct endpoint){AF_INET, {198, 51, 100, 77}, 40000};
	record.sni = (struct span){(const uint8_t *)"Shop.example.org", 16};
	record.cause.id = "no-shared-cipher";
	record.tls.version = 0x0303;
}

static void tear_down(void)
{
	filter_clear(&filter);
}

TestSuite(filter, .init = set_up, .fini = tear_down);

static void add(enum filter_field field, const char *value)
{
	struct failure why;

	cr_assert_eq(filter_add(&filter, field, value, &why), 0, "%s", why.message);
}

/* With this one rule alone. */
static bool passes(enum filter_field field, const char *value)
{
	bool pass;

	filter_clear(&filter);
	add(field, value);
	pass = filter_pass(&filter, &record);
	filter_clear(&filter);
	return pass;
}

static void refused(enum filter_field field, const char *value, const char *hint)
{
	struct failure why = {0};

	cr_assert_eq(filter_add(&filter, field, value, &why), -1, "%s", value);
	cr_assert_eq(why.exit_code, EXIT_USAGE);
	cr_assert(strstr(why.message, hint), "%s: %s", value, why.message);
	cr_assert_eq(filter.rule_count, 0);
}

Test(filter, without_rules_all_pass)
{
	cr_assert(filter_pass(&filter, &record));
	record.outcome = OUTCOME_ESTABLISHED;
	record.cause.id = NULL;
	cr_assert(filter_pass(&filter, &record));
}

Test(filter, failed)
{
	filter.failed = true;
	for (enum outcome outcome = 0; outcome < OUTCOME_COUNT; outcome++) {
		record.outcome = outcome;
		cr_assert_eq(filter_pass(&filter, &record), outcome != OUTCOME_ESTABLISHED);
	}
}

Test(filter, side)
{
	cr_assert(passes(FILTER_SIDE, "client"));
	cr_assert_not(passes(FILTER_SIDE, "upstream"));
	record.side = SIDE_UPSTREAM;
	cr_assert(passes(FILTER_SIDE, "upstream"));
	refused(FILTER_SIDE, "server", "client or upstream");
	refused(FILTER_SIDE, "!client", "client or upstream");
	refused(FILTER_SIDE, "", "client or upstream");
}

Test(filter, sni)
{
	cr_assert(passes(FILTER_SNI, "shop.example.org"));
	cr_assert(passes(FILTER_SNI, "*.EXAMPLE.org"));
	cr_assert(passes(FILTER_SNI, "shop.*"));
	cr_assert(passes(FILTER_SNI, "sho[op].example.???"));
	cr_assert_not(passes(FILTER_SNI, "example.org"));
	cr_assert_not(passes(FILTER_SNI, "shop"));
	cr_assert_not(passes(FILTER_SNI, ""));
	cr_assert_not(passes(FILTER_SNI, "!*.example.org"));
	cr_assert(passes(FILTER_SNI, "!*.example.com"));
}

Test(filter, no_sni_is_the_empty_name)
{
	record.sni = (struct span){NULL, 0};
	cr_assert(passes(FILTER_SNI, ""));
	cr_assert(passes(FILTER_SNI, "*"));
	cr_assert_not(passes(FILTER_SNI, "?*"));
	cr_assert_not(passes(FILTER_SNI, "!"));
	cr_assert(passes(FILTER_SNI, "!?*"));
}

Test(filter, sni_that_is_no_name)
{
	static uint8_t odd[60000];

	record.sni = (struct span){(const uint8_t *)"a\0b.test", 8};
	cr_assert_not(passes(FILTER_SNI, "a"));
	cr_assert(passes(FILTER_SNI, "a?b.test"));
	record.sni = (struct span){(const uint8_t *)"\xff\xfe.test", 7};
	cr_assert(passes(FILTER_SNI, "*.test"));
	memset(odd, 'a', sizeof(odd));
	record.sni = (struct span){odd, sizeof(odd)};
	cr_assert(passes(FILTER_SNI, "a*"));
	cr_assert_not(passes(FILTER_SNI, "*a*a*a*a*a*a*b"));
}

Test(filter, peer)
{
	cr_assert(passes(FILTER_PEER, "198.51.100.77"));
	cr_assert(passes(FILTER_PEER, "198.51.100.77/32"));
	cr_assert(passes(FILTER_PEER, "198.51.100.0/24"));
	cr_assert(passes(FILTER_PEER, "198.51.100.1/24"));
	cr_assert(passes(FILTER_PEER, "198.51.100.64/26"));
	cr_assert(passes(FILTER_PEER, "198.51.100.76/31"));
	cr_assert(passes(FILTER_PEER, "0.0.0.0/0"));
	cr_assert_not(passes(FILTER_PEER, "198.51.100.78"));
	cr_assert_not(passes(FILTER_PEER, "198.51.100.78/31"));
	cr_assert_not(passes(FILTER_PEER, "198.51.101.0/24"));
	cr_assert_not(passes(FILTER_PEER, "::/0"));
	cr_assert_not(passes(FILTER_PEER, "!198.51.100.0/24"));
	cr_assert(passes(FILTER_PEER, "!10.0.0.0/8"));
	cr_assert(passes(FILTER_PEER, "::ffff:198.51.100.0/120"));
	cr_assert_not(passes(FILTER_PEER, "::ffff:10.0.0.0/104"));
}

Test(filter, peer_ipv6)
{
	record.peer = (struct endpoint){AF_INET6, {0x20, 1, 0xd, 0xb8, 0, 1, [15] = 9}, 40000};
	cr_assert(passes(FILTER_PEER, "2001:db8::/32"));
	cr_assert(passes(FILTER_PEER, "2001:db8:1::9"));
	cr_assert(passes(FILTER_PEER, "2001:db8:1::/127") == false);
	cr_assert(passes(FILTER_PEER, "2001:db8:1::8/127"));
	cr_assert_not(passes(FILTER_PEER, "2001:db9::/32"));
	cr_assert_not(passes(FILTER_PEER, "0.0.0.0/0"));
}

Test(filter, peer_behind_a_proxy)
{
	record.proxied_peer = (struct endpoint){AF_INET, {203, 0, 113, 9}, 50000};
	cr_assert(passes(FILTER_PEER, "203.0.113.0/24"));
	cr_assert(passes(FILTER_PEER, "198.51.100.0/24"));
	cr_assert_not(passes(FILTER_PEER, "!203.0.113.0/24"));
}

Test(filter, peer_unknown)
{
	record.peer = (struct endpoint){0};
	cr_assert_not(passes(FILTER_PEER, "0.0.0.0/0"));
	cr_assert(passes(FILTER_PEER, "!0.0.0.0/0"));
}

Test(filter, peer_mistakes)
{
	static const char *const wrong[] = {
		"",
		"/",
		"/24",
		"198.51.100.0/",
		"198.51.100.0/33",
		"1.2.3",
		"1.2.3.4.5",
		"198.51.100.0/-1",
		"198.51.100.0/ 24",
		"::/129",
		"example.org",
		"1.2.3.4/24/8",
		"1.2.3.4/024x",
		"!",
		"300.1.1.1",
		"2001:db8::/48 ",
		"11111111111111111111111111111111111111111111111111111111",
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		refused(FILTER_PEER, wrong[i], "not a network");
}

Test(filter, cause)
{
	cr_assert(passes(FILTER_CAUSE, "no-shared-cipher"));
	cr_assert(passes(FILTER_CAUSE, "no-*"));
	cr_assert_not(passes(FILTER_CAUSE, "no"));
	cr_assert_not(passes(FILTER_CAUSE, "!no-*"));
	record.cause.id = NULL;
	cr_assert_not(passes(FILTER_CAUSE, "*"));
	cr_assert(passes(FILTER_CAUSE, "!no-*"));
	refused(FILTER_CAUSE, "", "empty");
}

Test(filter, outcome)
{
	cr_assert(passes(FILTER_OUTCOME, "failed"));
	cr_assert_not(passes(FILTER_OUTCOME, "timed_out"));
	cr_assert_not(passes(FILTER_OUTCOME, "!failed"));
	cr_assert(passes(FILTER_OUTCOME, "!established"));
	refused(FILTER_OUTCOME, "timed-out", "timed_out");
	refused(FILTER_OUTCOME, "fail*", "timed_out");
}

Test(filter, tls_version)
{
	cr_assert(passes(FILTER_TLS_VERSION, "TLSv1.2"));
	cr_assert_not(passes(FILTER_TLS_VERSION, "TLSv1.3"));
	cr_assert_not(passes(FILTER_TLS_VERSION, "TLSv1"));
	cr_assert(passes(FILTER_TLS_VERSION, "!TLSv1.3"));
	record.tls.version = 0;
	cr_assert_not(passes(FILTER_TLS_VERSION, "TLSv1.2"));
	cr_assert(passes(FILTER_TLS_VERSION, "!TLSv1.2"));
	record.tls.version = 0x0301;
	cr_assert(passes(FILTER_TLS_VERSION, "TLSv1"));
	refused(FILTER_TLS_VERSION, "1.3", "TLSv1.3");
	refused(FILTER_TLS_VERSION, "null", "TLSv1.3");
}

Test(filter, values_of_one_option_are_alternatives)
{
	add(FILTER_OUTCOME, "aborted");
	cr_assert_not(filter_pass(&filter, &record));
	add(FILTER_OUTCOME, "failed");
	cr_assert(filter_pass(&filter, &record));
}

Test(filter, different_options_must_all_hold)
{
	add(FILTER_OUTCOME, "failed");
	add(FILTER_CAUSE, "no-*");
	cr_assert(filter_pass(&filter, &record));
	add(FILTER_TLS_VERSION, "TLSv1.3");
	cr_assert_not(filter_pass(&filter, &record));
}

Test(filter, an_exclusion_wins)
{
	add(FILTER_CAUSE, "no-*");
	add(FILTER_CAUSE, "!*-cipher");
	cr_assert_not(filter_pass(&filter, &record));
	record.cause.id = "no-shared-group";
	cr_assert(filter_pass(&filter, &record));
	record.cause.id = "not-tls";
	cr_assert_not(filter_pass(&filter, &record));
}

Test(filter, exclusions_add_up)
{
	add(FILTER_OUTCOME, "!established");
	add(FILTER_OUTCOME, "!aborted");
	cr_assert(filter_pass(&filter, &record));
	record.outcome = OUTCOME_ABORTED;
	cr_assert_not(filter_pass(&filter, &record));
}
