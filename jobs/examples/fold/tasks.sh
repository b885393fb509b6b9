#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# tasks.sh: print the lines of the fold job, NAME SEQUENCE SEED, a task each:
# every sequence of the benchmark with the seeds 1 to N (default 8, so 64 tasks).
# Made for `talkoot submit --lines`.
set -eu

usage='usage: tasks.sh [SEEDS] [SEQUENCES.TXT]'
seeds=${1:-8}
table=${2:-$(dirname "$0")/sequences.txt}

case $seeds in
'' | *[!0-9]* | ?????*) # at most 9999: a slip of the keyboard should not make a million tasks
	echo "tasks.sh: '$seeds' is no number of seeds: $usage" >&2
	exit 2
	;;
esac
if [ ! -r "$table" ]; then
	echo "tasks.sh: cannot read $table: $usage" >&2
	exit 2
fi
awk -v seeds="$seeds" '
	/^#/ || NF == 0 { next }
	NF != 4 { print "tasks.sh: not NAME LENGTH BEST SEQUENCE: " $0 > "/dev/stderr"; bad = 1; exit 2 }
	{ for (seed = 1; seed <= seeds; seed++) print $1, $4, seed }
' "$table"
