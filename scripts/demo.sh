#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# A private nginx on loopback, good peers and a dozen that fail, and tlswhy showing them live.
# About 15 seconds; nothing is left afterwards.
set -eu

cd "$(dirname "$0")/.."
if [ "$(id -u)" -ne 0 ]; then
	echo "demo: tracing needs root: this user is not; run as root: make demo" >&2
	exit 5
fi
if [ ! -x ./tlswhy ]; then
	echo "demo: ./tlswhy is missing: it is not built yet; run: make" >&2
	exit 1
fi
exec /usr/bin/python3 -B tests/live/lab/demo.py
