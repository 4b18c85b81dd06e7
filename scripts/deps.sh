#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# Installs the Debian packages that the build, the tests, the demo and the benchmark need, and only
# those that are missing. Silent when none is.
set -eu

build="gcc libc6-dev make pkg-config clang llvm bpftool libbpf-dev libelf-dev libdw-dev zlib1g-dev
	libyajl-dev uthash-dev libssl-dev libseccomp-dev libcap-ng-dev"
check="libcriterion-dev libclang-rt-dev cppcheck"
live="nginx libnginx-mod-stream libnginx-mod-mail openssl curl gnutls-bin python3 bpftrace iproute2
	procps jq"

installed() {
	[ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

missing=
for package in $build $check $live; do
	installed "$package" || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" -ne 0 ]; then
	echo "deps: missing:$missing: not root; run as root: apt-get install$missing" >&2
	exit 1
fi

# Debian starts a service when it installs it. invoke-rc.d asks this program first, and 101 is no.
policy=/usr/sbin/policy-rc.d
saved=
wrote=
restore() {
	if [ -n "$wrote" ]; then
		rm -f "$policy"
		if [ -n "$saved" ]; then
			mv "$saved" "$policy"
		fi
	fi
	wrote=
}
trap restore EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

refuses() {
	[ -x "$policy" ] || return 1
	status=0
	"$policy" nginx start >/dev/null 2>&1 || status=$?
	[ "$status" -eq 101 ]
}
if ! refuses; then
	if [ -e "$policy" ]; then
		saved=$policy.before-tlswhy
		mv "$policy" "$saved"
	fi
	wrote=yes
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod 755 "$policy"
fi

nginx_is_new=
installed nginx || nginx_is_new=yes

echo "deps: installing$missing"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
quietly() {
	if ! "$@" >"$log" 2>&1; then
		cat "$log" >&2
		rm -f "$log"
		echo "deps: $* failed: see above; repair apt or install by hand:$missing" >&2
		exit 1
	fi
}
quietly apt-get update
# shellcheck disable=SC2086 # a list of words
quietly apt-get install -y --no-install-recommends $missing
rm -f "$log"

# Nor may an nginx that came for the tests take port 80 at the next boot.
if [ -n "$nginx_is_new" ] && [ -d /run/systemd/system ]; then
	systemctl disable --quiet --now nginx 2>/dev/null || true
elif [ -n "$nginx_is_new" ] && command -v deb-systemd-helper >/dev/null; then
	deb-systemd-helper disable nginx.service >/dev/null 2>&1 || true
fi
