// SPDX-License-Identifier: GPL-2.0-only
/*
 * src/linux/pages.c in user space, in a guest whose memory is encrypted and whose host refuses: one
 * area of memory, of which each step may fail. Run by test_pages.py, which makes its headers.
 *
 * Prints a line for each case that has failed.
 */
#include <stdio.h>
#include <string.h>

#include "../src/linux/pages.c"

#define NOISE 0xa5

/* What the kernel's part does, and has done. */
static struct {
	bool encrypts; /* the guest's memory is encrypted */
	bool has_memory;
	int decrypt_error;
	int encrypt_error;

	bool allocated;
	bool shared; /* the host can read it, or some of it */
	unsigned int decryptions;
	unsigned int encryptions;
	bool freed_while_shared;
} kernel;

static struct page memory;

struct page *alloc_pages(int how, unsigned int order)
{
	if (!kernel.has_memory)
		return NULL;
	kernel.allocated = true;
	memset(memory.bytes, 0, sizeof(memory.bytes));
	return &memory;
}

void free_pages(unsigned long address, unsigned int order)
{
	kernel.allocated = false;
	kernel.freed_while_shared |= kernel.shared;
}

bool cc_platform_has(int what)
{
	return kernel.encrypts;
}

/* What was written before reads as noise. A failure may come when some of it is shared already. */
int set_memory_decrypted(unsigned long address, int pages)
{
	kernel.decryptions++;
	kernel.shared = true;
	memset(memory.bytes, NOISE, sizeof(memory.bytes));
	return kernel.decrypt_error;
}

int set_memory_encrypted(unsigned long address, int pages)
{
	kernel.encryptions++;
	if (kernel.encrypt_error)
		return kernel.encrypt_error;
	kernel.shared = false;
	return 0;
}

/* ---- The cases ------------------------------------------------------------------------------ */

static int failures;

static void expect(const char *name, const char *what, long actual, long expected)
{
	if (actual == expected)
		return;
	failures++;
	printf("%s: %s is %ld, not %ld\n", name, what, actual, expected);
}

static int create(struct linux_area *area)
{
	*area = (struct linux_area){};
	return linux_area_create(64, area);
}

static bool all_zero(void)
{
	size_t i;

	for (i = 0; i < sizeof(memory.bytes); i++)
		if (memory.bytes[i])
			return false;
	return true;
}

static void begin(bool encrypts)
{
	memset(&kernel, 0, sizeof(kernel));
	kernel.encrypts = encrypts;
	kernel.has_memory = true;
}

static void plain_memory_is_left_alone(void)
{
	struct linux_area area;

	begin(false);
	expect(__func__, "create", create(&area), 0);
	expect(__func__, "zeros", all_zero(), true);
	linux_area_destroy(&area);
	expect(__func__, "allocated", kernel.allocated, false);
	expect(__func__, "calls", kernel.decryptions + kernel.encryptions, 0);
}

static void shared_memory_is_zeroed_after_it_is_shared(void)
{
	struct linux_area area;

	begin(true);
	expect(__func__, "create", create(&area), 0);
	expect(__func__, "shared", kernel.shared, true);
	expect(__func__, "zeros", all_zero(), true);
	linux_area_destroy(&area);
	expect(__func__, "allocated", kernel.allocated, false);
	expect(__func__, "freed while shared", kernel.freed_while_shared, false);
}

static void no_memory(void)
{
	struct linux_area area;

	begin(true);
	kernel.has_memory = false;
	expect(__func__, "create", create(&area), -ENOMEM);
	expect(__func__, "an address", !!area.address, false);
	expect(__func__, "calls", kernel.decryptions + kernel.encryptions, 0);
}

/* Some pages may be shared by then, so all are taken back before they are freed. */
static void refused(void)
{
	struct linux_area area;

	begin(true);
	kernel.decrypt_error = -EBUSY;
	expect(__func__, "create", create(&area), -EBUSY);
	expect(__func__, "an address", !!area.address, false);
	expect(__func__, "encryptions", kernel.encryptions, 1);
	expect(__func__, "allocated", kernel.allocated, false);
	expect(__func__, "freed while shared", kernel.freed_while_shared, false);
}

/* The host could go on writing to it, so it is never freed. */
static void refused_and_not_taken_back(void)
{
	struct linux_area area;

	begin(true);
	kernel.decrypt_error = -EBUSY;
	kernel.encrypt_error = -EIO;
	expect(__func__, "create", create(&area), -EBUSY);
	expect(__func__, "an address", !!area.address, false);
	expect(__func__, "allocated", kernel.allocated, true);
}

static void not_taken_back_at_the_end(void)
{
	struct linux_area area;

	begin(true);
	expect(__func__, "create", create(&area), 0);
	kernel.encrypt_error = -EBUSY;
	linux_area_destroy(&area);
	expect(__func__, "encryptions", kernel.encryptions, 1);
	expect(__func__, "allocated", kernel.allocated, true);
}

int main(void)
{
	plain_memory_is_left_alone();
	shared_memory_is_zeroed_after_it_is_shared();
	no_memory();
	refused();
	refused_and_not_taken_back();
	not_taken_back_at_the_end();
	return failures ? 1 : 0;
}
