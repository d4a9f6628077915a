// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel log, and waiting.
 */
#include <linux/delay.h>
#include <linux/printk.h>

#include <kvmpv/boundary.h>

void linux_log_info(const char *line)
{
	printk(KERN_INFO "kvmpv: %s\n", line);
}

void linux_log_warn(const char *line)
{
	printk(KERN_WARNING "kvmpv: %s\n", line);
}

void linux_log_err(const char *line)
{
	printk(KERN_ERR "kvmpv: %s\n", line);
}

void linux_msleep(u32 ms)
{
	msleep(ms);
}
