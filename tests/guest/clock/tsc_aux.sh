# SPDX-License-Identifier: GPL-2.0-only
#
# In a guest that is itself a KVM host, TSC_AUX holds its guests' value while its kernel runs. So here TSC_AUX says
# CPU 1 on both CPUs, from before the module is loaded. The guarded read must not change: it executes the same
# instructions, does not disable interrupts, and time does not go back.
. /tests/lib.sh
. /tests/clock/warp_lib.sh

TSC_AUX=0xc0000103

# How many instructions one guarded read executes, counted by the trap flag. A failed attempt makes it more.
read_on() {
	taskset -c "$1" sh -c "echo kvmpv > $BENCH/steps" && sed -n 's/^instructions //p' $BENCH/steps
}

both_are_cpu_1() {
	wrmsr -a $TSC_AUX 1 && equal TSC_AUX "$(rdmsr -a $TSC_AUX | xargs)" '1 1'
}

as_long_as_before() {
	for cpu in 0 1; do
		equal "instructions on CPU $cpu" "$(read_on $cpu)" "$instructions" || return 1
		lacks "$(cat $BENCH/steps)" 'cold|again|irq' || return 1
	done
}

no_time_goes_back() {
	start_warp kvmpv $READS && no_steps
}

check loads load
insmod /kvmpv/kvmpv_bench.ko
check path equal path "$(field clock/state path)" guarded
instructions=$(read_on 0)
report "a guarded read: $instructions instructions"
check as_long_on_both as_long_as_before
check no_time_goes_back
rmmod kvmpv_bench
check unloads rmmod kvmpv
before=$(rdmsr -p 0 $TSC_AUX)
check both_are_cpu_1
check loads_again load
insmod /kvmpv/kvmpv_bench.ko
check as_long_as_before
check no_time_goes_back_all_the_same no_time_goes_back
rmmod kvmpv_bench
check unloads_again rmmod kvmpv
wrmsr -p 0 $TSC_AUX "0x$before"
finish
