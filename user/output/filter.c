/* SPDX-License-Identifier: BSD-2-Clause */
#include "output/filter.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "tls/names.h"

/* RFC 1035 section 2.3.4: no host name is longer, and fnmatch() takes its time with long ones. */
#define SNI_MAX 255

static int parse_side(struct filter_rule *rule, const char *value, struct failure *why)
{
	for (enum side side = SIDE_CLIENT; side <= SIDE_UPSTREAM; side++) {
		if (!strcmp(value, side_name(side))) {
			rule->number = side;
			return 0;
		}
	}
	return failure_set(why, EXIT_USAGE, "--side %s: no such side; use client or upstream",
			   value);
}

static int parse_outcome(struct filter_rule *rule, const char *value, struct failure *why)
{
	for (enum outcome outcome = 0; outcome < OUTCOME_COUNT; outcome++) {
		if (!strcmp(value, outcome_name(outcome))) {
			rule->number = (int)outcome;
			return 0;
		}
	}
	return failure_set(why, EXIT_USAGE,
			   "--outcome %s: no such outcome; use established, failed, aborted, "
			   "timed_out or rejected",
			   value);
}

static int parse_version(struct filter_rule *rule, const char *value, struct failure *why)
{
	static const uint16_t versions[] = {0x0304, 0x0303, 0x0302, 0x0301, 0x0300};

	for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
		if (!strcasecmp(value, name_version(versions[i]))) {
			rule->number = versions[i];
			return 0;
		}
	}
	return failure_set(
		why, EXIT_USAGE,
		"--tls-version %s: no such version; use TLSv1.3, TLSv1.2, TLSv1.1, TLSv1 "
		"or SSLv3",
		value);
}

/* Decimal digits alone, up to max: −1 otherwise. */
static int parse_prefix(const char *text, int max)
{
	int value = 0;

	if (!*text)
		return -1;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return -1;
		value = value * 10 + (*text - '0');
		if (value > max)
			return -1;
	}
	return value;
}

/* Records show IPv4-mapped addresses as IPv4: so do rules. */
static void unmap(struct filter_rule *rule)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	if (rule->network.family != AF_INET6 || rule->network.prefix_len < 96 ||
	    memcmp(rule->network.address, mapped, sizeof(mapped)))
		return;
	rule->network.family = AF_INET;
	rule->network.prefix_len -= 96;
	memmove(rule->network.address, rule->network.address + 12, 4);
}

static int parse_network(struct filter_rule *rule, const char *value, struct failure *why)
{
	const char *slash = strchrnul(value, '/');
	size_t len = (size_t)(slash - value);
	char address[INET6_ADDRSTRLEN];
	int prefix = -1;

	if (len < sizeof(address)) {
		memcpy(address, value, len);
		address[len] = '\0';
		if (inet_pton(AF_INET, address, rule->network.address) == 1)
			rule->network.family = AF_INET;
		else if (inet_pton(AF_INET6, address, rule->network.address) == 1)
			rule->network.family = AF_INET6;
	}
	if (rule->network.family) {
		int max = rule->network.family == AF_INET ? 32 : 128;

		prefix = *slash ? parse_prefix(slash + 1, max) : max;
	}
	if (prefix < 0)
		return failure_set(
			why, EXIT_USAGE,
			"--peer %s: not a network; use an address with or without a prefix "
			"length, as in 192.0.2.0/24 or 2001:db8::/48",
			value);
	rule->network.prefix_len = (uint8_t)prefix;
	unmap(rule);
	return 0;
}

static int parse_cause(struct filter_rule *rule, const char *value, struct failure *why)
{
	if (!*value)
		return failure_set(why, EXIT_USAGE,
				   "--cause: empty; use the id of a cause, or a pattern like "
				   "'certificate-*'");
	rule->glob = value;
	return 0;
}

static int parse_glob(struct filter_rule *rule, const char *value, struct failure *why)
{
	(void)why;
	rule->glob = value;
	return 0;
}

