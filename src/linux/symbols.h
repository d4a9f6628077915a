/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef KVMPV_SYMBOLS_H
#define KVMPV_SYMBOLS_H

#include <linux/container_of.h>
#include <linux/percpu.h>
#include <linux/types.h>

#include "compat.h"

struct clocksource;
struct kvm_steal_time;
struct kvm_vcpu_pv_apf_data;
struct list_head;
struct mutex;
struct pvclock_vsyscall_time_info;
struct pvclock_wall_clock;
struct static_call_key;
struct static_key;

/*
 * What kvmpv needs of the kernel and is not exported. Null if this kernel has no such symbol.
 * Filled in once, by linux_symbols_resolve(). The functions are called only through static calls,
 * and otherwise compared.
 */
struct kvmpv_symbols {
	/* ---- The clock ---- */
	struct clocksource *kvm_clock; /* native kvm-clock */
	struct pvclock_wall_clock *wall_clock; /* where the host writes native's wall clock */
	unsigned int *vclocks_used; /* bits of the vDSO clock modes that were ever in use */
	struct pvclock_vsyscall_time_info **pvti_cpu0_va; /* CPU 0's record, for the vDSO */
	struct clocksource **curr_clocksource; /* the one that timekeeping uses */
	struct clocksource **watchdog; /* checks other clocksources */
	struct list_head *watchdog_list; /* those that it checks */
	struct list_head *clocksource_list; /* all that are registered */
	struct mutex *clocksource_mutex; /* for that list */
	const char *override_name; /* what was written to current_clocksource last */

	/* ---- Steal time ---- */
	u64 (*kvm_steal_clock)(int cpu); /* native steal clock for KVM */
	u64 (*native_steal_clock)(int cpu); /* always returns 0 */
	struct kvm_steal_time __percpu *steal_time; /* native's records */
	struct static_call_key *pv_steal_clock_key;
	/* Not by typeof: no header declares it in a kernel without CONFIG_PARAVIRT. */
	u64 (*pv_steal_clock_trampoline)(int cpu);
	struct static_key *paravirt_steal_enabled;
	struct static_key *paravirt_steal_rq_enabled;

	/* ---- PV EOI ---- */
	typeof_member(struct apic, kvmpv_apic_eoi) kvm_guest_apic_eoi_write; /* native PV EOI */
	unsigned long __percpu *kvm_apic_eoi; /* native's words */
	struct static_call_key *apic_call_eoi_key; /* since 6.5 */
	void *apic_call_eoi_trampoline; /* likewise; 6.1 declares nothing that has its type */
	unsigned int (*kstat_irqs_cpu)(unsigned int irq, int cpu); /* counts a line's interrupts */

	/* ---- Async page faults ---- */
	struct kvm_vcpu_pv_apf_data __percpu *apf_reason; /* native's records */

	/* ---- Hypercalls: the functions that make them ---- */
	const void *kvm_kick_cpu;
	const void *kvm_send_ipi_mask;
	const void *kvm_smp_send_call_func_ipi;
	const void *kvm_sev_hc_page_enc_status;
};

extern struct kvmpv_symbols kvmpv_symbols;

#endif
