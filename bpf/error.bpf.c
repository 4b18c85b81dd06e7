// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * The codes nginx takes from OpenSSL's error queue, and what it writes of each into its log.
 *
 * ngx_ssl_error calls, per entry: ERR_peek_error_data (ERR_peek_error_line_data before OpenSSL 3),
 * ERR_error_string_n, ERR_get_error. Nothing of this is called for a handshake that succeeds.
 */
#include "bpf/tlswhy.bpf.h"

/* Where ERR_error_string_n does not call ERR_lib_error_string (BoringSSL). */
const volatile bool code_from_error_string_n = false;

#define ERR_TXT_STRING 0x02 /* openssl/err.h: the data is a string */

static __always_inline void code_taken(struct tracee *tracee, __u64 code)
{
	__u64 ssl = tracee->call_ssl ? tracee->call_ssl : tracee->early_ssl;
	struct event *event;

	if (tracee->role == ROLE_MASTER)
		return; /* a configuration that does not load is no handshake */
	event = event_reserve(EVENT_ERROR, EVENT_SIZE(event_error), bpf_ktime_get_ns(), 0);
	if (!event)
		return;
	event->error.code = code;
	event->error.ssl = ssl;
	event->error.flags = ssl ? ERROR_IN_CALL : 0;
	event->error.reserved = 0;
	event_submit(event);
}

/* ERR_error_string_n calls it first, with the code; it begins with a push, its caller does not. */
SEC("?uprobe")
int BPF_KPROBE(err_lib_error_string_entry, __u64 code)
{
	struct tracee *tracee = tracee_current();

	if (tracee)
		code_taken(tracee, code);
	return 0;
}

SEC("?uprobe")
int BPF_KPROBE(err_error_string_n_entry, __u64 code, __u64 buffer)
{
	struct tracee *tracee = tracee_current();

	if (!tracee)
		return 0;
	if (code_from_error_string_n)
		code_taken(tracee, code);
	tracee->text_code = code;
	tracee->text_buffer = buffer;
	return 0;
}

static __always_inline __u16 text_copy(char *into, __u64 from)
{
	long len = bpf_probe_read_user_str(into, ERROR_TEXT_MAX, (const void *)from);

	return len > 0 ? len - 1 : 0;
}

SEC("?uretprobe")
int BPF_KRETPROBE(err_error_string_n_exit)
{
	struct tracee *tracee = tracee_current();
	struct event *event;

	if (!tracee || !tracee->text_buffer || tracee->role == ROLE_MASTER)
		return 0;
	event = event_reserve(EVENT_ERROR_TEXT, EVENT_SIZE(event_error_text), bpf_ktime_get_ns(), 0);
	if (event) {
		event->error_text.code = tracee->text_code;
		event->error_text.reserved = 0;
		event->error_text.text_len = text_copy(event->error_text.text, tracee->text_buffer);
		event->error_text.data_len = 0;
		event->error_text.data[0] = 0;
		if (tracee->data)
			event->error_text.data_len = text_copy(event->error_text.data,
							       tracee->data);
		event_submit(event);
	}
	tracee->text_buffer = 0;
	tracee->data = 0;
	return 0;
}

static __always_inline void data_asked(__u64 out, __u64 flags_out)
{
	struct tracee *tracee = tracee_current();

	if (!tracee)
		return;
	tracee->data_out = out;
	tracee->data_flags_out = flags_out;
}

SEC("?uprobe")
int BPF_KPROBE(err_peek_error_data_entry, __u64 data, __u64 flags)
{
	data_asked(data, flags);
	return 0;
}

SEC("?uprobe")
int BPF_KPROBE(err_peek_error_line_data_entry, __u64 file, __u64 line, __u64 data, __u64 flags)
{
	data_asked(data, flags);
	return 0;
}

SEC("?uretprobe")
int BPF_KRETPROBE(err_peek_error_data_exit, __u64 code)
{
	struct tracee *tracee = tracee_current();
	__u64 data = 0;
	int flags = 0;

	if (!tracee || !tracee->data_out)
		return 0;
	bpf_probe_read_user(&data, sizeof(data), (const void *)tracee->data_out);
	bpf_probe_read_user(&flags, sizeof(flags), (const void *)tracee->data_flags_out);
	/* of an empty queue nothing is said: what stands there is of the code before, and freed */
	tracee->data = code && flags & ERR_TXT_STRING ? data : 0;
	tracee->data_out = 0;
	return 0;
}
