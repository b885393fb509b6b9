#!/usr/bin/env bash
# run.sh UNIT_DIR|- [BIN_DIR]: run every unit test program and every system test, and count.
# A test that ends without its counting line has failed. Ends in "N passed, N failed, N skipped".
set -u
cd "$(dirname "$0")/.."
passed=0 failed=0 skipped=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT

add() { # NAME STATUS PASSED FAILED SKIPPED
	local name=$1 status=$2 p=$3 f=$4 s=$5
	[ "$status" = 0 ] || [ "$f" -gt 0 ] || f=1
	passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
	if [ "$f" -gt 0 ]; then
		echo "FAILED $name (exit $status): $p passed, $f failed, $s skipped"
		sed 's/^/    /' "$log" | tail -n 80
	else
		echo "ok     $name: $p passed$([ "$s" = 0 ] || echo ", $s skipped")"
		grep -i '^SKIP' "$log" | sed 's/^/    /'
	fi
}

count() { sed -n "s/^\[  $1 *\] \([0-9][0-9]*\) .*/\1/p" "$log" | head -1; }

export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1}
if [ "$1" != - ]; then
	for t in "$1"/test_*; do
		[ -x "$t" ] && [ "${t%.d}" = "$t" ] || continue
		timeout 300 "$t" >"$log" 2>&1 </dev/null
		status=$?
		p=$(count PASSED) f=$(count FAILED) s=$(count SKIPPED)
		[ "${p:-0}${f:-0}" != 00 ] || status=1
		add "unit/$(basename "$t")" $status "${p:-0}" "${f:-0}" "${s:-0}"
	done
fi
if [ $# -gt 1 ]; then
	export TALKOOT_BIN=$PWD/$2
	for t in tests/system/test_*; do
		[ -f "$t" ] || continue
		case $t in
		*.py) timeout 600 python3 "$t" >"$log" 2>&1 </dev/null ;;
		*.sh) timeout 600 bash "$t" >"$log" 2>&1 </dev/null ;;
		*) continue ;;
		esac
		status=$?
		line=$(grep -E '^[0-9]+ passed, [0-9]+ failed' "$log" | tail -1)
		[ -n "$line" ] || status=1
		read -r p f s < <(echo "${line:-0 passed, 0 failed, 0 skipped}" | tr -dc '0-9 \n')
		add "system/$(basename "$t")" $status "${p:-0}" "${f:-0}" "${s:-0}"
	done
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
