// SPDX-License-Identifier: GPL-2.0-only
/*
 * The static keys by which the kernel's accounting asks for steal time. What static_branch_inc()
 * expands to is exported, the keys are not.
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
