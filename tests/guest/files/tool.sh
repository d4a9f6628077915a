# SPDX-License-Identifier: GPL-2.0-only
#
# The program `kvmpv` beside the files that it reads. MODE: shared or owned. PARAMETERS: to load with. FIRES: the rules
# of the doctor that find something in this guest. MENDED: those of them whose command is run, and then they find
# nothing any more. Under HOGS=yes the vCPUs contend.
. /tests/lib.sh
. /tests/steal/lib.sh

# These find nothing in any guest here unless FIRES has them. The rest depend on what the host does meanwhile.
SURE="slow-clock vdso-off promise-revoked clock-alone eoi-written"

# exits WITH COMMAND...: its exit status is WITH. What it says is in /tmp/said.
exits() {
	wanted=$1
	shift
	"$@" > /tmp/said 2>&1
	equal "exit status of $*" $? "$wanted" || { cat /tmp/said; return 1; }
}

says_that_the_module_is_not_loaded() {
	exits 3 kvmpv status && contains "$(cat /tmp/said)" '^kvmpv: The module kvmpv is not loaded' || return 1
	exits 3 kvmpv doctor && contains "$(cat /tmp/said)" '^kvmpv UNKNOWN: The module kvmpv is not loaded' || return 1
	exits 3 kvmpv set steal/hook 1 && exits 2 kvmpv nonsense
}

# of_status NAME: the first number or string of that name in /tmp/status.json.
of_status() {
	sed -n "s/^ *\"$1\": \"\\{0,1\\}\\([^\",]*\\).*/\\1/p" /tmp/status.json | head -n 1
}

elided() {
	awk 'NR == 2 { for (i = 1; i <= NF; i++) if ($i == "elided") at = i } NR > 2 { print $at; exit }' $DEBUG/eoi/cpus
}

# What grows lies between a look before and one after it.
status_says_what_the_files_say() {
	before=$(elided)
	kvmpv status --json > /tmp/status.json || return 1
	equal current "$(of_status current)" "$(current_clocksource)" &&
		equal path "$(of_status path)" "$(field clock/state path)" &&
		equal kernel "$(of_status kernel)" "$(uname -r)" || return 1
	[ -z "$before" ] || within elided "$(of_status elided)" "$before" "$(elided)" || return 1
	stolen=$(steal_field 0 steal_ns)
	kvmpv status --json --interval 0 > /tmp/status.json || return 1
	within stolen_ns "$(of_status stolen_ns)" "$stolen" "$(steal_field 0 steal_ns)"
}

status_fits_on_a_screen() {
	exits 0 kvmpv status && within lines "$(wc -l < /tmp/said)" 5 24 || return 1
	lacks "$(cat /tmp/said)" '.{81}' && contains "$(cat /tmp/said)" "by $(current_clocksource)"
}

# diagnosed RULE KEY, of the last `diagnose`. In an object the keys are in the order of the alphabet.
diagnose() {
	kvmpv doctor --json > /tmp/doctor.json
	equal "exit status" $? "$(sed -n 's/^ *"exit_status": \([0-9]\).*/\1/p' /tmp/doctor.json)"
}
diagnosed() {
	awk -v rule="\"$1\"" -v key="\"$2\":" '
		$1 == "{" { mend = "" }
		$1 == "\"mend\":" { mend = $0 }
		$1 == "\"rule\":" { found = index($2, rule) }
		found && key == "\"mend\":" { print mend; exit }
		found && $1 == key { print; exit }' /tmp/doctor.json | sed 's/^ *"[a-z]*": "//; s/",\{0,1\}$//'
}

doctor_finds_what_is_wrong() {
	diagnose || return 1
	for rule in $SURE; do
		case " $FIRES " in
		*" $rule "*) lacks "$rule $(diagnosed $rule severity)" 'OK|UNKNOWN' || return 1 ;;
		*) equal $rule "$(diagnosed $rule severity)" OK || { cat /tmp/doctor.json; return 1; } ;;
		esac
	done
	for rule in $FIRES; do
		lacks "$rule $(diagnosed "$rule" severity)" 'OK|UNKNOWN' || return 1
	done
}

mends() {
	diagnose || return 1
	command=$(diagnosed "$1" mend)
	[ -n "$command" ] && sh -c "$command" && diagnose || return 1
	equal "$1 after $command" "$(diagnosed "$1" severity)" OK
}

# Nothing in the guest mends it, but the command shows who loses: first it switches that on.
shows_who_loses() {
	for round in 1 2; do
		diagnose && sh -c "$(diagnosed steal mend)" > /tmp/said || return 1
	done
	contains "$(cat /tmp/said)" '^task '
}

sets_and_undoes() {
	exits 0 kvmpv set steal/hook 0 && equal hooked "$(field steal/state hooked)" no || return 1
	undo=$(sed -n 's/.*To undo: //p' /tmp/said)
	equal undo "$undo" 'kvmpv set steal/hook 1' && exits 0 $undo && equal hooked "$(field steal/state hooked)" yes
}

