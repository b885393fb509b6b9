#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# dock.sh RECEPTOR <LIGAND: dock what standard input has (PDBQT) into RECEPTOR's pocket, and print the poses. The seed
# is fixed and there is one thread, so two machines find the same.
set -eu
dir=$(mktemp -d)
trap 'rm -r "$dir"' EXIT
cat >"$dir/ligand.pdbqt"
vina --receptor "$1" --ligand "$dir/ligand.pdbqt" --out "$dir/docked.pdbqt" --seed 1 --cpu 1 --exhaustiveness 2 \
	--center_x 1.5 --center_y 1.5 --center_z 2 --size_x 12 --size_y 12 --size_z 12 >&2
cat "$dir/docked.pdbqt"
