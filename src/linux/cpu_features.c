// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the kernel knows about the CPUs and their TSC.
 */
#include <asm/cpufeature.h>
#include <asm/tsc.h>

#include <kvmpv/boundary.h>

bool linux_tsc_is_invariant(void)
{
	return boot_cpu_has(X86_FEATURE_CONSTANT_TSC) && boot_cpu_has(X86_FEATURE_NONSTOP_TSC);
}

u32 linux_tsc_khz(void)
{
	return tsc_khz;
}

bool linux_tsc_is_unstable(void)
{
	return check_tsc_unstable();
}

bool linux_has_rdtscp(void)
{
	return boot_cpu_has(X86_FEATURE_RDTSCP);
}
