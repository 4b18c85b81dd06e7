#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# What tracing costs. Every condition has its own nginx with its own copies of libssl and libcrypto
# (a uprobe is felt by every process that maps the inode); all run at once, and slices of load on
# one after the other, in a new random order each round, make pairs: same host, same second.
# Prints Markdown, then each promise with ok or FAIL; exit 1 if one failed.
set -u -o pipefail
export LC_ALL=C

usage()
{
	cat <<-END
	usage: scripts/bench.sh [--rounds N] [--count N] [--in-flight N] [--quick]
	                        [--histogram] [--cgroups] [--only KIND]... [--without CONDITION]...

	  --rounds N    interleaved rounds (45)
	  --count N     full handshakes in a slice; cheaper kinds make more in the same time (100)
	  --in-flight N connections at a time (1: each finds the caches cold, which is dearest for
	                a tracer); the flood always has 8
	  --quick       a tenth of everything: shows that it works, proves no number
	  --histogram   the bpftrace script keeps its histogram alone and prints no line per handshake:
	                a cheaper script, so a harder promise
	  --cgroups     each nginx in a cgroup of its own, as under a service manager: tlswhy then attaches
	                its packets' programs there alone, and the untraced ones do not feel them
	  --only KIND   full13 full12 resumed13 resumed12 refused flood up13 up12 keepalive; then
	                nothing but the rounds is run
	  --without CONDITION   floor, bpftrace or tlswhy: its promises are then skipped
	END
}

ROUNDS=45 COUNT=100 IN_FLIGHT=1 MANY=20000 SWITCHES=10 QUICK='' ONLY='' WITHOUT=' ' HISTOGRAM='' CGROUPS=''
KINDS='full13 full12 resumed13 resumed12 refused flood up13 up12 keepalive'
CONDITIONS='none again floor bpftrace tlswhy'
while [ $# -gt 0 ]; do
	case $1 in
	--rounds) ROUNDS=${2:?}; shift ;;
	--count) COUNT=${2:?}; shift ;;
	--in-flight) IN_FLIGHT=${2:?}; shift ;;
	--quick) ROUNDS=5 COUNT=40 MANY=2000 SWITCHES=3 QUICK=yes ;;
	--histogram) HISTOGRAM=yes ;;
	--cgroups) CGROUPS=yes ;;
	--only) ONLY+=" ${2:?}"; shift ;;
	--without) WITHOUT+="${2:?} "; shift ;;
	--help) usage; exit 0 ;;
	*) usage >&2; exit 2 ;;
	esac
	shift
done
for kind in $ONLY; do
	[[ " $KINDS " == *" $kind "* ]] || { usage >&2; exit 2; }
done

ROOT=$(cd "$(dirname "$0")/.." && pwd)
TLSLOAD=$ROOT/.output/tests/bench/tlsload
FLOOR=$ROOT/.output/tests/bench/floor
TLSWHY=$ROOT/tlswhy
WORKER_CPU=0 LOAD_CPU=1 # the tracers run beside the load: what they use is measured apart
WORK='' PIDS=()
declare -A MASTER WORKER PORT TRACER TRAPS_OF

say() { printf '%s\n' "bench: $*" >&2; }
die() { say "$*"; exit 1; }
has() { [[ " $CONDITIONS " == *" $1 "* ]]; }

# ---- what is started is ended ------------------------------------------------------------------

# True when `command…` holds within the seconds given.
within()
{
	local deadline=$((SECONDS + $1)); shift
	until "$@"; do
		[ $SECONDS -lt $deadline ] || return 1
		sleep 0.05
	done
}

is_over() { ! kill -0 "$1" 2>/dev/null; }

# Ends a child of this script and returns its exit status.
stop()
{
	local pid=$1 signal=$2
	kill -"$signal" "$pid" 2>/dev/null
	within 20 is_over "$pid" || kill -KILL "$pid" 2>/dev/null
	wait "$pid" 2>/dev/null
}

