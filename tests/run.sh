#!/usr/bin/env bash
# run.sh UNIT_DIR|- [BIN_DIR]: run every unit test program and every system test, and count.
# A test that ends without its counting line has failed. Ends in "N passed, N failed, N skipped".
set -u
cd "$(dirname "$0")/.."
passed=0 failed=0 skipped=0
log=$(mktemp)
first_log=$log
trap 'rm -f "$first_log"' EXIT

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
# System tests wait more than they compute: two at a time.
system_test() { # FILE LOG
	case $1 in
	*.py) timeout 900 python3 "$1" >"$2" 2>&1 </dev/null ;;
	*.sh) timeout 900 bash "$1" >"$2" 2>&1 </dev/null ;;
	esac
	echo $? >"$2.status"
}
if [ $# -gt 1 ]; then
	export TALKOOT_BIN=$PWD/$2
	dir=$(mktemp -d)
	trap 'rm -rf "$first_log" "$dir"' EXIT
	# the longest first, so that nothing long is left alone at the end; the one that watches idle workers is idle itself
	# and runs beside the two
	tests=$(for t in tests/system/test_idle.py tests/system/test_faults.py tests/system/test_*.py tests/system/test_*.sh; do [ -f "$t" ] && echo "$t"; done | awk '!seen[$0]++')
	for t in $tests; do
		idle=0
		[ "$t" = tests/system/test_idle.py ] || [ -e "$dir/test_idle.py.status" ] || [ ! -e "$dir/test_idle.py" ] || idle=1
		while [ "$(jobs -rp | wc -l)" -ge $((2 + idle)) ]; do wait -n; [ -e "$dir/test_idle.py.status" ] && idle=0; done
		system_test "$t" "$dir/$(basename "$t")" &
	done
	wait
	for t in $tests; do
		log=$dir/$(basename "$t")
		status=$(cat "$log.status" 2>/dev/null || echo 1)
		line=$(grep -E '^[0-9]+ passed, [0-9]+ failed' "$log" | tail -1)
		[ -n "$line" ] || status=1
		read -r p f s < <(echo "${line:-0 passed, 0 failed, 0 skipped}" | tr -dc '0-9 \n')
		add "system/$(basename "$t")" "$status" "$p" "$f" "$s"
	done
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
