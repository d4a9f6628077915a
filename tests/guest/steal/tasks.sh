# SPDX-License-Identifier: GPL-2.0-only
#
# Steal by task and by cgroup, to the nanosecond, and the trace events. MODE: shared or owned (nopv).
. /tests/lib.sh
. /tests/steal/lib.sh

CGROUPS=/tmp/cgroups

all_is_charged() {
	for look in 1 2 3 4 5 6 7 8 9 10; do
		parts_make_the_whole tasks cgroups || return 1
	done
}

sorted() {
	awk '
		FNR == 3 { for (i = 1; i <= NF; i++) if ($i == "steal_ns") at = i }
		FNR > 3 && ($1 == "task" || $1 == "cgroup") {
			if (rows && $at > last) { print FILENAME ": " last " before " $at; bad = 1 }
			last = $at
			rows++
		}
		END {
			if (rows < 2) { print FILENAME ": only " rows + 0 " rows"; bad = 1 }
			exit bad
		}' "$1"
}

task_ns() {
	charged tasks pid "$1"
}
cgroup_ns() {
	charged cgroups path "$1"
}

off_at_first() {
	equal on "$(field steal/attribution on)" no && equal rows "$(grep -c '^task' $STEAL/tasks)" 0
}

refuses_nonsense() {
	for bad in 2 x 10 ''; do
		fails_with 'nvalid' sh -c "echo '$bad' > $STEAL/attribution" || return 1
	done
	off_at_first
}

# Starts a task in a cgroup of its own, beside the busy tasks. Not in a check, which would wait for its output to end.
start_in_cgroup() {
	mkdir -p $CGROUPS && mount -t cgroup2 none $CGROUPS && mkdir -p $CGROUPS/outer/inner || exit 1
	sh -c "echo \$\$ > $CGROUPS/outer/inner/cgroup.procs; while :; do :; done" > /dev/null &
	inside=$!
	# What it loses before it joins the cgroup is charged to another one.
	until grep -qx $inside $CGROUPS/outer/inner/cgroup.procs; do sleep 0.1; done
}

charges_tasks() {
	echo 1 > $STEAL/attribution || return 1
	# shellcheck disable=SC2086 # several words
	for task in $hogs $inside; do
		grows task_ns $task || return 1
	done
	grows cgroup_ns /outer/inner && grows cgroup_ns /
}

# The task and its cgroup are charged the same, because nobody else is in the cgroup.
task_and_cgroup_agree() {
	kill -STOP $inside
	# The task stops when it runs next, and is charged for the wait before that.
	tries=0
	until grep -q '^State:.T' /proc/$inside/status && [ "$(task_ns $inside)" = "$(cgroup_ns /outer/inner)" ]; do
		tries=$((tries + 1))
		[ $tries -le 100 ] || break
		sleep 0.1
	done
	equal "of the task and of the cgroup" "$(task_ns $inside)" "$(cgroup_ns /outer/inner)"
}

exited_tasks_are_kept() {
	lost_ns=$(task_ns $inside)
	kill -KILL $inside
	# Its exit also takes time.
	tries=0
	while [ -d /proc/$inside ] && ! grep -q '^State:.Z' /proc/$inside/status; do
		tries=$((tries + 1))
		[ $tries -le 100 ] || { echo "still there"; return 1; }
		sleep 0.1
	done
	within "of the dying" "$(task_ns $inside)" "$lost_ns" $((lost_ns + 10000000000)) || return 1
	lost_ns=$(task_ns $inside)
	sleep 1
	equal "of the dead" "$(task_ns $inside)" "$lost_ns" || return 1
	id=$(stat -c %i $CGROUPS/outer/inner)
	rmdir $CGROUPS/outer/inner || return 1
	contains "$(cat $STEAL/cgroups)" "^cgroup +$id +$lost_ns +-\$"
}

resets() {
	echo 1 > $STEAL/reset || return 1
	equal "of the dead" "$(cell $STEAL/tasks $inside steal_ns pid)" '' && all_is_charged
}

# Nothing more is charged, but the old charges can still be read.
switches_off() {
	echo 0 > $STEAL/attribution || return 1
	charged=$(grep -E '^(task|idle|other)' $STEAL/tasks)
	sleep 1
	equal "what was charged" "$(grep -E '^(task|idle|other)' $STEAL/tasks)" "$charged" || return 1
	echo 1 > $STEAL/attribution && all_is_charged
}

traced_on() {
	grep -c " steal: cpu=$1 " $TRACING/trace
}

# There is a line for each burst. Their sum is what the clock has grown by from the first to the last.
steal_is_traced() {
	mount -t tracefs tracefs $TRACING 2> /dev/null
	echo > $TRACING/trace && echo 1 > $TRACING/events/kvmpv/steal/enable || return 1
	reaches 5 traced_on 0 && reaches 5 traced_on 1 || return 1
	echo 0 > $TRACING/events/kvmpv/steal/enable
	awk '
		/ steal: / {
			match($0, /cpu=[0-9]+/); cpu = substr($0, RSTART + 4, RLENGTH - 4)
			match($0, /delta_ns=[0-9]+/); delta = substr($0, RSTART + 9, RLENGTH - 9)
			match($0, /total_ns=[0-9]+/); total = substr($0, RSTART + 9, RLENGTH - 9)
			if (cpu in last && total - last[cpu] != delta) { print "CPU " cpu ": " last[cpu] ", " $0; bad = 1 }
			if ($0 !~ / pid=[0-9]+ comm=[^ ]/) { print $0; bad = 1 }
			last[cpu] = total
			lines[cpu]++
		}
		END { exit bad || lines[0] < 5 || lines[1] < 5 }' $TRACING/trace || { head -n 20 $TRACING/trace; return 1; }
	contains "$(cat $TRACING/events/kvmpv/steal_step/format)" 'field:u64 step_ns'
}

remember
start_hogs
check loads load
check off_at_first
check refuses_nonsense
start_in_cgroup
check charges_tasks
check parts_make_the_whole all_is_charged
check tasks_are_sorted sorted $STEAL/tasks
check cgroups_are_sorted sorted $STEAL/cgroups
check task_and_cgroup_agree
check exited_tasks_are_kept
check resets
check switches_off
check steal_is_traced
check unloads_while_on unload
check everything_is_undone undone
stop_hogs
wait $inside 2> /dev/null
umount $CGROUPS
finish
