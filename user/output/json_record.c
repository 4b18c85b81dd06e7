/* SPDX-License-Identifier: BSD-2-Clause */
#include "output/json_record.h"

#include "diagnose/reasons.h"
#include "tls/handshake.h"
#include "tls/names.h"

/* 0 stands for "not negotiated or not visible" in every field of record_tls. */
static void write_code(struct fragment *out, uint16_t code, const char *name)
{
	char hex[8];

	if (!code)
		fragment_literal(out, "null");
	else
		fragment_name(out, name_or_hex(name, code, hex, sizeof(hex)));
}

static void write_name(struct fragment *out, const char *name)
{
	if (name)
		fragment_name(out, name);
	else
		fragment_literal(out, "null");
}

static const char *resumption_name(enum resumption resumption)
{
	switch (resumption) {
	case RESUMPTION_PSK:
		return "psk";
	case RESUMPTION_TICKET:
		return "ticket";
	case RESUMPTION_SESSION_ID:
		return "session_id";
	case RESUMPTION_REFUSED:
		return "refused";
	default:
		return NULL;
	}
}

static const char *early_data_name(enum early_data early_data)
{
	switch (early_data) {
	case EARLY_DATA_ACCEPTED:
		return "accepted";
	case EARLY_DATA_REFUSED:
		return "refused";
	default:
		return NULL;
	}
}

static const char *ech_name(enum ech ech)
{
	switch (ech) {
	case ECH_OFFERED:
		return "offered";
	case ECH_ACCEPTED:
		return "accepted";
	case ECH_REFUSED:
		return "refused";
	default:
		return NULL;
	}
}

void json_tls(struct fragment *out, const struct record *record)
{
	const struct record_tls *tls = &record->tls;

	fragment_literal(out, "{\"version\":");
	write_code(out, tls->version, name_version(tls->version));
	fragment_literal(out, ",\"cipher\":");
	write_code(out, tls->cipher, name_cipher(tls->cipher));
	fragment_literal(out, ",\"group\":");
	write_code(out, tls->group, name_group(tls->group));
	fragment_literal(out, ",\"signature_algorithm\":");
	write_code(out, tls->signature_algorithm, name_signature_scheme(tls->signature_algorithm));
	fragment_literal(out, ",\"alpn\":");
	if (tls->alpn.len)
		fragment_string(out, tls->alpn.at, tls->alpn.len);
	else
		fragment_literal(out, "null");
	fragment_literal(out, ",\"resumed\":");
	if (tls->resumed == UNKNOWN)
		fragment_literal(out, "null");
	else if (tls->resumed == YES)
		fragment_literal(out, "true");
	else
		fragment_literal(out, "false");
	fragment_literal(out, ",\"resumption\":");
	write_name(out, resumption_name(tls->resumption));
	fragment_literal(out, ",\"early_data\":");
	write_name(out, early_data_name(tls->early_data));
	if (tls->hello_retry)
		fragment_literal(out, ",\"hello_retry\":true,\"ech\":");
	else
		fragment_literal(out, ",\"hello_retry\":false,\"ech\":");
	write_name(out, ech_name(tls->ech));
	fragment_literal(out, "}");
}

/* "%08lX", as ERR_error_string_n writes it. */
static void write_error_code(struct fragment *out, uint64_t code)
{
	static const char digits[] = "0123456789ABCDEF";
	char text[2 + 16], *at = text + sizeof(text);
	int written = 0;

	*--at = '"';
	for (; written < 8 || code; written++, code >>= 4)
		*--at = digits[code & 15];
	*--at = '"';
	fragment_raw(out, at, (size_t)(text + sizeof(text) - at));
}

/* What ngx_ssl_error() writes behind "(SSL:", without its leading space: for each entry the text
 * and, where there is data, a colon and the data. A text not learned leaves the whole unknown. */
