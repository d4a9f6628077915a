# SPDX-License-Identifier: GPL-2.0-only
#
# Holds docs/debugfs.md against the files of a running module. First file: the document. The rest: copies of the
# module's files, named as below /sys/kernel/debug/kvmpv, with the current folder theirs. Each difference is a line.
#
# An entry is a name in backticks in the file's own section. What stands in backticks before a colon is a definition,
# and has to be there as a column, or as the field of a row.

function is_name(word) { return word ~ /^[a-z][a-z0-9_]*$/ }

# `field value` are the columns of rows that are defined one by one.
function are_columns(names, number,    j) {
	for (j = 1; j <= number; j++) if (!is_name(names[j])) return 0
	return number > 0 && names[1] != "field"
}

# The last name before a colon defines, and so does each that only blanks, a comma or `and` part from it.
function take_entries(line,    parts, count, i, j, names, number, defines) {
	count = split(line, parts, "`")
	for (i = count - count % 2; i >= 2; i -= 2) {
		defines = parts[i + 1] ~ /^:/ || (defines && parts[i + 1] ~ /^(,| and) *$/)
		number = split(parts[i], names, " ")
		for (j = 1; j <= number; j++) entry[section, names[j]] = 1
		if (defines && are_columns(names, number))
			for (j = 1; j <= number; j++) defined[section, names[j]] = 1
	}
}

# A head has names only. Of a table with the columns `field value`, and of rows without a head, the first word counts.
function take_columns(    i) {
	if ($1 == "field" && $2 == "value") { of_fields = 1; return }
	if (of_fields || NF == 2) { if (is_name($1)) column[file, $1] = 1; return }
	if (has_head) return
	for (i = 1; i <= NF; i++) if (!is_name($i)) return
	has_head = 1
	for (i = 1; i <= NF; i++) column[file, $i] = 1
}

NR == FNR && /^## / {
	take_entries(paragraph)
	paragraph = ""
	section = ""
	if (sub(/^## \/sys\/kernel\/debug\/kvmpv\//, "")) { section = $1; sections[section] = 1 }
	next
}
# A definition may go over the end of a line, but not into the next item.
NR == FNR && /^(- .*)?$/ { take_entries(paragraph); paragraph = "" }
NR == FNR { paragraph = paragraph " " $0; next }

FNR == 1 {
	take_entries(paragraph)
	paragraph = ""
	file = FILENAME
	files[file] = 1
	of_fields = has_head = 0
	next
}
NF { take_columns() }
!NF { has_head = 0 }

END {
	for (file in files) if (!(file in sections)) print file " has no section"
	for (section in sections) if (!(section in files)) print section " is not there"
	for (key in column) {
		split(key, part, SUBSEP)
		if (!(key in entry) && !(part[2] ~ /^events_/)) print part[1] ": no entry for " part[2]
	}
	for (key in defined) {
		split(key, part, SUBSEP)
		if (part[1] in files && !(key in column)) print part[1] ": there is no " part[2]
	}
}
