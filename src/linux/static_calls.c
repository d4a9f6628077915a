// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel's static calls: functions that are chosen at run time.
 *
 * static_call_update() cannot be used: the macro needs the key at compile time, and these keys are
 * not exported. The function that it expands to is exported.
 */
#include <linux/rcupdate.h>
#include <linux/static_call.h>

#include <kvmpv/boundary.h>

#include "symbols.h"

struct call {
	struct static_call_key *key;
	void *trampoline;
};

static struct call call_of(u32 which)
{
	struct call call = {};

	switch (which) {
	case KVMPV_CALL_PV_STEAL_CLOCK:
		call.key = kvmpv_symbols.pv_steal_clock_key;
		call.trampoline = kvmpv_symbols.pv_steal_clock_trampoline;
		break;
	case KVMPV_CALL_APIC_EOI:
		call.key = kvmpv_symbols.apic_call_eoi_key;
		call.trampoline = kvmpv_symbols.apic_call_eoi_trampoline;
		break;
	}
	return call;
}

const void *linux_static_call_target(u32 which)
{
	struct call call = call_of(which);

	return call.key && call.trampoline ? READ_ONCE(call.key->func) : NULL;
}

void linux_static_call_set(u32 which, const void *target)
{
	struct call call = call_of(which);

	__static_call_update(call.key, call.trampoline, (void *)target);
}

void linux_wait_for_callers(void)
{
	synchronize_rcu();
}
