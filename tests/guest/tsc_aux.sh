# SPDX-License-Identifier: GPL-2.0-only
#
# A guest that is a KVM host itself has its guests' TSC_AUX in the register while its kernel runs. So
# here both CPUs say that they are CPU 1, from before the module comes. The guarded read has to be the
# one that it is otherwise: the same instructions, no interrupts off, no time that goes back.
. /tests/lib.sh
. /tests/warp_lib.sh

TSC_AUX=0xc0000103

# What one guarded read executes, by the trap flag. An attempt that is given up makes it longer.
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
check no_time_goes_back no_time_goes_back
rmmod kvmpv_bench
check unloads rmmod kvmpv
before=$(rdmsr -p 0 $TSC_AUX)
check both_are_cpu_1 both_are_cpu_1
check loads_again load
insmod /kvmpv/kvmpv_bench.ko
check as_long_as_before as_long_as_before
check no_time_goes_back_all_the_same no_time_goes_back
rmmod kvmpv_bench
check unloads_again rmmod kvmpv
wrmsr -p 0 $TSC_AUX "0x$before"
finish
