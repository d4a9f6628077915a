// SPDX-License-Identifier: GPL-2.0-only
/*
 * Suspend and hibernation of the whole machine.
 */
#include <linux/smp.h>
#include <linux/syscore_ops.h>

#include <kvmpv/boundary.h>

#ifdef KVMPV_SYSCORE_HAS_DATA
static int suspend(void *unused)
#else
static int suspend(void)
#endif
{
	kvmpv_suspend(smp_processor_id());
	return 0;
}

#ifdef KVMPV_SYSCORE_HAS_DATA
static void resume(void *unused)
#else
static void resume(void)
#endif
{
	kvmpv_resume(smp_processor_id());
}

#ifdef KVMPV_SYSCORE_HAS_DATA
static const struct syscore_ops ops = {
	.suspend = suspend,
	.resume = resume,
};

static struct syscore syscore = { .ops = &ops };

void linux_suspend_notify_enable(void)
{
	register_syscore(&syscore);
}

void linux_suspend_notify_disable(void)
{
	unregister_syscore(&syscore);
}
#else
static struct syscore_ops ops = {
	.suspend = suspend,
	.resume = resume,
};

void linux_suspend_notify_enable(void)
{
	register_syscore_ops(&ops);
}

void linux_suspend_notify_disable(void)
{
	unregister_syscore_ops(&ops);
}
#endif
