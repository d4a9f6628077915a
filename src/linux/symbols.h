/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef KVMPV_SYMBOLS_H
#define KVMPV_SYMBOLS_H

#include <linux/types.h>

struct clocksource;
struct mutex;

/*
 * What kvmpv needs of the kernel that is not exported; null where this kernel has no such symbol.
 * Filled in once by linux_symbols_resolve().
 */
struct kvmpv_symbols {
	void *kvm_clock; /* struct clocksource of native kvm-clock */
	void *kvm_steal_clock; /* native steal clock for KVM */
	void *steal_time; /* per CPU: native's struct kvm_steal_time */
	void *native_steal_clock; /* the steal clock of a kernel that has none */
	void *pv_steal_clock_key; /* struct static_call_key */
	void *pv_steal_clock_trampoline;
	void *paravirt_steal_enabled; /* struct static_key */
	void *paravirt_steal_rq_enabled; /* struct static_key */
	void *kvm_guest_apic_eoi_write; /* native PV EOI callback */
	void *apic_call_eoi_key; /* struct static_call_key, since 6.5 */
	void *apic_call_eoi_trampoline;
	void *kvm_apic_eoi; /* per-CPU word of native PV EOI */
	void *kstat_irqs_cpu; /* counts the interrupts of a line on a CPU */
	void *wall_clock; /* struct pvclock_wall_clock of native kvmclock */
	unsigned int *vclocks_used; /* bits of the vDSO clock modes that were ever in use */
	struct clocksource **curr_clocksource; /* by which the kernel keeps time */
	struct clocksource **watchdog; /* checks other clocksources */
	struct list_head *watchdog_list; /* those that are checked */
	struct list_head *clocksource_list; /* all that are registered */
	struct mutex *clocksource_mutex; /* for that list */
	const char *override_name; /* what was written to current_clocksource last */
	const void **pvti_cpu0_va; /* CPU 0's record, for user space to read */
};

extern struct kvmpv_symbols kvmpv_symbols;

#endif
