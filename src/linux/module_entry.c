// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where the kernel enters and leaves the module, and its parameters.
 */
#include <linux/module.h>

#include <kvmpv/boundary.h>

static int clock = 1;
module_param(clock, int, 0444);
MODULE_PARM_DESC(clock, "1: register the clocksource \"kvmpv\" (default); 0: do not");

static int clock_rating;
module_param(clock_rating, int, 0444);
MODULE_PARM_DESC(clock_rating,
		 "rating of the clocksource, 1 to 499; 0: one below native kvm-clock, or native's own rating where the kernel has none (default)");

static int vdso = -1;
module_param(vdso, int, 0444);
MODULE_PARM_DESC(vdso,
		 "clock reads without system call: -1: in shared mode (default); 1: also in owned; 0: never");

static int legacy;
module_param(legacy, int, 0444);
MODULE_PARM_DESC(legacy,
		 "1: use the deprecated clock MSRs 0x11 and 0x12 if offered; 0: if no others are (default)");

static int steal_hook = 1;
module_param(steal_hook, int, 0444);
MODULE_PARM_DESC(steal_hook,
		 "1: steal time is accounted by kvmpv's clock (default); 0: it is only observed");

static int eoi_hook = 1;
module_param(eoi_hook, int, 0444);
MODULE_PARM_DESC(eoi_hook, "1: end interrupts by PV EOI and count them (default); 0: observe only");

static int __init kvmpv_init(void)
{
	const struct kvmpv_parameters parameters = {
		.clock = clock,
		.clock_rating = clock_rating,
		.vdso = vdso,
		.legacy = legacy,
		.steal_hook = steal_hook,
		.eoi_hook = eoi_hook,
	};

	return kvmpv_start(&parameters);
}

static void __exit kvmpv_exit(void)
{
	kvmpv_stop();
}

module_init(kvmpv_init);
module_exit(kvmpv_exit);

MODULE_DESCRIPTION("Paravirtual clock, steal time and EOI of a KVM guest: used, healed and shown");
MODULE_AUTHOR("The kvmpv developers");
MODULE_LICENSE("GPL");
MODULE_VERSION(KVMPV_VERSION);
