// SPDX-License-Identifier: GPL-2.0-only
/*
 * The local APIC driver's EOI callback.
 */
#include <linux/static_call.h>

#include <kvmpv/boundary.h>

#include "compat.h"
#include "symbols.h"

static const void *eoi_callback(void)
{
#ifdef KVMPV_APIC_STATIC_CALLS
	const struct static_call_key *key = kvmpv_symbols.apic_call_eoi_key;

	return key ? READ_ONCE(key->func) : NULL;
#else
	return (const void *)READ_ONCE(apic->eoi_write);
#endif
}

int linux_native_eoi_in_force(void)
{
	const void *callback = eoi_callback();

	if (!callback || !kvmpv_symbols.kvm_guest_apic_eoi_write)
		return -ENOENT;
	return callback == kvmpv_symbols.kvm_guest_apic_eoi_write;
}
