// SPDX-License-Identifier: GPL-2.0-only
/*
 * CPU hotplug.
 */
#include <linux/cpuhotplug.h>

#include <kvmpv/boundary.h>

static int prepare_state;

static int prepare(unsigned int cpu)
{
	return kvmpv_cpu_prepare(cpu);
}

static int dead(unsigned int cpu)
{
	kvmpv_cpu_dead(cpu);
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
	return 0;
}

void linux_hotplug_disable(void)
{
	cpuhp_remove_state(prepare_state);
}
