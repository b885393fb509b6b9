#!/bin/sh
# deps.sh PACKAGE...: print, then install with apt-get, the packages that are not there yet.
set -eu
if ! command -v apt-get >/dev/null 2>&1; then
	echo "deps: there is no apt-get here; install what corresponds to these Debian packages:"
	printf '  %s\n' "$@"
	exit 0
fi
missing=
for p in "$@"; do
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || missing="$missing $p"
done
[ -n "$missing" ] || exit 0
echo "deps: installing$missing"
root=
if [ "$(id -u)" != 0 ]; then
	command -v sudo >/dev/null 2>&1 || {
		echo "deps: not root and no sudo; run as root: apt-get install$missing" >&2
		exit 1
	}
	root=sudo
fi
$root apt-get update -qq
# shellcheck disable=SC2086
$root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing
