#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The gossip of ten thousand workers in virtual time; and of five hundred with the sanitizers, when they are built. What
# grids of other sizes spend while nothing happens.
cd "$(dirname "$0")/../.." || exit 1
passed=0 failed=0
for run in "build/sim/sim -n 10000 -seed ${SIM_SEED:-1}" "build/asan/sim/sim -n 500 -seed ${SIM_SEED:-1}" \
	"build/sim/sim -n 2 -open 100 -idle 1 -seed ${SIM_SEED:-1}" "build/sim/sim -n 6 -open 100 -idle 1 -seed ${SIM_SEED:-1}" \
	"build/sim/sim -n 20 -idle 1 -seed ${SIM_SEED:-1}" "build/sim/sim -n 60 -idle 1 -seed ${SIM_SEED:-1}" \
	"build/sim/sim -n 300 -idle 1 -seed ${SIM_SEED:-1}" "build/sim/sim -n 1000 -idle 1 -seed ${SIM_SEED:-1}"; do
	[ -x "${run%% *}" ] || { echo "SKIP ${run%% *} is not built"; continue; }
	log=$(mktemp)
	$run "$@" | tee "$log"
	status=${PIPESTATUS[0]}
	line=$(tail -1 "$log")
	rm -f "$log"
	read -r p f _ < <(echo "$line" | tr -dc '0-9 \n')
	passed=$((passed + ${p:-0}))
	[ "$status" = 0 ] || [ "${f:-0}" -gt 0 ] || f=1
	failed=$((failed + ${f:-1}))
done
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" = 0 ]
