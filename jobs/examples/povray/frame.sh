#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# frame.sh N OF: print frame N of OF as BMP, the one format of POV-Ray's in which no date stands.
set -eu
clock=$(awk "BEGIN { print $1 / $2 }")
exec povray +Iscene.pov +K"$clock" +W160 +H120 +FB +O- -D -GA
