// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel log.
 */
#define pr_fmt(fmt) "kvmpv: " fmt

#include <linux/printk.h>

#include "../boundary.h"

void linux_log_info(const char *line)
{
	pr_info("%s\n", line);
}

void linux_log_warn(const char *line)
{
	pr_warn("%s\n", line);
}

void linux_log_err(const char *line)
{
	pr_err("%s\n", line);
}
