// SPDX-License-Identifier: GPL-2.0-only
/*
 * The module's entry and exit, and its parameters.
 */
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/mutex.h>

#include "../boundary.h"

static int clock = 1;
module_param(clock, int, 0444);
MODULE_PARM_DESC(clock,
		 "1: register the clocksource \"kvmpv\"; 0: do not (unit: yes or no, range: 0 to 1, default: 1)");

static int clock_rating;
module_param(clock_rating, int, 0444);
MODULE_PARM_DESC(clock_rating,
		 "rating of the clocksource; 0: one below native kvm-clock, or native's own rating where the kernel has none (unit: rating, range: 0 to 499, default: 0)");

static int legacy;
module_param(legacy, int, 0444);
MODULE_PARM_DESC(legacy,
		 "1: use the deprecated clock MSRs 0x11 and 0x12 if offered; 0: if no others are (unit: yes or no, range: 0 to 1, default: 0)");

/*
 * The switches. They can be written in /sys/module/kvmpv/parameters even if debugfs is switched off
 * or locked down. The files there exist before kvmpv_init() is called and until after kvmpv_exit()
 * has returned, hence the lock and the phases.
 */
struct switch_parameter {
	enum kvmpv_switch which;
	int at_start;
};

static enum {
	LOADING,
	RUNNING,
	GOING
} phase;
static DEFINE_MUTEX(phase_lock);

static int set_switch(const char *text, const struct kernel_param *parameter)
{
	struct switch_parameter *own = parameter->arg;
	int value;
	int error = kstrtoint(text, 0, &value);

	if (error)
		return error;
	mutex_lock(&phase_lock);
	switch (phase) {
	case LOADING:
		own->at_start = value; /* kvmpv_start() checks the range */
		break;
	case RUNNING:
		error = kvmpv_switch_set(own->which, value);
		break;
	case GOING:
		error = -ENODEV;
		break;
	}
	mutex_unlock(&phase_lock);
	return error;
}

static int get_switch(char *text, const struct kernel_param *parameter)
{
	const struct switch_parameter *own = parameter->arg;
	int value;

	mutex_lock(&phase_lock);
	value = phase == LOADING ? own->at_start : kvmpv_switch_is_on(own->which);
	mutex_unlock(&phase_lock);
	return scnprintf(text, PAGE_SIZE, "%d\n", value);
}

static const struct kernel_param_ops switch_ops = {
	.set = set_switch,
	.get = get_switch,
};

static struct switch_parameter vdso = { KVMPV_CLOCK_VDSO, -1 };
module_param_cb(vdso, &switch_ops, &vdso, 0644);
MODULE_PARM_DESC(vdso,
		 "clock reads without system call: -1: in shared mode, as the kernel's own; 1: also in owned; 0: no (unit: choice, range: -1 to 1, default: -1)");

static struct switch_parameter steal_hook = { KVMPV_STEAL_HOOK, 1 };
module_param_cb(steal_hook, &switch_ops, &steal_hook, 0644);
MODULE_PARM_DESC(steal_hook,
		 "1: steal time is accounted by kvmpv's clock; 0: it is only observed (unit: yes or no, range: 0 to 1, default: 1)");

static struct switch_parameter steal_attribution = { KVMPV_STEAL_ATTRIBUTION, 0 };
module_param_cb(steal_attribution, &switch_ops, &steal_attribution, 0644);
MODULE_PARM_DESC(steal_attribution,
		 "1: charge stolen time to the task that ran; 0: do not (unit: yes or no, range: 0 to 1, default: 0)");

static struct switch_parameter eoi_hook = { KVMPV_EOI_HOOK, 1 };
module_param_cb(eoi_hook, &switch_ops, &eoi_hook, 0644);
MODULE_PARM_DESC(eoi_hook,
		 "1: end interrupts by PV EOI and count them; 0: observe only (unit: yes or no, range: 0 to 1, default: 1)");

static struct switch_parameter halt_poll = { KVMPV_HALT_POLLING, -1 };
module_param_cb(halt_poll, &switch_ops, &halt_poll, 0644);
MODULE_PARM_DESC(halt_poll,
		 "1: the host may poll when a CPU halts; 0: it may not; -1: as it is (unit: choice, range: -1 to 1, default: -1)");

