#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# fedavg.sh DATASET HOLDERS ROUNDS MODEL: submit all rounds at once; prints a line a round, "ROUND LOCALS AVERAGE"
# (the two jobs). Each of the HOLDERS workers that declared DATASET trains once in each round; MODEL is the first
# model line. `talkoot` and `fedavg` are taken from the folder TALKOOT_BIN, else build/bin of this tree.
set -eu
[ $# -eq 4 ] || { echo "usage: fedavg.sh DATASET HOLDERS ROUNDS MODEL" >&2; exit 2; }
bin=${TALKOOT_BIN:-$(dirname "$0")/../../../build/bin}
model=$4
round=1
while [ "$round" -le "$3" ]; do
	locals=$("$bin/talkoot" submit --name "round $round" --range "$2" --local "$1" --file "model=$model" \
		-- "$bin/fedavg" train /in/model "/in/$1")
	average=$("$bin/talkoot" submit --name "round $round, average" --file "models=$locals/*/stdout" \
		-- "$bin/fedavg" average /in/models)
	echo "$round $locals $average"
	model=$average/0/stdout
	round=$((round + 1))
done
