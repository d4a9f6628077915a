// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hypercalls: ours, and those that the kernel makes.
 */
#include <linux/kvm_para.h>
#include <linux/smp.h>
#include <asm/apic.h>
#include <asm/paravirt.h>
#include <asm/smp.h>

#include "../boundary.h"

#include "compat.h"
#include "symbols.h"

s64 linux_hypercall2(u32 number, u64 first, u64 second)
{
	return kvm_hypercall2(number, first, second);
}

/* The function that the kernel calls now, and the one that would make the hypercall. */
struct place {
	const void *called;
	const void *hypercall;
};

static struct place place_of(u32 number)
{
	switch (number) {
#ifdef CONFIG_PARAVIRT_SPINLOCKS
	case KVM_HC_KICK_CPU:
		return (struct place){ KVMPV_PV_LOCK_OPS.kick, kvmpv_symbols.kvm_kick_cpu };
#endif
	case KVM_HC_SEND_IPI:
		return (struct place){ apic->send_IPI_mask, kvmpv_symbols.kvm_send_ipi_mask };
	case KVM_HC_SCHED_YIELD:
		return (struct place){ smp_ops.send_call_func_ipi,
				       kvmpv_symbols.kvm_smp_send_call_func_ipi };
#ifdef CONFIG_PARAVIRT
	case KVM_HC_MAP_GPA_RANGE:
		return (struct place){ pv_ops.mmu.notify_page_enc_status_changed,
				       kvmpv_symbols.kvm_sev_hc_page_enc_status };
#endif
	}
	return (struct place){};
}

int linux_makes_hypercall(u32 number)
{
	struct place place = place_of(number);

	if (!place.called || !place.hypercall)
		return -ENOENT;
	return place.called == place.hypercall;
}
