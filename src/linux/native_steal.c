// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel's own steal clock (arch/x86/kernel/kvm.c), as far as it can be asked.
 */
#include <linux/static_call.h>

#include <kvmpv/boundary.h>

#include "symbols.h"

int linux_native_steal_in_force(void)
{
	const struct static_call_key *key = kvmpv_symbols.pv_steal_clock_key;

	const void *target = key ? READ_ONCE(key->func) : NULL;

	if (target && target == kvmpv_symbols.kvm_steal_clock)
		return 1;
	/* Of somebody else's function it is not known whether it asks the kernel's own. */
	return target && target == kvmpv_symbols.native_steal_clock ? 0 : -ENOENT;
}
