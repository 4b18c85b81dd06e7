/* SPDX-License-Identifier: BSD-2-Clause */
#include "trace/probes.h"

#include <stdio.h>
#include <string.h>

#include "trace/symbols.h"

/* clang-format off */
const struct probe probes[PROBE_COUNT] = {
	[PROBE_SSL_SET_FD_ENTRY] = {
		.symbol = "SSL_set_fd",
		.program = "ssl_set_fd_entry",
		.library = LIBRARY_SSL,
		.place = PROBE_ENTRY,
		.need = PROBE_REQUIRED,
		.when = PROBE_ALWAYS,
		.arguments = 2,
		.why = "which socket a handshake is on",
	},
	[PROBE_SSL_DO_HANDSHAKE_ENTRY] = {
		.symbol = "SSL_do_handshake",
		.program = "ssl_do_handshake_entry",
		.library = LIBRARY_SSL,
		.place = PROBE_ENTRY,
		.need = PROBE_REQUIRED,
		.when = PROBE_ALWAYS,
		.arguments = 1,
		.why = "when OpenSSL began to work",
	},
	[PROBE_SSL_DO_HANDSHAKE_EXIT] = {
		.symbol = "SSL_do_handshake",
		.program = "ssl_do_handshake_exit",
		.library = LIBRARY_SSL,
		.place = PROBE_RETURN,
		.need = PROBE_REQUIRED,
		.when = PROBE_ALWAYS,
		.arguments = 1,
		.why = "what OpenSSL decided",
	},
	[PROBE_SSL_READ_EARLY_DATA_ENTRY] = {
		.symbol = "SSL_read_early_data",
		.program = "ssl_read_early_data_entry",
		.library = LIBRARY_SSL,
		.place = PROBE_ENTRY,
		.need = PROBE_OPTIONAL,
		.when = PROBE_ALWAYS,
		.arguments = 1,
		.why = "handshakes with early data",
	},
	[PROBE_SSL_READ_EARLY_DATA_EXIT] = {
		.symbol = "SSL_read_early_data",
		.program = "ssl_read_early_data_exit",
		.library = LIBRARY_SSL,
		.place = PROBE_RETURN,
		.need = PROBE_OPTIONAL,
		.when = PROBE_ALWAYS,
		.arguments = 1,
		.why = "handshakes with early data",
	},
	[PROBE_ERR_LIB_ERROR_STRING_ENTRY] = {
		.symbol = "ERR_lib_error_string",
		.program = "err_lib_error_string_entry",
		.library = LIBRARY_CRYPTO,
		.place = PROBE_ENTRY,
		.need = PROBE_OPTIONAL,
		.when = PROBE_ALWAYS,
		.arguments = 1,
		.why = "error codes",
	},
	[PROBE_ERR_ERROR_STRING_N_ENTRY] = {
		.symbol = "ERR_error_string_n",
		.program = "err_error_string_n_entry",
		.library = LIBRARY_CRYPTO,
		.place = PROBE_ENTRY,
		.need = PROBE_REQUIRED,
		.when = PROBE_ADAPTIVE,
		.arguments = 2,
		.why = "the text of an error code",
	},
	[PROBE_ERR_ERROR_STRING_N_EXIT] = {
		.symbol = "ERR_error_string_n",
		.program = "err_error_string_n_exit",
		.library = LIBRARY_CRYPTO,
		.place = PROBE_RETURN,
		.need = PROBE_REQUIRED,
		.when = PROBE_ADAPTIVE,
		.arguments = 2,
		.why = "the text of an error code",
	},
	[PROBE_ERR_PEEK_ERROR_DATA_ENTRY] = {
		.symbol = "ERR_peek_error_data",
		.program = "err_peek_error_data_entry",
		.other_symbol = "ERR_peek_error_line_data",
		.other_program = "err_peek_error_line_data_entry",
		.library = LIBRARY_CRYPTO,
		.place = PROBE_ENTRY,
		.need = PROBE_OPTIONAL,
		.when = PROBE_ADAPTIVE,
		.arguments = 4,
		.why = "the data of an error code",
	},
	[PROBE_ERR_PEEK_ERROR_DATA_EXIT] = {
		.symbol = "ERR_peek_error_data",
		.program = "err_peek_error_data_exit",
		.other_symbol = "ERR_peek_error_line_data",
		.other_program = "err_peek_error_data_exit",
		.library = LIBRARY_CRYPTO,
		.place = PROBE_RETURN,
		.need = PROBE_OPTIONAL,
		.when = PROBE_ADAPTIVE,
		.arguments = 4,
		.why = "the data of an error code",
	},
	[PROBE_X509_STORE_CTX_GET_ERROR_EXIT] = {
		.symbol = "X509_STORE_CTX_get_error",
		.program = "x509_store_ctx_get_error_exit",
		.library = LIBRARY_CRYPTO,
		.place = PROBE_RETURN,
		.need = PROBE_OPTIONAL,
		.when = PROBE_ALWAYS,
		.arguments = 0,
		.why = "why a certificate was refused",
	},
	[PROBE_X509_STORE_CTX_FREE_ENTRY] = {
		.symbol = "X509_STORE_CTX_free",
		.program = "x509_store_ctx_free_entry",
		.library = LIBRARY_CRYPTO,
		.place = PROBE_ENTRY,
		.need = PROBE_OPTIONAL,
		.when = PROBE_ALWAYS,
		.arguments = 1,
		.why = "why a certificate was refused",
	},
	[PROBE_SSL_GET_VERIFY_RESULT_ENTRY] = {
		.symbol = "SSL_get_verify_result",
		.program = "ssl_get_verify_result_entry",
		.library = LIBRARY_SSL,
		.place = PROBE_ENTRY,
		.need = PROBE_OPTIONAL,
		.when = PROBE_ALWAYS,
		.arguments = 1,
		.why = "nginx's verdict on a certificate",
	},
	[PROBE_SSL_GET_VERIFY_RESULT_EXIT] = {
		.symbol = "SSL_get_verify_result",
		.program = "ssl_get_verify_result_exit",
		.library = LIBRARY_SSL,
		.place = PROBE_RETURN,
		.need = PROBE_OPTIONAL,
		.when = PROBE_ALWAYS,
		.arguments = 1,
		.why = "nginx's verdict on a certificate",
	},
	[PROBE_X509_CHECK_HOST_EXIT] = {
		.symbol = "X509_check_host",
		.program = "x509_check_host_exit",
		.library = LIBRARY_CRYPTO,
		.place = PROBE_RETURN,
		.need = PROBE_OPTIONAL,
		.when = PROBE_ALWAYS,
		.arguments = 0,
		.why = "whether an upstream's name fits",
	},
	[PROBE_SSL_CTX_REMOVE_SESSION_ENTRY] = {
		.symbol = "SSL_CTX_remove_session",
		.program = "ssl_ctx_remove_session_entry",
		.library = LIBRARY_SSL,
		.place = PROBE_ENTRY,
		.need = PROBE_OPTIONAL,
		.when = PROBE_ADAPTIVE,
		.arguments = 0,
		.why = "a client's certificate refused after the handshake",
	},
};
/* clang-format on */

