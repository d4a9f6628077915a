// SPDX-License-Identifier: GPL-2.0-only
/*
 * The static keys that make the kernel's accounting ask for steal time. The keys are not exported,
 * but the functions that static_branch_inc() and static_branch_dec() expand to are.
 */
#include <linux/errno.h>
#include <linux/jump_label.h>

#include <kvmpv/boundary.h>

#include "symbols.h"

int linux_steal_accounting_start(void)
{
	if (!kvmpv_symbols.paravirt_steal_enabled)
		return -ENOENT;
	static_key_slow_inc(kvmpv_symbols.paravirt_steal_enabled);
	if (kvmpv_symbols.paravirt_steal_rq_enabled)
		static_key_slow_inc(kvmpv_symbols.paravirt_steal_rq_enabled);
	return 0;
}

void linux_steal_accounting_stop(void)
{
	if (kvmpv_symbols.paravirt_steal_rq_enabled)
		static_key_slow_dec(kvmpv_symbols.paravirt_steal_rq_enabled);
	static_key_slow_dec(kvmpv_symbols.paravirt_steal_enabled);
}

bool linux_steal_accounting_is_on(bool run_queues)
{
	struct static_key *key = run_queues ? kvmpv_symbols.paravirt_steal_rq_enabled :
					      kvmpv_symbols.paravirt_steal_enabled;

	return key && static_key_count(key) > 0;
}
