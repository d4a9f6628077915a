// SPDX-License-Identifier: GPL-2.0-only
/*
 * Model-specific registers of any CPU.
 */
#include "../boundary.h"

#include "compat.h"

int linux_rdmsr_on_cpu(u32 cpu, u32 msr, u64 *value)
{
	return kvmpv_rdmsr_safe_on_cpu(cpu, msr, value);
}

int linux_rdmsr_here(u32 msr, u64 *value)
{
	return kvmpv_rdmsr_safe(msr, value);
}

int linux_wrmsr_here(u32 msr, u64 value)
{
	return kvmpv_wrmsr_safe(msr, value);
}
