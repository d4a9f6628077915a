# SPDX-License-Identifier: GPL-2.0-only
#
# README's own lines, from insmod to rmmod, do what README says of them. MODE: shared or owned (nopv).
. /tests/lib.sh

# block HEADING NUMBER: the lines of that indented block below the heading. An empty line ends a block.
block() {
	awk -v heading="## $1" -v number="$2" '
		/^## / { there = $0 == heading; blocks = 0 }
		!/^    / { inside = 0; next }
		there && !inside { inside = 1; blocks++ }
		there && blocks == number { print substr($0, 5) }' /tests/README.md
}

# The guest's only user is root. It has no compiler: the package and the build are tested on the bare machine.
sudo() {
	"$@"
}

# follow TEXT LINE...: runs the line of README that has this text. There is one such line.
follow() {
	text=$1
	shift
	line=$(printf '%s\n' "$@" | grep -F "$text")
	equal "lines with '$text'" "$(printf '%s\n' "$line" | grep -c .)" 1 || return 1
	eval "$line"
}

loads() {
	mkdir -p "build/$(uname -r)" && cp $MODULE "build/$(uname -r)" && follow insmod "$first"
}

# Each row of README is one of `status`, but for its numbers.
rows_are_as_printed() {
	follow status "$first" > /tmp/status || return 1
	sed 's/[0-9][0-9]*/0/g; s/  */ /g' /tmp/status > /tmp/rows
	block "$heading" 2 | sed 's/[0-9][0-9]*/0/g; s/  */ /g' > /tmp/promised
	equal "number of rows" "$(wc -l < /tmp/promised)" 4 || return 1
	while read -r row; do
		grep -qxF "$row" /tmp/rows || { echo "not in status: $row"; cat /tmp/status; return 1; }
	done < /tmp/promised
}

modes_are_owned() {
	follow status "$first" > /tmp/status
	for feature in clock steal eoi; do
		equal "$feature" "$(mode $feature)" owned || return 1
	done
}

is_clock() {
	equal current "$(current_clocksource)" kvmpv
}

leaves() {
	follow "$1" "$undo" && equal current "$(current_clocksource)" "$native"
}

heading='60 seconds on your own guest'
first=$(block "$heading" 1)
undo=$(block Undo 1)
native=$(current_clocksource)
remember
check loads
if [ "$MODE" = shared ]; then
	check rows_are_as_printed
	check takes_the_time_from_it follow current_clocksource "$(block "$heading" 3)"
	check is_clock
	check goes_back leaves current_clocksource
else
	check modes_are_owned
	check is_clock
	check releases leaves clock_release
fi
check unloads follow 'rmmod' "$undo"
check everything_is_undone undone
finish