cleanup()
{
	trap '' INT TERM
	trap - EXIT
	local i
	for ((i = ${#PIDS[@]} - 1; i >= 0; i--)); do
		is_over "${PIDS[i]}" || stop "${PIDS[i]}" TERM
	done
	[ -z "$WORK" ] || rm -rf "$WORK"
	rmdir "${CGROUP_ROOT:-/nonexistent}"/tlswhy-bench-$$-* 2>/dev/null
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# ---- nginx -------------------------------------------------------------------------------------

# A cgroup of its own, as a service manager gives each nginx: the peers are not in it, and a tracer's
# programs for packets are felt by their own nginx alone.
CGROUP_ROOT=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
enter_cgroup()
{
	local cgroup=$CGROUP_ROOT/tlswhy-bench-$$-$1
	[ -n "$CGROUPS" ] || return
	[ -n "$CGROUP_ROOT" ] && mkdir -p "$cgroup" 2>/dev/null &&
		echo "$BASHPID" 2>/dev/null >"$cgroup/cgroup.procs" && return
	say "no cgroup for $1: it shares its peers'"
}

library_path() { ldd "$NGINX" | awk -v name="$1" 'index($1, name) == 1 { print $3 }'; }

make_certificate()
{
	openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=bench.test \
		-addext subjectAltName=DNS:bench.test -keyout "$WORK/key.pem" \
		-out "$WORK/certificate.pem" 2>/dev/null || die "openssl cannot make a certificate"
	cat "$WORK/certificate.pem" "$WORK/key.pem" >"$WORK/client.pem"
}

# Ports of a condition, from its first: TLS, TLS with client certificates, then plain HTTP that
# nginx passes on over TLS 1.3, over TLS 1.2, and over verified connections that are kept alive.
write_config()
{
	local directory=$1 port=$2 backend=$3
	cat >"$directory/nginx.conf" <<-END
	worker_processes 1;
	pid $directory/nginx.pid;
	error_log $directory/error.log error;
	events { worker_connections 1024; }
	http {
		access_log off;
		keepalive_timeout 300s;
		keepalive_requests 100000000;
		client_body_temp_path $directory/temp;
		proxy_temp_path $directory/temp;
		fastcgi_temp_path $directory/temp;
		uwsgi_temp_path $directory/temp;
		scgi_temp_path $directory/temp;
		ssl_certificate $WORK/certificate.pem;
		ssl_certificate_key $WORK/key.pem;
		ssl_protocols TLSv1.2 TLSv1.3;
		ssl_session_tickets on;
		upstream kept {
			server $ADDRESS:$backend;
			keepalive 4;
			keepalive_requests 100000000;
		}
		server { listen $ADDRESS:$port ssl; return 200 "ok\n"; }
		server {
			listen $ADDRESS:$((port + 1)) ssl;
			ssl_verify_client on;
			ssl_client_certificate $WORK/certificate.pem;
			return 200 "ok\n";
		}
		proxy_ssl_session_reuse off;
		server {
			listen $ADDRESS:$((port + 2));
			location / { proxy_ssl_protocols TLSv1.3; proxy_pass https://$ADDRESS:$backend; }
		}
		server {
			listen $ADDRESS:$((port + 3));
			location / { proxy_ssl_protocols TLSv1.2; proxy_pass https://$ADDRESS:$backend; }
		}
		server {
			listen $ADDRESS:$((port + 4));
			location / {
				proxy_http_version 1.1;
				proxy_set_header Connection "";
				proxy_ssl_verify on;
				proxy_ssl_name bench.test;
				proxy_ssl_trusted_certificate $WORK/certificate.pem;
				proxy_pass https://kept;
			}
		}
	}
	END
}

only_child()
{
	local children
	read -r children <"/proc/$1/task/$1/children" 2>/dev/null
	[[ ${children% } =~ ^[0-9]+$ ]] && ONLY_CHILD=${children% }
}

maps_copies()
{
	local name
	for name in "${NGINX##*/}" libssl libcrypto; do
		awk -v prefix="$2/$name" 'index($6, prefix) == 1 { found = 1 } END { exit !found }' \
			"/proc/$1/maps" || return 1
	done
	# … and none but the copies.
	! awk '{ print $6 }' "/proc/$1/maps" | grep -E '/lib(ssl|crypto)\.' | grep -qvF "$2/"
}

start_nginx()
{
	local name=$1 cpu=$2 port=$3 directory=$WORK/$1
	mkdir "$directory" || die "cannot make $directory"
	if ! cp -L "$NGINX" "$LIBSSL" "$LIBCRYPTO" "$directory/"; then
		die "cannot copy nginx and its libraries"
	fi
	write_config "$directory" "$port" "$BACKEND_PORT"
	(
		enter_cgroup "$name"
		LD_LIBRARY_PATH=$directory exec taskset -c "$cpu" "$directory/${NGINX##*/}" \
			-p "$directory/" -c "$directory/nginx.conf" -g 'daemon off;' \
			2>"$directory/start.log"
	) &
	MASTER[$name]=$! PORT[$name]=$port
	PIDS+=($!)
	within 10 only_child "${MASTER[$name]}" ||
		die "nginx did not start: $(tail -n 1 "$directory/start.log")"
	WORKER[$name]=$ONLY_CHILD
	within 5 maps_copies "${WORKER[$name]}" "$directory" ||
		die "nginx of condition $name does not run from its private copies"
}

# ---- tracers -----------------------------------------------------------------------------------

own_libssl() { printf '%s' "$WORK/$1/${LIBSSL##*/}"; }
is_armed() { "$FLOOR" --armed "${WORKER[$1]}" "$(own_libssl "$1")"; }
said() { grep -q "$1" "$2" 2>/dev/null; }

start_floor()
{
	"$FLOOR" "$(own_libssl floor)" >"$WORK/floor.out" 2>"$WORK/floor.err" &
	TRACER[floor]=$!
	PIDS+=($!)
	within 10 said '^ready' "$WORK/floor.out" ||
		die "the floor's probes cannot be attached: $(cat "$WORK/floor.err")"
}

# The script that one writes in a minute: when, which file descriptor, how long.
start_bpftrace()
{
	local library line='printf("%d fd %d %d us\n", pid, @fd[tid], (nsecs - @start[tid]) / 1000);'
	library=$(own_libssl bpftrace)
	[ -z "$HISTOGRAM" ] || line=''
	cat >"$WORK/latency.bt" <<-END
	uprobe:$library:SSL_set_fd { @fd[tid] = arg1; }
	uprobe:$library:SSL_do_handshake /@start[tid] == 0/ { @start[tid] = nsecs; }
	uretprobe:$library:SSL_do_handshake /@start[tid] && (int32)retval == 1/ {
		$line
		@us = hist((nsecs - @start[tid]) / 1000); delete(@start[tid]);
	}
	END
	taskset -c $LOAD_CPU bpftrace "$WORK/latency.bt" >"$WORK/latency.out" 2>&1 &
	TRACER[bpftrace]=$!
	PIDS+=($!)
}

# start_tlswhy OUTPUT [option…]
start_tlswhy()
{
	local output=$1; shift
	: >"$WORK/tlswhy.err"
	taskset -c $LOAD_CPU "$TLSWHY" trace -p "${MASTER[tlswhy]}" -o json "$@" \
		>"$output" 2>"$WORK/tlswhy.err" &
	TRACER[tlswhy]=$!
	PIDS+=($!)
	within 30 said '^tlswhy: tracing nginx' "$WORK/tlswhy.err" ||
		die "tlswhy did not start: $(tail -n 1 "$WORK/tlswhy.err")"
}

stop_tlswhy()
{
	stop "${TRACER[tlswhy]}" TERM || die "tlswhy failed: $(tail -n 1 "$WORK/tlswhy.err")"
}

start_tracers()
{
	local name
	for name in floor bpftrace; do
		has $name && start_$name
	done
	has tlswhy && start_tlswhy /dev/null
	for name in $CONDITIONS; do
		case $name in
		none | again) is_armed "$name" && die "condition $name is being traced by somebody" ;;
		*) within 30 is_armed "$name" || die "$name has no breakpoint in its nginx" ;;
		esac
	done
}

# ---- load --------------------------------------------------------------------------------------

# What one slice is: tlsload's kind, the port's place, how many take the time of one full
# handshake, and how many at a time ("-": as the options say).
declare -A LOAD_OF=(
	[full13]='full13 0 1 -' [full12]='full12 0 1 -' [resumed13]='resumed13 0 2 -'
	[resumed12]='resumed12 0 4 -' [refused]='refused 0 8 -' [flood]='refused 0 16 8'
	[up13]='proxied 2 1 -' [up12]='proxied 3 1 -' [keepalive]='keepalive 0 10 -'
	[verified-client]='keepalive 1 10 -' [verified-upstream]='proxied 4 10 -'
)

# load CONDITION KIND COUNT [option…]: tlsload's line in $LOADED
load()
{
	local name=$1 kind=$2 count=$3 program place in_flight
	shift 3
	read -r program place _ in_flight <<<"${LOAD_OF[$kind]}"
	LOADED=$("$TLSLOAD" "$program" --to "$ADDRESS:$((PORT[$name] + place))" --count "$count" \
		--in-flight "${in_flight/-/$IN_FLIGHT}" --worker "${WORKER[$name]}" --cpu $LOAD_CPU \
		--certificate "$WORK/client.pem" "$@") || die "$kind on condition $name failed"
}

# slice ROUND CONDITION KIND [LABEL]: appends "ROUND KIND LABEL µs" to the samples
slice()
{
	local weight count
	read -r _ _ weight _ <<<"${LOAD_OF[$3]}"
	count=$((COUNT * weight))
	load "$2" "$3" $count
	awk -v count=$count -v head="$1 $3 ${4:-$2}" '{ print head, $1 / 1000 / count }' \
		<<<"$LOADED" >>"$WORK/samples"
}

# rounds N KIND…
rounds()
{
	local rounds=$1 round kind name; shift
	for ((round = 0; round <= rounds; round++)); do
		[ -t 2 ] && printf '\rbench: round %d of %d ' "$round" "$rounds" >&2
		for kind in $(shuf -e "$@"); do
			for name in $(shuf -e $CONDITIONS); do
				slice $round "$name" "$kind"
			done
		done
		# Round 0 warms caches and allocators up.
		[ $round -gt 0 ] || sed -i '/^0 /d' "$WORK/samples"
	done
	[ -t 2 ] && printf '\n' >&2
	return 0
}

# Median and quartiles of what each condition has more than `none` of the same round, and of
# `none` itself: "KIND CONDITION MEDIAN Q1 Q3".
summarize()
{
	awk '
	function quantile(n, q,    at, low) {
		at = 1 + (n - 1) * q; low = int(at)
		return low < n ? v[low] + (at - low) * (v[low + 1] - v[low]) : v[n]
	}
	function sort(n,    i, j, x) {
		for (i = 2; i <= n; i++) {
			x = v[i]
			for (j = i - 1; j > 0 && v[j] > x; j--) v[j + 1] = v[j]
			v[j + 1] = x
		}
	}
	{ sample[$2, $3, $1] = $4; kinds[$2]; names[$3]; rounds[$1] }
	END {
		for (kind in kinds) for (name in names) {
			n = 0
			for (r in rounds) {
				if (!((kind, name, r) in sample) || !((kind, "none", r) in sample)) continue
				v[++n] = sample[kind, name, r] - (name == "none" ? 0 : sample[kind, "none", r])
			}
			if (n == 0) continue
			sort(n)
			printf "%s %s %.2f %.2f %.2f\n", kind, name, quantile(n, .5), quantile(n, .25), quantile(n, .75)
		}
	}' "$1"
}

fact() { awk -v kind="$1" -v name="$2" '$1 == kind && $2 == name { print $3 }' "$WORK/facts"; }

# ---- what else the tracer costs ----------------------------------------------------------------

# A fifth of each kind, so that no kind flatters: full and resumed, TLS 1.3 and 1.2, and refused.
MIX='full13 full12 resumed13 resumed12 refused'
mix()
{
	local kind
	for kind in $MIX; do
		load tlswhy "$kind" $(($1 / 5)) --warm-up 0
	done
}
MIX_MORE=2 # connections beside the counted: the resumed kinds get their sessions first

tracer_cpu_ns() { cat /proc/"${TRACER[tlswhy]}"/task/*/schedstat | awk '{ sum += $1 } END { printf "%.0f", sum }'; }
tracer_rss_kib() { awk '/^VmRSS:/ { print $2 }' "/proc/${TRACER[tlswhy]}/status"; }
# What `bpftool map show` calls memlock, for the maps that the tracer holds.
tracer_maps_kib()
{
	awk 'function take() { if (id) size[id] = bytes; id = bytes = 0 }
	FNR == 1 { take() }
	/^map_id:/ { id = $2 }
	/^memlock:/ { bytes = $2 }
	END { take(); for (id in size) sum += size[id]; printf "%.0f", sum / 1024 }' \
		/proc/"${TRACER[tlswhy]}"/fdinfo/* 2>/dev/null
}

measure_tracer()
{
	local before
	say "the tracer's own CPU and memory, over twice $MANY connections"
	before=$(tracer_cpu_ns)
	mix $MANY
	sleep 1 # the ring's timer and the last holds run out
	OWN_CPU_US=$(awk -v ns=$(($(tracer_cpu_ns) - before)) -v n=$((MANY + MIX_MORE)) \
		'BEGIN { printf "%.2f", ns / 1000 / n }')
	RSS_KIB=$(tracer_rss_kib)
	mix $MANY
	sleep 1
	RSS_LATER_KIB=$(tracer_rss_kib) MAPS_KIB=$(tracer_maps_kib)
}

# Counted by the kernel, so exact.
measure_traps()
{
	local kind count=$((COUNT * 2))
	say "uprobe hits"
	for kind in $MIX up13 up12 keepalive verified-client verified-upstream; do
		load tlswhy "$kind" $count --tracer "${TRACER[tlswhy]}"
		TRAPS_OF[$kind]=$(awk -v n=$count '{ printf "%.4g", $2 / n }' <<<"$LOADED")
	done
}

# The other conditions feel tlswhy too: its cgroup programs and TCP tracepoints see every socket
# of the host. Pairs of tlswhy running and not running show that, and the whole.
measure_switched()
{
	local turn who
	say "tlswhy on and off, $SWITCHES times"
	for ((turn = 1; turn <= SWITCHES; turn++)); do
		slice $turn none resumed12 none-on
		slice $turn tlswhy resumed12 tlswhy-on
		stop_tlswhy
		slice $turn none resumed12 none-off
		slice $turn tlswhy resumed12 tlswhy-off
		start_tlswhy /dev/null
	done
	for who in none tlswhy; do
		awk -v who=$who '$3 == who "-off" { print $1, "switched-" who, "none", $4 }
			$3 == who "-on" { print $1, "switched-" who, "on", $4 }' "$WORK/samples"
	done >"$WORK/switched"
	sed -i '/-o[nf]f* /d' "$WORK/samples"
	summarize "$WORK/switched" >>"$WORK/facts"
}

measure_replay()
{
	local i cpu best
	say "a recording of $MANY connections, and its replay"
	stop_tlswhy
	start_tlswhy "$WORK/records.json" --save "$WORK/recording"
	mix $MANY
	stop_tlswhy
	RECORDED=$(grep -c '"type":"connection"' "$WORK/records.json")
	REPLAYED=$("$TLSWHY" replay "$WORK/recording" -o json 2>/dev/null | grep -c '"type":"connection"')
	RECORDING_KIB=$(($(stat -c %s "$WORK/recording") / 1024))
	local TIMEFORMAT='%3U %3S'
	for i in 1 2 3 4 5; do
		{ time "$TLSWHY" replay "$WORK/recording" -o json >/dev/null 2>&1; } 2>&1
	done >"$WORK/replays"
	best=$(awk '{ print $1 + $2 }' "$WORK/replays" | sort -n | sed -n 3p)
	REPLAY_RATE=$(awk -v n="$REPLAYED" -v s="$best" 'BEGIN { printf "%.0f", (s > 0 ? n / s : 0) }')
}

# ---- the report --------------------------------------------------------------------------------

declare -A TITLE=(
	[full13]='TLS 1.3, full' [full12]='TLS 1.2, full' [resumed13]='TLS 1.3, resumed'
	[resumed12]='TLS 1.2, resumed' [refused]='refused hello' [flood]='refused hello in a flood' [up13]='upstream TLS 1.3, full'
	[up12]='upstream TLS 1.2, full' [keepalive]='keep-alive request'
	[verified-client]='keep-alive request, client verified'
	[verified-upstream]='keep-alive request, upstream verified and kept alive'
	[none]='nginx alone' [again]='no tracer again' [floor]='the floor' [bpftrace]='bpftrace'
	[tlswhy]='tlswhy'
)

print_host()
{
	local model
	model=$(awk -F ': ' '/^model name/ { print $2; exit }' /proc/cpuinfo)
	printf '%s, %s CPUs, Linux %s, %s, %s' "${model:-$(uname -m)}" "$(nproc)" "$(uname -r)" \
		"$("$NGINX" -v 2>&1 | sed 's/.*: //')" "$(openssl version | cut -d ' ' -f 1,2)"
	has bpftrace && printf ', %s' "$(bpftrace --version)"
	printf '.\n'
}

print_table()
{
	local kind name sign
	printf '| µs of nginx CPU each |'
	for name in $CONDITIONS; do printf ' %s |' "${TITLE[$name]}"; done
	printf '\n| --- |'
	for name in $CONDITIONS; do printf ' --- |'; done
	printf '\n'
	for kind in "$@"; do
		printf '| %s |' "${TITLE[$kind]}"
		for name in $CONDITIONS; do
			sign='+'
			[ "$name" = none ] && sign=''
			awk -v kind="$kind" -v name="$name" -v sign=$sign '$1 == kind && $2 == name {
				printf " %" sign ".1f (%" sign ".1f … %" sign ".1f) |", $3, $4, $5 }' "$WORK/facts"
		done
		printf '\n'
	done
}

FAILED=0
# promise TEXT VALUE RELATION LIMIT; an empty value means that it was not measured.
promise()
{
	local verdict
	if [ -z "$2" ] || [ -z "$4" ]; then
		verdict=skipped
	elif awk -v value="$2" -v relation="$3" -v limit="$4" 'BEGIN {
		less = value < limit; same = value == limit
		if (relation == "<") exit !less
		if (relation == "<=") exit !(less || same)
		if (relation == ">=") exit less
		exit !same }'; then
		verdict=ok
	else
		verdict=FAIL FAILED=1
	fi
	printf '%-8s %s: %s (%s %s)\n' "$verdict" "$1" "${2:-—}" "$3" "${4:-—}"
}

scaled() { [ -z "$1" ] || awk -v x="$1" -v a="$2" -v b="$3" 'BEGIN { printf "%.1f", x * a + b }'; }

print_promises()
{
	local kind
	printf '\n```\n'
	for kind in resumed12 full13; do
		[[ " $MEASURED " == *" $kind "* ]] || continue
		promise "added µs, ${TITLE[$kind]}, against 1.4 × the floor + 2" "$(fact $kind tlswhy)" \
			'<=' "$(scaled "$(fact $kind floor)" 1.4 2)"
		promise "added µs, ${TITLE[$kind]}, against 0.6 × bpftrace" "$(fact $kind tlswhy)" \
			'<=' "$(scaled "$(fact $kind bpftrace)" 0.6 0)"
	done
	[[ " $MEASURED " != *" flood "* ]] ||
		promise "added µs, ${TITLE[flood]}" "$(fact flood tlswhy)" '<=' 10
	if [ -z "$ONLY" ]; then
		promise 'uprobe hits per keep-alive request' "${TRAPS_OF[keepalive]-}" '=' 0
		promise 'uprobe hits per full TLS 1.3 handshake (the counter counts)' \
			"${TRAPS_OF[full13]-}" '>=' 1
		promise "RSS in MiB after $MANY connections" "$(scaled "${RSS_KIB-}" 0.0009765625 0)" '<' 32
		promise "RSS in MiB, growth over the next $MANY" \
			"$(scaled "${RSS_KIB:+$((RSS_LATER_KIB - RSS_KIB))}" 0.0009765625 0)" '<=' 1
		promise 'own CPU, µs per connection' "${OWN_CPU_US-}" '<=' 5
		promise 'connections recorded' "${RECORDED-}" '=' $((MANY + MIX_MORE))
		promise 'connections replayed' "${REPLAYED-}" '=' $((MANY + MIX_MORE))
		promise 'replay, connections per second of CPU' "${REPLAY_RATE-}" '>=' 200000
	fi
	printf '```\n'
}

print_tracer()
{
	local kind
	printf '\n| tlswhy itself | |\n| --- | --- |\n'
	printf '| own CPU per connection, JSON | %s µs |\n' "$OWN_CPU_US"
	printf '| RSS after %d, after %d connections | %s MiB, %s MiB |\n' "$MANY" $((2 * MANY)) \
		"$(scaled "$RSS_KIB" 0.0009765625 0)" "$(scaled "$RSS_LATER_KIB" 0.0009765625 0)"
	printf '| its BPF maps | %s MiB |\n' "$(scaled "$MAPS_KIB" 0.0009765625 0)"
	printf '| replay per second of CPU | %s connections (%s KiB each) |\n' "$REPLAY_RATE" \
		"$(scaled "$RECORDING_KIB" "$(awk -v n="$MANY" 'BEGIN { print 1 / n }')" 0)"
	for kind in "${!TITLE[@]}"; do
		[ -z "${TRAPS_OF[$kind]-}" ] || printf '| uprobe hits: %s | %s |\n' "${TITLE[$kind]}" "${TRAPS_OF[$kind]}"
	done | sort
	awk -v title="${TITLE[resumed12]}" '$2 == "on" {
		printf "| %s, tlswhy on against off: %s | %+.1f (%+.1f … %+.1f) µs |\n", title,
			$1 == "switched-none" ? "an nginx that is not traced" : "the traced nginx", $3, $4, $5
	}' "$WORK/facts"
}

# ---- main --------------------------------------------------------------------------------------

[ "$(id -u)" = 0 ] || die "needs root, as tracing does"
[ "$(nproc)" -ge 2 ] || die "needs two CPUs: one for nginx, one for the load"
NGINX=$(command -v nginx || echo /usr/sbin/nginx)
[ -x "$NGINX" ] || die "no nginx: apt-get install nginx-light"
LIBSSL=$(library_path libssl.so) LIBCRYPTO=$(library_path libcrypto.so)
[ -n "$LIBSSL" ] || die "this nginx has OpenSSL linked in: no copy of it can be probed alone"
[ -x "$TLSLOAD" ] || die "not built: run make bench"
[[ $WITHOUT == *" tlswhy "* ]] || [ -x "$TLSWHY" ] || die "not built: run make"
if [[ $WITHOUT != *" bpftrace "* ]] && ! command -v bpftrace >/dev/null; then
	say "bpftrace is not installed: without it"
	WITHOUT+='bpftrace '
fi
for condition in floor bpftrace tlswhy; do
	[[ $WITHOUT != *" $condition "* ]] || CONDITIONS=${CONDITIONS/ $condition/}
done
MEASURED=${ONLY:-$KINDS}

WORK=$(mktemp -d) || die "no temporary directory"
chmod 755 "$WORK" # nginx's workers are not root
: >"$WORK/samples"
make_certificate
ADDRESS=127.$((RANDOM % 200 + 20)).$((RANDOM % 250 + 1)).$((RANDOM % 250 + 1))
FIRST_PORT=$((10000 + RANDOM % 20000))
BACKEND_PORT=$((FIRST_PORT + 90))
start_nginx backend $LOAD_CPU $BACKEND_PORT
index=0
for condition in $CONDITIONS; do
	start_nginx "$condition" $WORKER_CPU $((FIRST_PORT + 10 * index++))
done
start_tracers

say "$ROUNDS rounds of$(printf ' %s' $MEASURED)"
rounds "$ROUNDS" $MEASURED
summarize "$WORK/samples" >"$WORK/facts"
if [ -z "$ONLY" ] && has tlswhy; then
	measure_tracer
	measure_switched
	say "keep-alive requests where certificates are verified"
	rounds $((ROUNDS / 3 + 1)) verified-client verified-upstream
	summarize "$WORK/samples" | grep '^verified' >>"$WORK/facts"
	MEASURED+=' verified-client verified-upstream'
	measure_traps
	measure_replay
fi

print_host
[ -z "$HISTOGRAM" ] || printf 'The bpftrace script keeps a histogram and prints nothing.\n'
[ -z "$QUICK" ] || printf 'A quick run: the numbers prove nothing.\n'
printf '%d rounds; median, quartiles in parentheses; from the second column on what is added.\n\n' "$ROUNDS"
print_table $MEASURED
if [ -z "$ONLY" ] && has tlswhy; then
	print_tracer
fi
print_promises
exit $FAILED
