#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# usage: fuzz.sh BUILD_DIR SECONDS
#
# Runs every BUILD_DIR/fuzz_* for SECONDS, two at a time, each with its dictionary and a copy of its
# corpus (so that the repository's stays small). What crashes one stays in .output/fuzz/artifacts.
# The last line is "N passed, N failed"; exit 1 when one failed or there was none.
set -u

if [ $# -ne 2 ] || ! [[ $2 =~ ^[0-9]+$ ]] || [ "$2" -eq 0 ]; then
	echo "usage: $0 BUILD_DIR SECONDS" >&2
	exit 2
fi
if ! cd "$(dirname "$0")/.." || ! build=$(realpath -e "$1"); then
	exit 2
fi
seconds=$2
artifacts=$PWD/.output/fuzz/artifacts
parallel=2

scratch=$(mktemp -d) || exit 2
cleanup() {
	local pids
	pids=$(jobs -p)
	[ -n "$pids" ] && kill $pids 2>/dev/null
	wait
	rm -rf "$scratch"
}
trap cleanup EXIT
trap 'exit 130' INT TERM
mkdir -p "$artifacts" || exit 2

# One fuzzer; its verdict goes to $scratch/NAME.verdict.
run() {
	local binary=$1 name corpus log options verdict=ok executions
	name=$(basename "$binary")
	corpus=$scratch/$name.corpus
	log=$scratch/$name.log
	options=(-max_total_time="$seconds" -rss_limit_mb=2048 -timeout=10 -print_final_stats=1
		"-artifact_prefix=$artifacts/$name-")
	mkdir "$corpus"
	if [ -d "tests/fuzz/corpus/$name" ]; then
		cp -r "tests/fuzz/corpus/$name/." "$corpus"
	fi
	if [ -f "tests/fuzz/dict/$name.dict" ]; then
		options+=("-dict=tests/fuzz/dict/$name.dict")
	fi
	# exec, so that the job's id is the fuzzer's and a stopped run leaves none behind.
	(exec "$binary" "${options[@]}" "$corpus" >"$log" 2>&1) &
	local pid=$!
	trap 'kill "$pid" 2>/dev/null; wait "$pid"; exit 130' TERM
	wait "$pid" || verdict=FAILED
	executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
	printf '%-28s %12s executions  %s\n' "$name" "${executions:-0}" "$verdict"
	if [ $verdict = FAILED ]; then
		cp "$log" "$artifacts/$name.log"
		tail -n 30 "$log" >&2
		echo "$name: see $artifacts" >&2
	fi
	echo $verdict >"$scratch/$name.verdict"
}

for binary in "$build"/fuzz_*; do
	if ! [ -f "$binary" ] || ! [ -x "$binary" ]; then
		continue
	fi
	while [ "$(jobs -rp | wc -l)" -ge $parallel ]; do
		wait -n
	done
	run "$binary" &
done
wait

passed=$(cat "$scratch"/*.verdict 2>/dev/null | grep -c '^ok$')
failed=$(cat "$scratch"/*.verdict 2>/dev/null | grep -c '^FAILED$')
[ "$passed" -gt 0 ] || [ "$failed" -gt 0 ] || echo "no fuzzer in $build" >&2
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
