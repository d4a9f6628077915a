// SPDX-License-Identifier: GPL-2.0-only
/*
 * CPUs that come and go, and the machine that restarts.
 */
#include <linux/cpuhotplug.h>
#include <linux/reboot.h>
#include <linux/smp.h>

#include <kvmpv/boundary.h>

static int prepare_state;
static int online_state;

static int prepare(unsigned int cpu)
{
	return kvmpv_cpu_prepare(cpu);
}

static int dead(unsigned int cpu)
{
	kvmpv_cpu_dead(cpu);
	return 0;
}

static int online(unsigned int cpu)
{
	return kvmpv_cpu_online(cpu);
}

static int down(unsigned int cpu)
{
	kvmpv_cpu_down(cpu);
	return 0;
}

/*
 * A prepare state: it runs before the new CPU does. Native kvmclock's is registered at boot, so it
 * stands earlier in the row and has given the CPU its record by then.
 */
int linux_hotplug_enable(void)
{
	int state = cpuhp_setup_state(CPUHP_BP_PREPARE_DYN, "kvmpv:prepare", prepare, dead);

	if (state < 0)
		return state;
	prepare_state = state;

	state = cpuhp_setup_state(CPUHP_AP_ONLINE_DYN, "kvmpv:online", online, down);
	if (state < 0) {
		cpuhp_remove_state(prepare_state);
		return state;
	}
	online_state = state;
	return 0;
}

void linux_hotplug_disable(void)
{
	cpuhp_remove_state(online_state);
	cpuhp_remove_state(prepare_state);
}

static void call(void *function)
{
	((void (*)(u32 cpu))function)(smp_processor_id());
}

void linux_on_each_cpu(void (*function)(u32 cpu))
{
	on_each_cpu(call, function, 1);
}

/* Restarts only: a machine that is powered off runs nothing that could be written over. */
static int restart(struct notifier_block *block, unsigned long code, void *unused)
{
	if (code == SYS_RESTART)
		kvmpv_restart();
	return NOTIFY_DONE;
}

static struct notifier_block restart_block = {
	.notifier_call = restart,
};

int linux_restart_notify_enable(void)
{
	return register_reboot_notifier(&restart_block);
}

void linux_restart_notify_disable(void)
{
	unregister_reboot_notifier(&restart_block);
}
