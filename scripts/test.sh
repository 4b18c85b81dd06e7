#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# Runs Criterion test binaries one after the other and adds up what they say.
#
#   scripts/test.sh BINARY…
#
# A binary that crashes, runs into TEST_TIMEOUT (seconds, 1200) or runs no test counts as failed. A
# skipped test is neither passed nor failed, except under CI=true, where it is failed. What each
# printed stays in .output/test-logs/. The last line is `N passed, N failed`.
set -u

cd "$(dirname "$0")/.." || exit 1
logs=.output/test-logs
timeout=${TEST_TIMEOUT:-1200}
mkdir -p "$logs"

passed=0
failed=0
skipped=0

# The number behind a word of Criterion's last line:
# [====] Synthesis: Tested: 5 | Passing: 4 | Failing: 1 | Crashing: 0
count() {
	sed -n "s/.*Synthesis: .*$1: \([0-9]*\).*/\1/p" "$2" | tail -n 1
}

for binary; do
	log=$logs/$(echo "${binary#.output/}" | tr / -).log
	options=--verbose
	case $binary in
	# Real nginx, real clocks: one at a time.
	*/live/*) options="--verbose --jobs 1" ;;
	esac
	echo "== $binary"
	# shellcheck disable=SC2086 # words
	timeout --kill-after=30 "$timeout" "$binary" $options >"$log" 2>&1
	status=$?
	# A pipe into tee would lose the status.
	grep -v '^\[RUN \]' "$log" || true

	good=$(count Passing "$log")
	# Failing contains Crashing.
	bad=$(count Failing "$log")
	skip=$(grep -c '^\[SKIP\]' "$log")
	if [ -z "$good" ]; then
		good=0
		bad=1
		if [ "$status" -eq 124 ] || [ "$status" -eq 137 ]; then
			echo "$binary: did not end within $timeout s"
		else
			echo "$binary: ended with $status and without a result"
		fi
	elif [ $((good + bad + skip)) -eq 0 ]; then
		bad=1
		echo "$binary: has no test"
	elif [ "$status" -ne 0 ] && [ "$bad" -eq 0 ]; then
		bad=1
		echo "$binary: every test passed, and yet it ended with $status"
	fi
	if [ "$skip" -gt 0 ] && [ "${CI:-}" = true ]; then
		echo "$binary: $skip skipped, which CI=true forbids"
		bad=$((bad + skip))
		skip=0
	fi
	passed=$((passed + good))
	failed=$((failed + bad))
	skipped=$((skipped + skip))
done

if [ "$skipped" -gt 0 ]; then
	echo "$skipped skipped: see SKIP above"
fi
if [ $((passed + failed + skipped)) -eq 0 ]; then
	echo "no test was run"
	failed=1
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
