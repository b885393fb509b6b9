#!/bin/sh
# shape.sh: the longest functions and files, and how many lines each room has. Places to look.
git ls-files '*.c' '*.h' | awk -F/ '{print $1}' | sort -u | while read -r room; do
	printf '%-12s %s lines\n' "$room" "$(git ls-files "$room/*.c" "$room/*.h" | xargs cat | wc -l)"
done
echo "longest files:"
git ls-files '*.c' '*.h' | xargs wc -l | grep -v total | sort -rn | head -8
echo "longest functions:"
git ls-files '*.c' | xargs awk '
	FNR == 1 { inside = 0 }
	/^[a-z].*\(/ { name = $0 }
	/^\{/ { inside = 1; start = FNR }
	/^\}/ { if (inside) printf "%5d  %s:%d  %s\n", FNR - start, FILENAME, start, name; inside = 0 }
' | sort -rn | head -12
