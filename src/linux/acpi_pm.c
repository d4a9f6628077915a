// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ACPI power management timer.
 */
#include <linux/acpi.h>
#include <linux/io.h>

#include "../boundary.h"

static u16 port;

int linux_acpi_pm_create(void)
{
#ifdef CONFIG_ACPI
	const struct acpi_generic_address *timer = &acpi_gbl_FADT.xpm_timer_block;

	if (!acpi_disabled && timer->space_id == ACPI_ADR_SPACE_SYSTEM_IO)
		port = timer->address;
#endif
	return port ? 0 : -ENODEV;
}

u32 linux_acpi_pm_read(void)
{
	return inl(port);
}
