// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the kernel knows about the CPUs, their TSC and the encryption of their memory.
 */
#include <linux/cc_platform.h>

#include <asm/cpufeature.h>
#include <asm/tsc.h>

#include "../boundary.h"

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

bool linux_memory_is_encrypted(void)
{
	return cc_platform_has(CC_ATTR_GUEST_MEM_ENCRYPT);
}

bool linux_has_rdtscp(void)
{
	return boot_cpu_has(X86_FEATURE_RDTSCP);
}
