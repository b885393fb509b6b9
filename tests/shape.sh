#!/bin/sh
# shape.sh: how many lines each room has, and its longest files and functions. Places to look: in the
# rooms that are programs a file beyond 600 lines or a function beyond 80 is marked with a *.
rooms="common coordinator worker jobs sandbox image"

files() { git ls-files "$@" | grep '\.[ch]$'; }
longest_files() { # MARK ROOM...
	mark=$1; shift
	files "$@" | xargs wc -l | grep -v ' total$' | sort -rn | head -6 |
		awk -v mark="$mark" '{ printf "%s %5d  %s\n", ($1 > mark ? "*" : " "), $1, $2 }'
}
longest_functions() { # MARK ROOM...
	mark=$1; shift
	files "$@" | grep '\.c$' | xargs awk '
		FNR == 1 { inside = 0 }
		/^[a-z].*\(/ { name = $0 }
		/^\{/ { inside = 1; start = FNR }
		/^\}/ { if (inside) printf "%d  %s:%d  %s\n", FNR - start, FILENAME, start, name; inside = 0 }
	' | sort -rn | head -8 |
		awk -v mark="$mark" '{ n = $1; $1 = ""; printf "%s %5d %s\n", (n > mark ? "*" : " "), n, $0 }'
}

for room in $rooms tests; do
	printf '%-12s %6d lines in %d files\n' "$room" "$(files "$room" | xargs cat | wc -l)" "$(files "$room" | wc -l)"
done
echo "longest files:"
longest_files 600 $rooms
echo "longest functions:"
longest_functions 80 $rooms
echo "of the tests:"
longest_files 1000000 tests
longest_functions 1000000 tests
