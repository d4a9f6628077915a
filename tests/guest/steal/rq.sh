# SPDX-License-Identifier: GPL-2.0-only
#
# How much of a CPU's stolen time does the kernel charge to the task that ran there, while another CPU updates the
# run queue's clock again and again (remote_looks.c)? Only a kernel with CONFIG_PARAVIRT_TIME_ACCOUNTING asks for
# steal time then. MODE: shared or owned (nopv). Not by run.sh, which keeps stdout until the end: the host makes
# both vCPUs share a CPU.
. /tests/lib.sh
. /tests/steal/lib.sh

ROUNDS=${ROUNDS:-3}

# look HOOK: a line for /tmp/charged: the hook, and how many ns have passed, were stolen and were charged.
look() {
	echo "$1" > $STEAL/hook || return 1
	from=$(steal_field 1 raw_ns)
	ran=$(/tests/remote_looks 5 500 400) || return 1
	echo "$1 $(($(steal_field 1 raw_ns) - from)) $ran" >> /tmp/charged
}

takes_turns() {
	for round in $(seq $ROUNDS); do
		look 0 && look 1 || return 1
	done
}

# How many of 100 ns that were stolen with this hook were charged to the task.
percent() {
	awk -v hook="$1" '
		$1 == hook { stolen += $2; passed += $3; charged += $4 }
		# Otherwise the test would show nothing.
		END { if (stolen < passed / 10) print "only", stolen, "of", passed; else printf "%.0f\n", (charged + stolen - passed) * 100 / stolen }
	' /tmp/charged
}

# While CPU 1 does not run its record stands still, so a look from CPU 0 charges to the task what is being
# stolen, with any steal clock. In shared mode ours charges as much as the kernel's own. In owned mode there
# is none to compare with: the kernel's own charged 53 of 100 in shared mode.
charges_as_native_does() {
	if [ "$MODE" = owned ]; then
		within "percent charged with ours" "$(percent 1)" 0 68
	else
		native=$(percent 0)
		within "percent charged with ours" "$(percent 1)" $((native - 15)) $((native + 15))
	fi
}

begin steal
check run_queues_ask sh -c 'zcat /proc/config.gz | grep -qx CONFIG_PARAVIRT_TIME_ACCOUNTING=y'
check keys_are_on accounting_is 1
echo 0 > $STEAL/hook
check keys_are_native accounting_is "$(native_accounting)"
ask_host share
check takes_turns
report "hook, then ns stolen, passed and charged, and looks: $(tr '\n' ';' < /tmp/charged)"
report "percent of what was stolen charged to the task: $(percent 0) with hook 0, $(percent 1) with hook 1"
check charges_as_native_does
# If the kernel has no steal clock of its own, nobody subtracts steal.
[ "$MODE" = shared ] || check all_is_charged_without within percent "$(percent 0)" 85 115
for cpu in 0 1; do
	check "no_steps_of_cpu$cpu" equal steps "$(steal_field $cpu backward_steps) $(steal_field $cpu forward_steps)" '0 0'
done
check hooked_keys_are_on accounting_is 1
end steal_undone