static void write_error_text(struct fragment *out, const struct record_error *errors, int count)
{
	/* Each is under ERROR_TEXT_MAX + ERROR_DATA_MAX of the ABI, 256 bytes both. */
	char text[RECORD_ERRORS_MAX * (2 * 256 + 2)];
	size_t used = 0;

	for (int i = 0; i < count; i++) {
		const struct record_error *error = &errors[i];
		const char *parts[] = {i ? " " : "", error->text, error->data ? ":" : "",
				       error->data ? error->data : ""};

		if (!error->text) {
			fragment_literal(out, "null");
			return;
		}
		for (int part = 0; part < 4; part++) {
			size_t len = strnlen(parts[part], sizeof(text) - used);

			memcpy(text + used, parts[part], len);
			used += len;
		}
	}
	fragment_string(out, text, used);
}

static void write_queue(struct fragment *out, const struct record_error *errors, int count)
{
	fragment_literal(out, "[");
	for (int i = 0; i < count; i++) {
		if (i)
			fragment_literal(out, ",");
		write_error_code(out, errors[i].code);
	}
	fragment_literal(out, "]");
}

static const struct record_error *deciding_error(const struct record *record)
{
	for (int i = 0; i < record->error_count; i++)
		if (error_ssl_reason(record->errors[i].code, record->errors[i].text) >= 0)
			return &record->errors[i];
	return &record->errors[0];
}

void json_error(struct fragment *out, const struct record *record)
{
	const struct record_error *error = deciding_error(record);

	if (!record->error_count) {
		fragment_literal(out, "null");
		return;
	}
	fragment_literal(out, "{\"queue\":");
	write_queue(out, record->errors, record->error_count);
	fragment_literal(out, ",\"code\":");
	write_error_code(out, error->code);
	fragment_literal(out, ",\"reason_number\":");
	fragment_unsigned(out, error_parts(error->code, error->text).reason);
	fragment_literal(out, ",\"reason\":");
	fragment_text(out, error_reason_text(error->text));
	fragment_literal(out, ",\"text\":");
	write_error_text(out, record->errors, record->error_count);
	fragment_literal(out, "}");
}

void json_stale_errors(struct fragment *out, const struct record *record)
{
	if (!record->stale_error_count) {
		fragment_literal(out, "null");
		return;
	}
	fragment_literal(out, "{\"of\":");
	fragment_text(out, record->stale_of[0] ? record->stale_of : NULL);
	fragment_literal(out, ",\"queue\":");
	write_queue(out, record->stale_errors, record->stale_error_count);
	fragment_literal(out, ",\"text\":");
	write_error_text(out, record->stale_errors, record->stale_error_count);
	fragment_literal(out, "}");
}

static const char *direction_name(enum alert_direction direction)
{
	return direction == ALERT_SENT ? "sent" : "received";
}

static const char *level_name(uint8_t level)
{
	return level == 1 ? "warning" : level == 2 ? "fatal" : NULL;
}

void json_alerts(struct fragment *out, const struct record *record)
{
	fragment_literal(out, "[");
	for (int i = 0; i < record->alert_count; i++) {
		const struct record_alert *alert = &record->alerts[i];

		if (i)
			fragment_literal(out, ",");
		fragment_literal(out, "{\"direction\":");
		fragment_name(out, direction_name(alert->direction));
		fragment_literal(out, ",\"level\":");
		write_name(out, level_name(alert->level));
		fragment_literal(out, ",\"number\":");
		fragment_unsigned(out, alert->number);
		fragment_literal(out, ",\"name\":");
		write_name(out, name_alert(alert->number));
		fragment_literal(out, ",\"from\":");
		fragment_name(out, alert->from == ALERT_FROM_WIRE ? "wire" : "error");
		fragment_literal(out, "}");
	}
	fragment_literal(out, "]");
}

void json_verify(struct fragment *out, const struct record *record)
{
	const struct record_verify *verify = &record->verify;

	if (!verify->judged) {
		fragment_literal(out, "null");
		return;
	}
	fragment_literal(out, "{\"code\":");
	fragment_signed(out, verify->code);
	fragment_literal(out, ",\"text\":");
	fragment_text(out, verify->text);
	fragment_literal(out, ",\"depth\":null,\"certificate\":null,\"expected_name\":");
	fragment_text(out, verify->expected_name);
	fragment_literal(out, ",\"requested_cas\":null}");
}

