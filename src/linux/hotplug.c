// SPDX-License-Identifier: GPL-2.0-only
/*
 * CPU hotplug.
 */
#include <linux/cpuhotplug.h>

#include "../boundary.h"

/* The kernel passes its callbacks only the CPU, so each follower has four callbacks of its own. */
struct follower {
	const char *prepare_name;
	const char *online_name;
	int (*prepare)(unsigned int cpu);
	int (*dead)(unsigned int cpu);
	int (*online)(unsigned int cpu);
	int (*down)(unsigned int cpu);
	int prepare_state;
	int online_state;
};

#define KVMPV_FOLLOWER_CALLBACKS(name, id)		\
static int name##_prepare(unsigned int cpu)		\
{							\
	return kvmpv_cpu_prepare(id, cpu);		\
}							\
static int name##_dead(unsigned int cpu)		\
{							\
	kvmpv_cpu_dead(id, cpu);			\
	return 0;					\
}							\
static int name##_online(unsigned int cpu)		\
{							\
	return kvmpv_cpu_online(id, cpu);		\
}							\
static int name##_down(unsigned int cpu)		\
{							\
	kvmpv_cpu_down(id, cpu);			\
	return 0;					\
}

#define KVMPV_FOLLOWER(name)				\
{							\
	.prepare_name = "kvmpv/" #name ":prepare",	\
	.online_name = "kvmpv/" #name ":online",	\
	.prepare = name##_prepare,			\
	.dead = name##_dead,				\
	.online = name##_online,			\
	.down = name##_down,				\
}

KVMPV_FOLLOWER_CALLBACKS(clock, KVMPV_CLOCK)
KVMPV_FOLLOWER_CALLBACKS(steal, KVMPV_STEAL)
KVMPV_FOLLOWER_CALLBACKS(eoi, KVMPV_EOI)
KVMPV_FOLLOWER_CALLBACKS(halt_poll, KVMPV_HALT_POLL)
KVMPV_FOLLOWER_CALLBACKS(migration, KVMPV_MIGRATION)
KVMPV_FOLLOWER_CALLBACKS(sampler, KVMPV_SAMPLER)

static struct follower followers[KVMPV_NUM_FOLLOWERS] = {
	[KVMPV_CLOCK] = KVMPV_FOLLOWER(clock),
	[KVMPV_STEAL] = KVMPV_FOLLOWER(steal),
	[KVMPV_EOI] = KVMPV_FOLLOWER(eoi),
	[KVMPV_HALT_POLL] = KVMPV_FOLLOWER(halt_poll),
	[KVMPV_MIGRATION] = KVMPV_FOLLOWER(migration),
	[KVMPV_SAMPLER] = KVMPV_FOLLOWER(sampler),
};

/*
 * The first state is a prepare state: its callback runs before the new CPU does. Native kvmclock
 * registers its own prepare state at boot, so that one comes earlier, and has given the CPU its
 * record by then. The kernel assigns dynamic states in ascending order, and a CPU that comes online
 * passes through them in that order.
 */
int linux_hotplug_enable(u32 follower)
{
	struct follower *it = &followers[follower];
	int state = cpuhp_setup_state(CPUHP_BP_PREPARE_DYN, it->prepare_name, it->prepare,
				      it->dead);

	if (state < 0)
		return state;
	it->prepare_state = state;

	state = cpuhp_setup_state(CPUHP_AP_ONLINE_DYN, it->online_name, it->online, it->down);
	if (state < 0) {
		cpuhp_remove_state(it->prepare_state);
		return state;
	}
	it->online_state = state;
	return 0;
}

void linux_hotplug_disable(u32 follower)
{
	cpuhp_remove_state(followers[follower].online_state);
	cpuhp_remove_state(followers[follower].prepare_state);
}
