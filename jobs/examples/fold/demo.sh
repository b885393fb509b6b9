#!/bin/sh
# demo.sh BIN: a whole grid on this machine for about a minute: a coordinator, three workers, 64 folding
# tasks believed on two agreeing results each, fetched, verified offline, and drawn.
set -eu
bin=$(cd "${1:-build/bin}" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
seeds=${FOLD_SEEDS:-8}
dir=$(mktemp -d "${TMPDIR:-/tmp}/talkoot-demo.XXXXXX")
pids=

stop() {
	for pid in $pids; do kill "$pid" 2>/dev/null || true; done
	for pid in $pids; do wait "$pid" 2>/dev/null || true; done
	pids=
}
fail() {
	echo "demo: $1" >&2
	for log in "$dir"/*.log; do
		echo "--- $log" >&2
		tail -n 15 "$log" >&2
	done
	stop
	exit 1
}
trap 'stop; exit 1' INT TERM HUP
trap stop EXIT

# Wait until FILE holds a "ready" line, and print it.
ready() {
	n=0
	until grep -q '^ready ' "$1" 2>/dev/null; do
		n=$((n + 1))
		[ "$n" -lt 300 ] || return 1
		sleep 0.1
	done
	grep '^ready ' "$1" | head -n 1
}

# Nothing of the person's own configuration is used or changed.
HOME=$dir XDG_CONFIG_HOME=$dir/config XDG_DATA_HOME=$dir/data
export HOME XDG_CONFIG_HOME XDG_DATA_HOME
unset TALKOOT_GRID TALKOOT_IDENTITY || true

echo "demo: a grid in $dir"
"$bin/talkoot-coordinator" --data "$dir/coordinator" --listen 127.0.0.1:0 --admin 127.0.0.1:0 \
	--name "demo grid" --log-level warn >"$dir/coordinator.out" 2>"$dir/coordinator.log" &
pids="$pids $!"
line=$(ready "$dir/coordinator.out") || fail "the coordinator did not start"
link=$(echo "$line" | cut -d' ' -f2)
admin=$(echo "$line" | cut -d' ' -f3)
echo "demo: coordinator   $link"
echo "demo: status page   ${admin%/}/v1/status"

for n in 1 2 3; do
	"$bin/talkoot-worker" --data "$dir/worker$n" --join "$link" --listen 127.0.0.1:0 --slots 1 --disk 1024 \
		--log-level warn >"$dir/worker$n.out" 2>"$dir/worker$n.log" &
	pids="$pids $!"
done
for n in 1 2 3; do
	line=$(ready "$dir/worker$n.out") || fail "worker $n did not start"
	echo "demo: worker $n      $(echo "$line" | cut -d' ' -f2 | cut -c1-16)…"
done

TALKOOT_GRID=$link
export TALKOOT_GRID
key=$("$bin/talkoot" id) || fail "no identity"
"$bin/talkoot-coordinator" --data "$dir/coordinator" allow submitter "$key" >/dev/null || fail "the submitter was not allowed"
sh "$here/tasks.sh" "$seeds" >"$dir/tasks.txt"
echo "demo: submitting $(wc -l <"$dir/tasks.txt") tasks, each believed on two agreeing results of different workers"
job=$("$bin/talkoot" submit --name "HP folding" --lines "$dir/tasks.txt" --quorum 2 -- "$bin/fold") || fail "submit"
echo "demo: job           $job"
"$bin/talkoot" wait "$job" || fail "not every task is valid"
"$bin/talkoot" results "$job" --output "$dir/results" || fail "results"

stop
echo "demo: everything is switched off now; verifying what was fetched"
"$bin/talkoot" verify "$dir/results" --grid "${link##*/}" --job "$job" || fail "the results did not verify"
"$bin/fold-report" "$dir/results" -o "$dir/best-fold.svg" || fail "the report"
echo "demo: the best fold is drawn in $dir/best-fold.svg; the evidence is in $dir/results"
