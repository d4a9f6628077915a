// SPDX-License-Identifier: GPL-2.0-only
/*
 * The names of functions.
 */
#include <linux/kernel.h>

#include "../boundary.h"

void linux_symbol_name(const void *address, char *text, u32 size)
{
	snprintf(text, size, "%ps", address);
}
