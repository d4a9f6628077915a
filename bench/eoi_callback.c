// SPDX-License-Identifier: GPL-2.0-only
/*
 * Calls the callback by which the kernel ends interrupts now, whoever's it is, for an interrupt
 * that is ended without an exit. It first sets the bit in this CPU's word, as the host would.
 */
#include <linux/err.h>
#include <linux/io.h>
#include <linux/module.h>
#include <linux/static_call.h>
#include <linux/string.h>
#include <asm/apic.h>
#include <asm/kvm_para.h>
#include <asm/msr.h>

#include "../src/linux/compat.h"
#include "bench.h"

static const void *callback_now(void)
{
#ifdef apic_update_callback
	struct static_call_key *key = bench_symbol("__SCK__apic_call_eoi");

	return key ? key->func : NULL;
#else
	return apic->eoi_write;
#endif
}

/* No interrupt is in service here, so the host neither sets the bit nor looks at it. */
static void end_elided(const struct bench_call *call)
{
#ifdef apic_update_callback
	void (*end)(void) = (void *)call->entry;
#else
	void (*end)(u32 reg, u32 value) = (void *)call->entry;
#endif
	u64 slot = 0;

	kvmpv_rdmsr_safe(MSR_KVM_PV_EOI_EN, &slot);
	/* Then nothing is called and nothing is counted. */
	if (!(slot & KVM_MSR_ENABLED))
		return;
	*(unsigned long *)phys_to_virt(slot & ~KVM_MSR_ENABLED) |= 1;
#ifdef apic_update_callback
	end();
#else
	end(APIC_EOI, APIC_EOI_ACK);
#endif
}

int bench_eoi_call_get(const char *name, struct bench_call *call)
{
	if (strcmp(name, "eoi"))
		return -ENODEV;
	/* So that its callback cannot go meanwhile. */
	call->held = bench_clock_get("kvmpv");
	if (IS_ERR(call->held))
		return PTR_ERR(call->held);
	call->make = end_elided;
	call->entry = callback_now();
	return 0;
}
