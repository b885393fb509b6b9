#!/bin/sh
# layers.sh CC BUILD: link each tier whole, with only the tiers and libraries below it.
# An undefined symbol is a call upwards (or to a library that the tier may not use).
set -eu
cc=$1 b=$2
out=$(mktemp) ; trap 'rm -f "$out" "$out.c"' EXIT
echo 'int main(void){return 0;}' >"$out.c"
san=
case $b in *asan*) san=-fsanitize=address,undefined ;; esac
tier() {
	name=$1; shift
	whole="$b/lib/lib$name.a"
	# shellcheck disable=SC2086
	if ! $cc $san -o "$out" "$out.c" -Wl,--whole-archive "$whole" -Wl,--no-whole-archive "$@"; then
		echo "layers: $name uses something that stands above it (the undefined names are above)" >&2
		exit 1
	fi
	echo "layers: $name stands on: $(echo "${*:-libc}" | sed "s|$b/lib/lib\([a-z]*\).a|\1|g")"
}
L=$b/lib
SSL="-lcrypto -lssl -ljansson"
EV="-levent_core -levent_extra -levent_openssl"
tier ground
tier data "$L/libground.a" $SSL
tier io "$L/libdata.a" "$L/libground.a" $EV -lcurl $SSL
tier job "$L/libdata.a" "$L/libground.a" $SSL
tier sandbox
tier image "$L/libground.a" -larchive -ljansson -lcrypto
tier coordinator "$L/libjob.a" "$L/libio.a" "$L/libdata.a" "$L/libground.a" $EV -lcurl -lsqlite3 $SSL
tier worker "$L/libjob.a" "$L/libio.a" "$L/libdata.a" "$L/libground.a" $EV -lcurl -lminiupnpc -lnatpmp $SSL
tier jobs "$L/libjob.a" "$L/libio.a" "$L/libdata.a" "$L/libground.a" $EV -lcurl -larchive $SSL
# Includes name the room; a program's folder never includes another program's.
bad=$(grep -nE '#include "(worker|jobs/(cmd|main))' coordinator/*.[ch] ; grep -nE '#include "(coordinator|jobs/(cmd|main))' worker/*.[ch]; \
	grep -nE '#include "(coordinator|worker|sandbox)/' common/*.[ch] ; grep -nE '#include "(coordinator|worker)/' jobs/*.[ch]; \
	grep -nE '#include "(common|coordinator|worker|jobs|image)/' sandbox/*.[ch]; \
	grep -nE '#include "image/' common/*.[ch] coordinator/*.[ch] worker/*.[ch] jobs/*.[ch]; \
	grep -nE '#include "(coordinator|worker|jobs|sandbox)/' image/*.[ch]; \
	grep -lE '#include <archive' $(ls common/*.[ch] coordinator/*.[ch] worker/*.[ch] jobs/*.[ch] sandbox/*.[ch] image/*.[ch] | grep -vE '^(image/tarball|jobs/oci_write).c$')) || true
[ -z "$bad" ] || { echo "layers: an include looks up or sideways:"; echo "$bad"; exit 1; } >&2
echo "layers: every include looks down"
