// SPDX-License-Identifier: GPL-2.0-only
/*
 * References to this module, which keep it loaded.
 */
#include <linux/module.h>

#include "../boundary.h"

bool linux_module_keep(void)
{
	return try_module_get(THIS_MODULE);
}

void linux_module_let_go(void)
{
	module_put(THIS_MODULE);
}