explains_what_is_refused() {
	exits 1 kvmpv set steal/hook 2 && contains "$(cat /tmp/said)" 'takes 0 or 1' || return 1
	exits 1 kvmpv set clock/force_unstable x && contains "$(cat /tmp/said)" 'takes 0 or 1' || return 1
	exits 2 kvmpv set clock/nothing 1 && contains "$(cat /tmp/said)" 'clock/release'
}

# But migration/control: a hold ends when its file is closed, and the program ends at once.
names_every_switch() {
	kvmpv set --list > /tmp/listed || return 1
	(cd $DEBUG && find . -type f -perm 0600 | sed 's|^./||' | grep -v '^migration/control$') > /tmp/switches
	within switches "$(wc -l < /tmp/switches)" 6 100 || return 1
	while read -r file; do
		grep -qxF "$file" /tmp/listed || { echo "$file is not listed"; return 1; }
	done < /tmp/switches
}

says_that_it_takes_root() {
	grep -q ^nobody /etc/passwd || echo 'nobody:x:65534:65534:nobody:/:/bin/sh' >> /etc/passwd
	exits 4 su nobody -c 'kvmpv status' && contains "$(cat /tmp/said)" '^kvmpv: Only root' || return 1
	exits 3 su nobody -c 'kvmpv doctor' && exits 4 su nobody -c 'kvmpv set steal/hook 0' &&
		contains "$(cat /tmp/said)" 'only root may'
}

# That of CPU 0 lies between what the command itself reads and what is read around the whole.
records_what_the_files_say() {
	cat > /tmp/inner.sh <<- 'END'
		. /tests/lib.sh
		. /tests/steal/lib.sh
		steal_field 0 steal_ns
		sleep 1
		steal_field 0 steal_ns
		exit 7
	END
	rm -f /tmp/recording
	before=$(steal_field 0 steal_ns)
	exits 7 kvmpv record -o /tmp/recording --interval 0.2 -- sh -c 'sh /tmp/inner.sh > /tmp/inner' || return 1
	after=$(steal_field 0 steal_ns)
	kvmpv report --json /tmp/recording > /tmp/report.json || return 1
	recorded=$(sed -n '/"cpus": \[/,$ s/^ *"stolen_ns": \([0-9]*\).*/\1/p' /tmp/report.json | head -n 1)
	within "stolen from CPU 0" "$recorded" $(($(tail -n 1 /tmp/inner) - $(head -n 1 /tmp/inner))) $((after - before)) ||
		return 1
	exits 0 kvmpv report /tmp/recording && contains "$(cat /tmp/said)" 'exit status 7' &&
		contains "$(cat /tmp/said)" '^0 .* %' || return 1
	sed '$ d' /tmp/recording > /tmp/cut
	exits 1 kvmpv report /tmp/cut && contains "$(cat /tmp/said)" 'has no end'
}

# Nothing else switches the guard in this guest.
watches_what_happens() {
	: > /tmp/waits
	kvmpv watch --json > /tmp/watched 2> /tmp/waits &
	watcher=$!
	reaches 1 grep -c 'waiting for the next event' /tmp/waits || return 1
	kvmpv set clock/force_unstable 1 && kvmpv set clock/force_unstable 0 || return 1
	reaches 1 grep -c guard_released /tmp/watched || return 1
	kill $watcher
	wait $watcher
	for event in guard_forced guard_released; do
		seq=$(cell events $event seq event)
		contains "$(cat /tmp/watched)" "\"event\":\"$event\",.*\"seq\":$seq," || return 1
	done
}

# There is neither a terminal here nor a terminfo.
shows_one_screen_below_the_other() {
	exits 0 kvmpv top --count 2 --interval 0.2 < /dev/null &&
		equal screens "$(grep -c '^kvmpv top  stolen' /tmp/said)" 2 || return 1
	contains "$(cat /tmp/said)" "^clock $(current_clocksource)" && contains "$(cat /tmp/said)" '^  0  .* %'
}

chosen=$(current_clocksource)
remember
check says_that_the_module_is_not_loaded
# shellcheck disable=SC2086 # several words
check loads load $PARAMETERS
[ -z "$HOGS" ] || start_hogs
check status_says_what_the_files_say
check status_fits_on_a_screen
check doctor_finds_what_is_wrong
check names_every_switch
check explains_what_is_refused
check records_what_the_files_say
check shows_one_screen_below_the_other
# On a host that promises nothing the guard may have to stay on.
[ -n "$FIRES$HOGS$EXPECT_PATH" ] || check watches_what_happens
check says_that_it_takes_root
for rule in $MENDED; do
	check "mends_$rule" mends "$rule"
done
# What the doctor named has selected kvmpv, and then no rating makes the kernel leave it.
[ -z "$MENDED" ] || check selects_what_was_chosen select_clocksource "$chosen"
if [ -n "$HOGS" ]; then
	check shows_who_loses
	stop_hogs
fi
check sets_and_undoes
# What the doctor had switched on in owned mode leaves a page behind.
case " $MENDED " in *' vdso-off '*) [ "$MODE" = shared ] || expect_kept_page ;; esac
end