/* Two names at most for each probe. */
#define NAMES_MAX (2 * PROBE_COUNT)

/* Fills found, symbol and function of the sites that live in one library. */
static int find_functions(const struct libraries *libraries, enum library_kind kind,
			  struct probe_site *sites)
{
	const struct library *library = &libraries->list[libraries->index[kind]];
	struct symbol symbols[NAMES_MAX];
	char executable[64];
	int count = 0, found;

	for (int i = 0; i < PROBE_COUNT; i++) {
		if (probes[i].library != kind)
			continue;
		symbols[count++] = (struct symbol){.name = probes[i].symbol};
		if (probes[i].other_symbol)
			symbols[count++] = (struct symbol){.name = probes[i].other_symbol};
	}
	found = symbols_find(library->open_path, library->shown_path, library->root, symbols,
			     count);
	if (found < 0)
		return found;
	snprintf(executable, sizeof(executable), "/proc/%d/exe", libraries->pid);
	count = 0;
	for (int i = 0; i < PROBE_COUNT; i++) {
		const struct symbol *first, *chosen, *other;

		if (probes[i].library != kind)
			continue;
		chosen = first = &symbols[count++];
		other = probes[i].other_symbol ? &symbols[count++] : NULL;
		/* nginx before 1.21.5 calls the older function of OpenSSL 3.0 too. */
		if (other && other->found &&
		    (!first->found || symbols_is_imported(executable, other->name)))
			chosen = other;
		sites[i].library = library;
		sites[i].found = chosen->found;
		sites[i].symbol = chosen->name;
		sites[i].program = chosen == other ? probes[i].other_program : probes[i].program;
		sites[i].function = chosen->offset;
	}
	return 0;
}

