# SPDX-License-Identifier: GPL-2.0-only
#
# Functions of the steal time tests. Source it after lib.sh. MODE: shared or owned (nopv).

STEAL=$DEBUG/steal
# Two busy vCPUs that share a host CPU (tests/host/one_cpu.py) take turns, so each loses about half its time.
start_hogs() {
	hogs=
	for hog in $(seq "$(online_cpus)"); do
		while :; do :; done &
		hogs="$hogs $!"
	done
}

stop_hogs() {
	# shellcheck disable=SC2086 # several words
	kill $hogs
	wait $hogs 2> /dev/null
}

# steal_field CPU NAME: a value of steal/cpus.
steal_field() {
	cell $STEAL/cpus "$@"
}

# charged FILE KEY VALUE: what steal/FILE has charged in ns to the row with that VALUE below KEY, 0 if there is none.
charged() {
	charged_ns=$(cell "$STEAL/$1" "$3" steal_ns "$2")
	echo "${charged_ns:-0}"
}

# parts_make_the_whole FILE...: what steal/FILE has charged adds up to what all clocks have grown by since the reset.
parts_make_the_whole() {
	for file; do
		awk '
			FNR == 2 { whole = $4 }
			FNR == 3 { for (i = 1; i <= NF; i++) if ($i == "steal_ns") at = i }
			FNR > 3 { parts += $at; if ($1 == "idle" || $1 == "other") ends++ }
			END {
				if (parts != whole || ends != 2 || !whole) { print FILENAME ": " parts " of " whole; exit 1 }
			}' "$STEAL/$file" || return 1
	done
}

# The kernel's steal time of a CPU, in ticks of 10 ms; with "" that of all CPUs.
stat_steal() {
	awk -v cpu="cpu$1" '$1 == cpu { print $9 }' /proc/stat
}

# grows COMMAND...: waits until the number that the command prints grows, for 10 s at most.
grows() {
	from=$("$@")
	tries=0
	until [ "$("$@")" -gt "$from" ]; do
		tries=$((tries + 1))
		[ $tries -le 100 ] || { echo "'$*' stayed at $from"; return 1; }
		sleep 0.1
	done
}

# hook_is PATTERN: the probe shows such a line.
hook_is() {
	grep -qE "^$1( |\$)" /proc/kvmpv_probe || { echo "no '$1' in: $(hooks)"; return 1; }
}

steal_clock_is() {
	hook_is "static_call pv_steal_clock $1"
}

# The kernel's own target of pv_steal_clock in this mode.
native_clock() {
	[ "$MODE" = shared ] && echo kvm_steal_clock || echo native_steal_clock
}

# The counts of the static keys that make the scheduler ask: for its accounting, and for its run queues.
accounting_is() {
	for key in paravirt_steal_enabled paravirt_steal_rq_enabled; do
		hook_is "static_key $key $1" || return 1
	done
	[ -e $STEAL/hook ] || return 0
	wanted=no
	[ "$1" = 0 ] || wanted=yes
	equal "key of accounting" "$(field steal/hook accounting)" $wanted &&
		equal "key of run queues" "$(field steal/hook run_queues)" $wanted
}

native_accounting() {
	[ "$MODE" = shared ] && echo 1 || echo 0
}

# In owned mode the kernel selects our clock as soon as it can.
unload() {
	[ "$MODE" = shared ] || echo 1 > $DEBUG/clock/release || return 1
	rmmod kvmpv
}

# Watches /proc/stat until watch_found_nothing: no CPU's steal may decrease, or grow by more than the elapsed time.
# A kernel module watches the same values to the nanosecond, because /proc/stat rounds to 10 ms.
start_watch() {
	insmod /kvmpv/kvmpv_steal_monitor.ko || exit 1
	rm -f /tmp/watch.end
	watch > /tmp/watch.out 2>&1 &
	watcher=$!
}

watch() {
	while [ ! -e /tmp/watch.end ]; do
		read -r began _ < /proc/uptime
		stolen=$(awk '/^cpu[0-9]/ { printf " %s %s", $1, $9 }' /proc/stat)
		read -r ended _ < /proc/uptime
		echo "$began $ended$stolen"
		sleep ${WATCH_PAUSE:-0.05}
	done
}

# watch_found_nothing LOOKS: nothing was wrong in at least LOOKS looks. Steal is compared with time over 20 looks,
# at least a second, because a CPU's loss is accounted when it runs again, up to 0.4 s later (0.2 s were seen).
watch_found_nothing() {
	touch /tmp/watch.end
	wait $watcher
	cat /sys/kernel/debug/kvmpv_steal_monitor > /tmp/accounted && rmmod kvmpv_steal_monitor || return 1
	awk -v least="$1" '
		NR > 1 && $2 < least { print "CPU " $1 ": only " $2 " looks at what is accounted"; bad = 1 }
		NR > 1 && $3 { print "CPU " $1 " went back " $3 " times, by up to " $4 " ns"; bad = 1 }
		END { exit bad || NR < 3 }' /tmp/accounted || return 1
	awk -v least="$1" -v late=40 '
		{
			began[NR] = $1
			for (i = 3; i < NF; i += 2) {
				cpu = $i
				now = $(i + 1)
				if (cpu in last && now < last[cpu]) {
					print "look " NR ": " cpu " went from " last[cpu] " back to " now
					bad = 1
				}
				last[cpu] = now
				stolen[NR, cpu] = now
				if (!((NR - 20, cpu) in stolen)) continue
				grown = now - stolen[NR - 20, cpu]
				passed = ($2 - began[NR - 20]) * 100
				if (grown > passed + late) {
					print "look " NR ": " cpu " lost " grown " of " passed " ticks"
					bad = 1
				}
			}
		}
		END {
			if (NR < least) { print "only " NR " looks"; bad = 1 }
			exit bad
		}' /tmp/watch.out
}

# Less than `undone` checks, because the kernel marks the TSC unstable after the guest was stopped.
steal_undone() {
	all_msrs | diff /tmp/msrs.before - && hooks | diff /tmp/hooks.before - &&
		lacks "$(cat /proc/modules)" '^kvmpv '
}
