// SPDX-License-Identifier: GPL-2.0-only
/*
 * The only place that looks up kernel symbols that are not exported.
 *
 * kallsyms_lookup_name() itself is not exported, but a kprobe may name any function, and then holds
 * its address. On a kernel with IBT that is the address behind the ENDBR, and the ENDBR may have
 * been sealed, so the function must not be called through a pointer. A static call of our own is a
 * direct call, which IBT, kCFI and retpolines do not affect.
 */
#include <linux/kallsyms.h>
#include <linux/kprobes.h>
#include <linux/static_call.h>
#include <linux/string.h>

#include "../boundary.h"

#include "symbols.h"

struct kvmpv_symbols kvmpv_symbols;

typedef unsigned long lookup_fn(const char *name);
DEFINE_STATIC_CALL_NULL(kvmpv_lookup, *(lookup_fn *)NULL);

static void *kallsyms_lookup_address(void)
{
	struct kprobe probe = { .symbol_name = "kallsyms_lookup_name" };
	void *address;

	if (register_kprobe(&probe) < 0)
		return NULL;
	address = probe.addr;
	unregister_kprobe(&probe);
	return address;
}

static void *lookup(const char *name)
{
	return (void *)static_call(kvmpv_lookup)(name);
}

/*
 * For a name that is not unique: the symbol wanted is a variable in the same file as @neighbour,
 * whose name is unique, and the linker keeps the variables of a file together.
 */
static void *lookup_beside(const char *name, const char *neighbour)
{
	const size_t reach = 4096;
	char symbol[KSYM_SYMBOL_LEN];
	char wanted[40];
	char *anchor = lookup(neighbour);
	char *at;

	if (!anchor)
		return NULL;
	snprintf(wanted, sizeof(wanted), "%s+0x0/", name);
	anchor = PTR_ALIGN_DOWN(anchor, sizeof(void *));
	for (at = anchor - reach; at < anchor + reach; at += sizeof(void *)) {
		sprint_symbol(symbol, (unsigned long)at);
		if (strstarts(symbol, wanted))
			return at;
	}
	return NULL;
}

void linux_symbols_resolve(void)
{
	void *address = kallsyms_lookup_address();

	if (!address)
		return;
	__static_call_update(&STATIC_CALL_KEY(kvmpv_lookup), STATIC_CALL_TRAMP_ADDR(kvmpv_lookup),
			     address);

	kvmpv_symbols.kvm_clock = lookup("kvm_clock");
	kvmpv_symbols.kvm_steal_clock = lookup("kvm_steal_clock");
	/* Through a number: where gcc knows the address space of per-CPU data it complains. */
	kvmpv_symbols.steal_time =
		(struct kvm_steal_time __percpu __force *)(uintptr_t)lookup("steal_time");
	kvmpv_symbols.native_steal_clock = lookup("native_steal_clock");
	kvmpv_symbols.pv_steal_clock_key = lookup("__SCK__pv_steal_clock");
	kvmpv_symbols.pv_steal_clock_trampoline = lookup("__SCT__pv_steal_clock");
	kvmpv_symbols.paravirt_steal_enabled = lookup("paravirt_steal_enabled");
	kvmpv_symbols.paravirt_steal_rq_enabled = lookup("paravirt_steal_rq_enabled");
	kvmpv_symbols.kvm_guest_apic_eoi_write = lookup("kvm_guest_apic_eoi_write");
	kvmpv_symbols.apic_call_eoi_key = lookup("__SCK__apic_call_eoi");
	kvmpv_symbols.apic_call_eoi_trampoline = lookup("__SCT__apic_call_eoi");
	kvmpv_symbols.kvm_apic_eoi =
		(unsigned long __percpu __force *)(uintptr_t)lookup("kvm_apic_eoi");
	kvmpv_symbols.apf_reason =
		(struct kvm_vcpu_pv_apf_data __percpu __force *)(uintptr_t)lookup("apf_reason");
	kvmpv_symbols.kstat_irqs_cpu = lookup("kstat_irqs_cpu");
	kvmpv_symbols.wall_clock = lookup("wall_clock");
	kvmpv_symbols.vclocks_used = lookup("vclocks_used");
	kvmpv_symbols.watchdog = lookup_beside("watchdog", "watchdog_reset_pending");
	kvmpv_symbols.curr_clocksource = lookup("curr_clocksource");
	kvmpv_symbols.watchdog_list = lookup("watchdog_list");
	kvmpv_symbols.clocksource_list = lookup("clocksource_list");
	kvmpv_symbols.clocksource_mutex = lookup("clocksource_mutex");
	kvmpv_symbols.override_name = lookup_beside("override_name", "curr_clocksource");
	kvmpv_symbols.pvti_cpu0_va = lookup("pvti_cpu0_va");
	kvmpv_symbols.kvm_kick_cpu = lookup("kvm_kick_cpu");
	kvmpv_symbols.kvm_send_ipi_mask = lookup("kvm_send_ipi_mask");
	kvmpv_symbols.kvm_smp_send_call_func_ipi = lookup("kvm_smp_send_call_func_ipi");
	kvmpv_symbols.kvm_sev_hc_page_enc_status = lookup("kvm_sev_hc_page_enc_status");
}