static void read_instructions(struct probe_site *site)
{
	uint8_t code[INSTRUCTION_CODE_LEN];
	int len;

	len = symbols_read_code(site->library->open_path, site->function, code, sizeof(code));
	site->instruction = instruction_choose(code, len < 0 ? 0 : len, site->probe->arguments);
	site->offset = site->function + site->instruction.offset;
	site->accessor = len > 0 && !instruction_accessor_offset(code, len, &site->accessor_offset,
								 &site->accessor_width);
}

/*
 * ERR_error_string_n() calls ERR_lib_error_string(code) in OpenSSL (crypto/err/err.c), not in its
 * forks; the latter begins with PUSH, the former with MOV: failures cost a seventh that way.
 */
static void choose_error_probe(struct probe_site *sites)
{
	struct probe_site *light = &sites[PROBE_ERR_LIB_ERROR_STRING_ENTRY];
	struct probe_site *full = &sites[PROBE_ERR_ERROR_STRING_N_ENTRY];

	light->chosen = light->found && library_is_openssl(light->library) &&
			light->instruction.cost != PROBE_SINGLE_STEPPED;
	if (!light->chosen)
		full->when = PROBE_ALWAYS;
}

/*
 * libssl asks X509_STORE_CTX_get_error() and then frees the context (ssl_verify_cert_chain). The first
 * begins with the MOV that is all of it, which also tells where in the context the code is; the other
 * can be probed at an instruction that is emulated: a twentieth of the cost.
 */
static void choose_verify_probe(struct probe_site *sites)
{
	struct probe_site *asked = &sites[PROBE_X509_STORE_CTX_GET_ERROR_EXIT];
	struct probe_site *freed = &sites[PROBE_X509_STORE_CTX_FREE_ENTRY];

	freed->chosen = freed->found && asked->found && asked->accessor &&
			asked->accessor_width == 4 &&
			freed->instruction.cost == PROBE_EMULATED &&
			asked->instruction.cost == PROBE_SINGLE_STEPPED;
	freed->accessor_offset = asked->accessor_offset;
	asked->chosen = asked->found && !freed->chosen;
}

void probes_without_cookie(struct probe_site sites[PROBE_COUNT])
{
	sites[PROBE_X509_STORE_CTX_FREE_ENTRY].chosen = false;
	sites[PROBE_X509_STORE_CTX_GET_ERROR_EXIT].chosen =
		sites[PROBE_X509_STORE_CTX_GET_ERROR_EXIT].found;
}

int probes_resolve(const struct libraries *libraries, struct probe_site sites[PROBE_COUNT],
		   struct failure *why)
{
	const struct probe *missing = NULL;

	for (int i = 0; i < PROBE_COUNT; i++)
		sites[i] = (struct probe_site){.probe = &probes[i],
					       .when = probes[i].when,
					       .symbol = probes[i].symbol,
					       .program = probes[i].program};
	for (int kind = 0; kind < LIBRARY_KINDS; kind++) {
		const struct library *library = &libraries->list[libraries->index[kind]];
		int err = find_functions(libraries, kind, sites);

		if (err)
			return failure_set(why, EXIT_TARGET,
					   "cannot read the symbols of %s: %s; "
					   "look whether the file is damaged",
					   library->shown_path, strerror(-err));
	}
	for (int i = 0; i < PROBE_COUNT; i++) {
		struct probe_site *site = &sites[i];

		if (!site->found) {
			if (site->probe->need == PROBE_REQUIRED && !missing)
				missing = site->probe;
			continue;
		}
		read_instructions(site);
		site->chosen = true;
	}
	choose_error_probe(sites);
	choose_verify_probe(sites);
	if (missing)
		return failure_set(why, EXIT_TARGET,
				   "cannot trace OpenSSL in %s: it has no function %s; "
				   "install the debug symbols of that file",
				   sites[missing - probes].library->shown_path, missing->symbol);
	return 0;
}
