// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where a task waits for a page that the host has to bring: a probe on the kernel's function that
 * does so, at its entry and at its return. It is entered and left with interrupts off, by a fault
 * in user space or by a hypervisor in this guest, and never in an NMI.
 *
 * A task that waits has one of the probe's instances until it goes on. One that still waits when
 * the probe is taken away goes on by the kernel's own trampoline. That finds no handler any more,
 * and frees the instance, which is the kernel's memory. So nothing of ours has to stay for it.
 */
#include <linux/kprobes.h>
#include <linux/ptrace.h>
#include <linux/spinlock.h>
#include <linux/string.h>

#include "../boundary.h"

static struct kretprobe probe;
static DEFINE_RAW_SPINLOCK(waits_lock);

static int begins(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	struct kvmpv_apf_wait *wait = (void *)instance->data;

	wait->token = regs_get_kernel_argument(regs, 0);
	kvmpv_apf_wait_begins(wait);
	return 0;
}

static int ends(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	kvmpv_apf_wait_ends((void *)instance->data);
	return 0;
}

/* The kernel leaves in a probe what it has found at the last time. */
int linux_apf_waits_enable(u32 most)
{
	memset(&probe, 0, sizeof(probe));
	probe.kp.symbol_name = "kvm_async_pf_task_wait_schedule";
	probe.entry_handler = begins;
	probe.handler = ends;
	probe.data_size = sizeof(struct kvmpv_apf_wait);
	probe.maxactive = most;
	return register_kretprobe(&probe);
}

void linux_apf_waits_disable(void)
{
	unregister_kretprobe(&probe);
}

u64 linux_apf_waits_missed(void)
{
	return (u64)READ_ONCE(probe.nmissed) + READ_ONCE(probe.kp.nmissed);
}

u64 linux_apf_waits_lock(void)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&waits_lock, flags);
	return flags;
}

void linux_apf_waits_unlock(u64 state)
{
	raw_spin_unlock_irqrestore(&waits_lock, (unsigned long)state);
}