static bool match_side(const struct filter_rule *rule, const struct record *record)
{
	return (int)record->side == rule->number;
}

static bool match_outcome(const struct filter_rule *rule, const struct record *record)
{
	return (int)record->outcome == rule->number;
}

static bool match_version(const struct filter_rule *rule, const struct record *record)
{
	return record->tls.version == rule->number;
}

static bool match_cause(const struct filter_rule *rule, const struct record *record)
{
	return record->cause.id && !fnmatch(rule->glob, record->cause.id, 0);
}

/* RFC 4343: names are compared without regard to case. A name is ASCII (RFC 6066 section 3): any
 * other byte stands for itself no longer, because fnmatch() fails for what no locale knows. */
static bool match_sni(const struct filter_rule *rule, const struct record *record)
{
	char sni[SNI_MAX + 1];
	size_t len = record->sni.at ? record->sni.len : 0;

	if (len > SNI_MAX)
		len = SNI_MAX;
	for (size_t i = 0; i < len; i++)
		sni[i] = record->sni.at[i] > ' ' && record->sni.at[i] < 0x7f
				 ? (char)record->sni.at[i]
				 : '\001';
	sni[len] = '\0';
	return !fnmatch(rule->glob, sni, FNM_CASEFOLD);
}

static bool in_network(const struct filter_rule *rule, const struct endpoint *endpoint)
{
	unsigned bytes = rule->network.prefix_len / 8, bits = rule->network.prefix_len % 8;

	if (endpoint->family != rule->network.family)
		return false;
	if (memcmp(endpoint->address, rule->network.address, bytes))
		return false;
	return !bits || !((endpoint->address[bytes] ^ rule->network.address[bytes]) >> (8 - bits));
}

static bool match_peer(const struct filter_rule *rule, const struct record *record)
{
	return in_network(rule, &record->peer) || in_network(rule, &record->proxied_peer);
}

static const struct {
	bool excludes; /* takes ! */
	int (*parse)(struct filter_rule *rule, const char *value, struct failure *why);
	bool (*match)(const struct filter_rule *rule, const struct record *record);
} fields[FILTER_FIELDS] = {
	[FILTER_SIDE] = {false, parse_side, match_side},
	[FILTER_SNI] = {true, parse_glob, match_sni},
	[FILTER_PEER] = {true, parse_network, match_peer},
	[FILTER_CAUSE] = {true, parse_cause, match_cause},
	[FILTER_OUTCOME] = {true, parse_outcome, match_outcome},
	[FILTER_TLS_VERSION] = {true, parse_version, match_version},
};

int filter_add(struct filter *filter, enum filter_field field, const char *value,
	       struct failure *why)
{
	struct filter_rule rule = {.field = field};
	struct filter_rule *grown;

	if (fields[field].excludes && *value == '!') {
		rule.exclude = true;
		value++;
	}
	if (fields[field].parse(&rule, value, why))
		return -1;
	grown = realloc(filter->rules, sizeof(*grown) * (size_t)(filter->rule_count + 1));
	if (!grown)
		return failure_set(why, EXIT_RUNTIME, "cannot keep the filters: no memory");
	grown[filter->rule_count++] = rule;
	filter->rules = grown;
	return 0;
}

bool filter_pass(const struct filter *filter, const struct record *record)
{
	bool asked[FILTER_FIELDS] = {false}, met[FILTER_FIELDS] = {false};

	if (filter->failed && record->outcome == OUTCOME_ESTABLISHED)
		return false;
	for (int i = 0; i < filter->rule_count; i++) {
		const struct filter_rule *rule = &filter->rules[i];
		bool matched = fields[rule->field].match(rule, record);

		if (rule->exclude && matched)
			return false;
		if (!rule->exclude) {
			asked[rule->field] = true;
			met[rule->field] |= matched;
		}
	}
	for (int field = 0; field < FILTER_FIELDS; field++) {
		if (asked[field] && !met[field])
			return false;
	}
	return true;
}

void filter_clear(struct filter *filter)
{
	free(filter->rules);
	*filter = (struct filter){0};
}
