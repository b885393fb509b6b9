#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# strip.sh FOLDER >STRIP.bmp: the frames FOLDER/0/stdout, FOLDER/1/stdout, … one below the other. Each is a BMP of 160 times
# 120 points: 54 bytes of head, then rows of 480 bytes, the lowest first; so the last frame comes first.
set -eu
n=0
while [ -f "$1/$n/stdout" ]; do
	n=$((n + 1))
done
four() { # a number as four bytes, the lowest first
	for shift in 0 8 16 24; do
		printf "\\$(printf '%03o' $(($1 >> shift & 255)))"
	done
}
printf 'BM'
four $((54 + n * 57600))
four 0
four 54
four 40
four 160
four $((n * 120))
printf '\001\000\030\000'
four 0
four $((n * 57600))
for zero in 1 2 3 4; do
	four 0
done
while [ "$n" -gt 0 ]; do
	n=$((n - 1))
	tail -c 57600 "$1/$n/stdout"
done
