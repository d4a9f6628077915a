# SPDX-License-Identifier: GPL-2.0-only
#
# Names that a user chose: whatever they hold, tables keep their rows and columns, and the name can be read back.
# Needs steal (one_cpu.py), because who lost nothing is not listed.
. /tests/lib.sh
. /tests/steal/lib.sh

CGROUPS=/tmp/cgroups
BUSY='while :; do :; done'
tasks=
paths=0

# The bytes of stdin as the tables should have them, by code that is not the module's.
escaped() {
	od -An -v -to1 | awk '
		{
			for (i = 1; i <= NF; i++)
				if ($i < "041" || $i > "176" || $i == "134") printf "\\%s", $i
				else printf "%c", substr($i, 1, 1) * 64 + substr($i, 2, 1) * 8 + substr($i, 3, 1)
		}'
}

# name_of PID: its name, without the newline that the kernel adds.
name_of() {
	head -c -1 "/proc/$1/comm" | escaped | sed 's/^-$/\\055/'
}

# named FORMAT: a busy task of that name, in printf's notation, in the current folder, which is a cgroup. It leaves
# the CPU to whoever else wants it.
named() {
	sh -c "printf '$1' > /proc/self/comm; echo \$\$ > cgroup.procs; $BUSY" &
	inside=$!
	tasks="$tasks $inside"
	renice -n 19 -p $inside && reaches 1 grep -cx $inside cgroup.procs || exit 1
	cd / || exit 1
}

# in_cgroup NAME: makes it below the root, and it is the current folder then. Its path as it should be shown is in
# /tmp/path.NUMBER.
in_cgroup() {
	mkdir "$CGROUPS/$1" && cd "$CGROUPS/$1" || exit 1
	paths=$((paths + 1))
	printf '/%s' "$1" | escaped > /tmp/path.$paths
	stat -c %i . > /tmp/id.$paths
}

# Longer than PATH_MAX, so no system call takes it: made folder by folder.
in_deep_cgroup() {
	cd $CGROUPS || exit 1
	paths=$((paths + 1))
	level=$(awk 'BEGIN { for (i = 0; i < 62; i++) printf "a \\b" }')
	path=
	for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18; do
		mkdir "$level" && cd -P "$level" || exit 1
		path="$path/$level"
	done
	printf '%s' "$path" | escaped > /tmp/path.$paths
	stat -c %i . > /tmp/id.$paths
}

comms_come_back() {
	for pid in $tasks; do
		reaches 1 charged tasks pid "$pid" || return 1
		equal "name of $pid" "$(cell steal/tasks "$pid" comm pid)" "$(name_of "$pid")" || return 1
	done
}

paths_come_back() {
	for file in /tmp/path.*; do
		id=$(cat "/tmp/id.${file##*.}")
		reaches 1 charged cgroups id "$id" || return 1
		shown=$(cell steal/cgroups "$id" path id)
		equal "length of its path" ${#shown} "$(wc -c < "$file")" && equal path "$shown" "$(cat "$file")" || return 1
	done
}

# The longest burst of some CPU has hit one of the tasks above.
longest_names_come_back() {
	tries=0
	until cat $STEAL/cpus > /tmp/cpus && cpu=$(awk -v tasks="$tasks" '
		BEGIN { count = split(tasks, one); for (i = 1; i <= count; i++) ours[one[i]] = 1 }
		NR == 2 { for (i = 1; i <= NF; i++) if ($i == "longest_pid") at = i }
		NR > 2 && $at in ours { print $1; exit }' /tmp/cpus) && [ -n "$cpu" ]; do
		echo 1 > $STEAL/reset
		sleep 1
		tries=$((tries + 1))
		[ $tries -le 60 ] || { cat /tmp/cpus; return 1; }
	done
	pid=$(cell /tmp/cpus "$cpu" longest_pid)
	equal "longest_comm of $pid" "$(cell /tmp/cpus "$cpu" longest_comm)" "$(name_of "$pid")"
}

# columns_hold FILE HEAD: each row below line HEAD has as many values as that line has names. `features` has two tables
# of as many columns, and an empty line between them.
columns_hold() {
	awk -v head="$2" '
		NR == head { columns = NF }
		/^$/ && FILENAME ~ /features$/ { next }
		NR > head && NF != columns { print FILENAME ": " NF " of " columns " columns: " $0; bad = 1 }
		END { exit bad || NR <= head }' "$DEBUG/$1"
}

tables_hold() {
	for look in 1 2; do
		for table in cpus:2 features:2 steal/cpus:2 steal/histogram:2 steal/tasks:3 steal/cgroups:3 clock/drift:2; do
			columns_hold "${table%:*}" "${table#*:}" || return 1
		done
		equal "rows of steal/cpus" "$(wc -l < $STEAL/cpus)" $((2 + $(online_cpus))) || return 1
		for table in tasks cgroups; do
			lacks "$(tail -n +4 $STEAL/$table)" '^[^tcio]' &&
				equal "other rows of $table" "$(tail -n +4 $STEAL/$table | grep -cvE '^(task|cgroup) ')" 2 || return 1
		done
	done
}

begin steal steal_attribution=1
mkdir -p $CGROUPS && mount -t cgroup2 none $CGROUPS || exit 1
in_cgroup 'a b'
named 'a b\tc\nidle 1'
in_cgroup "$(printf 'tab\tback\\slash')"
named '\\040\\\\-\001x\177y~!'
in_cgroup "$(printf '\303\251\377\200\033[2J\177')"
named '\377\376\375\374\373\372\371\370\367\366\365\364\363\362\361'
in_deep_cgroup
named '-'
check comms_come_back
check paths_come_back
check longest_names_come_back
check tables_hold
# shellcheck disable=SC2086 # several words
kill -KILL $tasks
end
