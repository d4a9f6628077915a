// SPDX-License-Identifier: GPL-2.0-only
/*
 * An instrument that shares no code with kvmpv. It tells whether anybody writes to a page after its
 * owner has freed it. Write to /sys/kernel/debug/kvmpv_canary:
 *
 *	hold ADDRESS	takes a reference to the page at this physical address, while it has an
 *			owner
 *	fill		fills the pages with a pattern, after all owners have gone
 *
 * Reading it shows a row per page, "ADDRESS refs N changed N": how many references there are, and
 * how many bytes differ from the pattern. The extra reference keeps the allocator from giving the
 * page to anybody else, however its owner frees it.
 */
#include <linux/debugfs.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#define PATTERN 0x5a

static struct page *held[16];
static unsigned int num_held;
static struct dentry *file;

static int hold(const char *address)
{
	u64 physical;
	int err = kstrtou64(address, 0, &physical);

	if (err)
		return err;
	if (!pfn_valid(physical >> PAGE_SHIFT))
		return -EINVAL;
	if (num_held == ARRAY_SIZE(held))
		return -ENOSPC;
	held[num_held] = pfn_to_page(physical >> PAGE_SHIFT);
	get_page(held[num_held++]);
	return 0;
}

/* Only if nobody else holds a reference: a page that still has an owner must not be overwritten. */
static int fill(void)
{
	unsigned int i;

	for (i = 0; i < num_held; i++)
		if (page_count(held[i]) != 1)
			return -EBUSY;
	for (i = 0; i < num_held; i++)
		memset(page_address(held[i]), PATTERN, PAGE_SIZE);
	return 0;
}

static ssize_t canary_write(struct file *unused, const char __user *from, size_t size, loff_t *pos)
{
	char text[64];
	char *words = text;
	ssize_t err;

	if (size >= sizeof(text))
		return -EINVAL;
	if (copy_from_user(text, from, size))
		return -EFAULT;
	text[size] = '\0';
	words = strim(text);
	if (!strcmp(words, "fill"))
		err = fill();
	else if (!strncmp(words, "hold ", 5))
		err = hold(words + 5);
	else
		err = -EINVAL;
	return err ?: size;
}

static unsigned int changed(const u8 *page)
{
	unsigned int i, count = 0;

	for (i = 0; i < PAGE_SIZE; i++)
		count += READ_ONCE(page[i]) != PATTERN;
	return count;
}

static int canary_show(struct seq_file *seq, void *unused)
{
	unsigned int i;

	for (i = 0; i < num_held; i++)
		seq_printf(seq, "%#llx refs %d changed %u\n", (u64)page_to_phys(held[i]),
			   page_count(held[i]), changed(page_address(held[i])));
	return 0;
}

static int canary_open(struct inode *inode, struct file *opened)
{
	return single_open(opened, canary_show, NULL);
}

static const struct file_operations canary_fops = {
	.owner = THIS_MODULE,
	.open = canary_open,
	.read = seq_read,
	.write = canary_write,
	.llseek = seq_lseek,
	.release = single_release,
};

static int __init canary_init(void)
{
	file = debugfs_create_file("kvmpv_canary", 0600, NULL, NULL, &canary_fops);
	return PTR_ERR_OR_ZERO(file);
}

static void __exit canary_exit(void)
{
	debugfs_remove(file);
	while (num_held)
		put_page(held[--num_held]);
}

module_init(canary_init);
module_exit(canary_exit);

MODULE_DESCRIPTION("Tells whether anybody writes to a page after it was freed");
MODULE_LICENSE("GPL");
