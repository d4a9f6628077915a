// SPDX-License-Identifier: GPL-2.0-only
/*
 * Restart of the machine.
 */
#include <linux/reboot.h>

#include <kvmpv/boundary.h>

/* Restarts only: after a power-off nothing runs whose memory the host could overwrite. */
static int restart(struct notifier_block *block, unsigned long code, void *unused)
{
	if (code == SYS_RESTART)
		kvmpv_restart();
	return NOTIFY_DONE;
}

static struct notifier_block restart_block = {
	.notifier_call = restart,
};

int linux_restart_notify_enable(void)
{
	return register_reboot_notifier(&restart_block);
}

void linux_restart_notify_disable(void)
{
	unregister_reboot_notifier(&restart_block);
}
