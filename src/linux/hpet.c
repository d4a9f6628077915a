// SPDX-License-Identifier: GPL-2.0-only
/*
 * The HPET's main counter, through a mapping of our own, because the kernel's is not exported. It
 * is only read.
 */
#include <linux/acpi.h>
#include <linux/io.h>
#include <asm/hpet.h>

#include <kvmpv/boundary.h>

#if defined(CONFIG_ACPI) && defined(CONFIG_HPET_TIMER)

static void __iomem *registers;

static phys_addr_t hpet_physical(void)
{
	struct acpi_table_header *header;
	phys_addr_t physical;

	if (ACPI_FAILURE(acpi_get_table(ACPI_SIG_HPET, 1, &header)))
		return 0;
	physical = ((struct acpi_table_hpet *)header)->address.address;
	acpi_put_table(header);
	return physical;
}

int linux_hpet_create(u64 *period_fs)
{
	phys_addr_t physical = hpet_physical();

	if (!physical)
		return -ENODEV;
	registers = ioremap(physical, HPET_MMAP_SIZE);
	if (!registers)
		return -ENOMEM;
	*period_fs = readl(registers + HPET_PERIOD);
	/* The counter is stopped if the kernel was told not to use it. */
	if (*period_fs && (readl(registers + HPET_CFG) & HPET_CFG_ENABLE))
		return 0;
	linux_hpet_destroy();
	return -ENODEV;
}

void linux_hpet_destroy(void)
{
	if (registers)
		iounmap(registers);
	registers = NULL;
}

u32 linux_hpet_read(void)
{
	return readl(registers + HPET_COUNTER);
}

#else

/* Without ACPI nobody finds it, and without CONFIG_HPET_TIMER nobody has started it. */
int linux_hpet_create(u64 *period_fs)
{
	return -ENODEV;
}

void linux_hpet_destroy(void)
{
}

u32 linux_hpet_read(void)
{
	return 0;
}

#endif
