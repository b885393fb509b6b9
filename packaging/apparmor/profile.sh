#!/bin/sh
# profile.sh install|remove BINDIR: the AppArmor profile of talkoot-sandbox, with the path it will have.
#
# With DESTDIR (a package is being made) the file is only put in place. Without, it is put where the
# parser knows abi 4.0 (an older one would fail at every boot over it), and loaded when we are root and
# the kernel runs AppArmor; else the one command that loads it is printed.
set -eu
here=$(dirname "$0")
what=$1 bindir=$2
file=/etc/apparmor.d/talkoot-sandbox
dest=${DESTDIR:-}

put() {
	# AppArmor sees the path behind symbolic links
	[ -n "$dest" ] || bindir=$(cd "$bindir" && pwd -P)
	install -d "$dest/etc/apparmor.d"
	sed "s|@BINDIR@|$bindir|" "$here/talkoot-sandbox" >"$dest$file"
	chmod 0644 "$dest$file"
}

# Whether AppArmor runs here and we may tell it something.
may_load() {
	[ -z "$dest" ] && [ "$(id -u)" = 0 ] && command -v apparmor_parser >/dev/null 2>&1 &&
		[ "$(cat /sys/module/apparmor/parameters/enabled 2>/dev/null)" = Y ]
}

load() {
	if may_load && apparmor_parser -r "$file"; then
		echo "apparmor: $file is loaded"
	else
		echo "apparmor: to load the profile: sudo apparmor_parser -r $file"
	fi
}

case $what in
install)
	if [ -z "$dest" ] && [ ! -e /etc/apparmor.d/abi/4.0 ]; then
		echo "apparmor: no profile is needed here (there is no AppArmor 4 or newer)"
	else
		put
		[ -n "$dest" ] || load
	fi
	;;
remove)
	if [ -e "$dest$file" ] && may_load; then
		apparmor_parser -R "$file" || true
	fi
	rm -f "$dest$file"
	;;
*)
	echo "usage: $0 install|remove BINDIR" >&2
	exit 2
	;;
esac
