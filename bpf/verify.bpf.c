// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * What was thought of the peer's certificate. All of these are reached only where a certificate is
 * verified, or a session is thrown away; most begin with an instruction that is single-stepped.
 */
#include "bpf/tlswhy.bpf.h"

static __always_inline void verify_said(__u32 kind, __u64 ssl, __s32 result, __u32 flags)
{
	struct event *event =
		event_reserve(kind, EVENT_SIZE(event_verify), bpf_ktime_get_ns(), 0);

	if (!event)
		return;
	event->verify.ssl = ssl;
	event->verify.result = result;
	event->verify.flags = flags;
	event_submit(event);
}

/* libssl asks for the code right after X509_verify_cert (ssl_verify_cert_chain). */
SEC("?uretprobe")
int BPF_KRETPROBE(x509_store_ctx_get_error_exit, int result)
{
	struct tracee *tracee = tracee_current();
	__u64 ssl;

	if (!tracee)
		return 0;
	ssl = tracee->call_ssl ? tracee->call_ssl : tracee->early_ssl;
	if (ssl)
		verify_said(EVENT_VERIFY, ssl, result, VERIFY_IN_CALL);
	return 0;
}

/* ...and frees the context a moment later: the code is read from where X509_STORE_CTX_get_error has it,
 * an offset that user space took from that function's own instruction. */
SEC("?uprobe")
int BPF_KPROBE(x509_store_ctx_free_entry, __u64 store)
{
	struct tracee *tracee = tracee_current();
	int result = 0;
	__u64 ssl;

	if (!tracee || !store)
		return 0;
	ssl = tracee->call_ssl ? tracee->call_ssl : tracee->early_ssl;
	if (!ssl || !bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_get_attach_cookie))
		return 0;
	if (!bpf_probe_read_user(&result, sizeof(result),
				 (const void *)(store + bpf_get_attach_cookie(ctx))))
		verify_said(EVENT_VERIFY, ssl, result, VERIFY_IN_CALL);
	return 0;
}

/* nginx asks where it cares: once per upstream handshake with proxy_ssl_verify, and in each request
 * on a listener with ssl_verify_client. */
SEC("?uprobe")
int BPF_KPROBE(ssl_get_verify_result_entry, __u64 ssl)
{
	struct tracee *tracee = tracee_current();

	if (tracee)
		tracee->verify_ssl = ssl;
	return 0;
}

SEC("?uretprobe")
int BPF_KRETPROBE(ssl_get_verify_result_exit, long result)
{
	struct tracee *tracee = tracee_current();

	if (tracee && tracee->verify_ssl)
		verify_said(EVENT_VERIFY_RESULT, tracee->verify_ssl, result, 0);
	return 0;
}

/* ngx_ssl_check_host, right after SSL_get_verify_result of the same SSL. */
SEC("?uretprobe")
int BPF_KRETPROBE(x509_check_host_exit, int result)
{
	struct tracee *tracee = tracee_current();

	if (tracee && !tracee->call_ssl)
		verify_said(EVENT_CHECK_HOST, tracee->verify_ssl, result, 0);
	return 0;
}

/* ngx_ssl_remove_cached_session: nginx refuses a client's certificate, or that there is none. libssl
 * calls it too, inside a handshake and on fatal alerts. */
SEC("?uprobe")
int BPF_KPROBE(ssl_ctx_remove_session_entry)
{
	struct tracee *tracee = tracee_current();

	if (tracee && !tracee->call_ssl && !tracee->early_ssl)
		verify_said(EVENT_SESSION_REMOVED, tracee->verify_ssl, 0, 0);
	return 0;
}