static struct switch_parameter halt_poll_accounting = { KVMPV_HALT_POLL_ACCOUNTING, 0 };
module_param_cb(halt_poll_accounting, &switch_ops, &halt_poll_accounting, 0644);
MODULE_PARM_DESC(halt_poll_accounting,
		 "1: count and time the wake-ups of idle CPUs; 0: do not (unit: yes or no, range: 0 to 1, default: 0)");

static struct switch_parameter async_pf_accounting = { KVMPV_ASYNC_PF_ACCOUNTING, 0 };
module_param_cb(async_pf_accounting, &switch_ops, &async_pf_accounting, 0644);
MODULE_PARM_DESC(async_pf_accounting,
		 "1: count and time waits for pages that the host has to bring; 0: do not (unit: yes or no, range: 0 to 1, default: 0)");

static struct switch_parameter sampler = { KVMPV_SAMPLING, 1 };
module_param_cb(sampler, &switch_ops, &sampler, 0644);
MODULE_PARM_DESC(sampler,
		 "1: look at each CPU that is not isolated once a second; 0: do not (unit: yes or no, range: 0 to 1, default: 1)");

static struct switch_parameter ipi_count = { KVMPV_IPI_COUNT, 0 };
module_param_cb(ipi_count, &switch_ops, &ipi_count, 0644);
MODULE_PARM_DESC(ipi_count,
		 "1: count calls to several CPUs at once, since Linux 6.4; 0: do not (unit: yes or no, range: 0 to 1, default: 0)");

static struct switch_parameter clock_release = { KVMPV_CLOCK_RELEASE, 0 };
module_param_cb(clock_release, &switch_ops, &clock_release, 0644);
MODULE_PARM_DESC(clock_release,
		 "1: the clocksource has rating 1, so that the kernel chooses another; 0: its own (unit: yes or no, range: 0 to 1, default: 0)");

static struct switch_parameter clock_force_unstable = { KVMPV_CLOCK_FORCE_UNSTABLE, 0 };
module_param_cb(clock_force_unstable, &switch_ops, &clock_force_unstable, 0644);
MODULE_PARM_DESC(clock_force_unstable,
		 "1: guard the clock as if the host promised nothing; 0: as the host promises (unit: yes or no, range: 0 to 1, default: 0)");

static int __init kvmpv_init(void)
{
	const struct kvmpv_parameters parameters = {
		.clock = clock,
		.clock_rating = clock_rating,
		.legacy = legacy,
		.switches = {
			[KVMPV_CLOCK_RELEASE] = clock_release.at_start,
			[KVMPV_CLOCK_FORCE_UNSTABLE] = clock_force_unstable.at_start,
			[KVMPV_CLOCK_VDSO] = vdso.at_start,
			[KVMPV_STEAL_HOOK] = steal_hook.at_start,
			[KVMPV_STEAL_ATTRIBUTION] = steal_attribution.at_start,
			[KVMPV_EOI_HOOK] = eoi_hook.at_start,
			[KVMPV_HALT_POLLING] = halt_poll.at_start,
			[KVMPV_HALT_POLL_ACCOUNTING] = halt_poll_accounting.at_start,
			[KVMPV_ASYNC_PF_ACCOUNTING] = async_pf_accounting.at_start,
			[KVMPV_SAMPLING] = sampler.at_start,
			[KVMPV_IPI_COUNT] = ipi_count.at_start,
		},
	};
	int error;

	mutex_lock(&phase_lock);
	error = kvmpv_start(&parameters);
	if (!error)
		phase = RUNNING;
	mutex_unlock(&phase_lock);
	return error;
}

static void __exit kvmpv_exit(void)
{
	mutex_lock(&phase_lock);
	phase = GOING;
	mutex_unlock(&phase_lock);
	kvmpv_stop();
}

module_init(kvmpv_init);
module_exit(kvmpv_exit);

MODULE_DESCRIPTION("Paravirtual clock, steal time and EOI of a KVM guest: used, healed and shown");
MODULE_AUTHOR("The kvmpv developers");
MODULE_LICENSE("GPL");
MODULE_VERSION(KVMPV_VERSION);