void json_cause(struct fragment *out, const struct record *record)
{
	const struct record_cause *cause = &record->cause;

	if (!cause->id) {
		fragment_literal(out, "null");
		return;
	}
	fragment_literal(out, "{\"id\":");
	fragment_name(out, cause->id);
	fragment_literal(out, ",\"summary\":");
	fragment_text(out, cause->summary);
	fragment_literal(out, ",\"evidence\":[");
	for (int i = 0; i < cause->evidence_count; i++) {
		if (i)
			fragment_literal(out, ",");
		fragment_text(out, cause->evidence[i]);
	}
	fragment_literal(out, "],\"directive\":");
	write_name(out, cause->directive);
	fragment_literal(out, ",\"fix\":");
	fragment_text(out, cause->fix);
	fragment_literal(out, "}");
}

void json_latency(struct fragment *out, const struct record *record)
{
	const struct record_latency *latency = &record->latency;

	fragment_literal(out, "{\"total\":");
	fragment_measured(out, latency->total_us);
	fragment_literal(out, ",\"tcp_connect\":");
	fragment_measured(out, latency->tcp_connect_us);
	fragment_literal(out, ",\"hello_wait\":");
	fragment_measured(out, latency->hello_wait_us);
	fragment_literal(out, ",\"pickup\":");
	fragment_measured(out, latency->pickup_us);
	fragment_literal(out, ",\"crypto\":");
	fragment_measured(out, latency->crypto_us);
	fragment_literal(out, ",\"peer_wait\":");
	fragment_measured(out, latency->peer_wait_us);
	fragment_literal(out, "}");
}

void json_tcp(struct fragment *out, const struct record *record)
{
	fragment_literal(out, "{\"rtt_us\":");
	fragment_measured(out, record->rtt_us);
	fragment_literal(out, ",\"retransmits\":");
	fragment_unsigned(out, record->retransmits);
	switch (record->reset) {
	case RESET_BY_PEER:
		fragment_literal(out, ",\"reset\":\"peer\"}");
		break;
	case RESET_LOCAL:
		fragment_literal(out, ",\"reset\":\"local\"}");
		break;
	default:
		fragment_literal(out, ",\"reset\":null}");
	}
}

static void write_unknown(struct fragment *out, const char *what, uint8_t number)
{
	fragment_literal(out, "\"");
	fragment_raw(out, what, strlen(what));
	fragment_unsigned(out, number);
	fragment_literal(out, "\"");
}

/* A rung's facts: an alert's level and name; a handshake message has none of its own here. */
static void write_message_facts(struct fragment *out, const struct record_message *message)
{
	const char *name, *level;

	if (!message->is_alert) {
		fragment_literal(out, "[]}");
		return;
	}
	level = level_name(message->level);
	name = name_alert(message->type);
	fragment_literal(out, "[");
	if (level) {
		fragment_name(out, level);
		fragment_literal(out, ",");
	}
	if (name)
		fragment_name(out, name);
	else
		write_unknown(out, "alert ", message->type);
	fragment_literal(out, "]}");
}

void json_messages(struct fragment *out, const struct record *record)
{
	fragment_literal(out, "[");
	for (int i = 0; i < record->message_count; i++) {
		const struct record_message *message = &record->messages[i];
		const char *name = message->is_alert ? "Alert" : handshake_name(message->type);

		if (i)
			fragment_literal(out, ",");
		fragment_literal(out, "{\"offset_us\":");
		fragment_signed(out, message->offset_us);
		if (message->direction == ALERT_SENT)
			fragment_literal(out, ",\"direction\":\"sent\",\"type\":");
		else
			fragment_literal(out, ",\"direction\":\"received\",\"type\":");
		if (name)
			fragment_name(out, name);
		else
			write_unknown(out, "handshake ", message->type);
		fragment_literal(out, ",\"facts\":");
		write_message_facts(out, message);
	}
	fragment_literal(out, "]");
}
