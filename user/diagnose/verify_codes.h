/* SPDX-License-Identifier: BSD-2-Clause */
/* X509_V_* codes: name, text, and the cause each stands for where it was a verdict. */
#ifndef TLSWHY_DIAGNOSE_VERIFY_CODES_H
#define TLSWHY_DIAGNOSE_VERIFY_CODES_H

#include "diagnose/causes.h"

struct verify_code {
	int code;
	const char *name; /* "X509_V_ERR_CERT_HAS_EXPIRED" */
	const char *text;
	enum cause_number client_cause, upstream_cause; /* CAUSE_NONE: not decided by the code */
};

/* NULL: no OpenSSL from 1.1.1 to 3.6 has it. Numbering is that of 3.x: 1.1.1 uses 24 and 76 to 79
 * for other things. */
const struct verify_code *verify_code_find(int code);

#endif
