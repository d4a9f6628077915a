// SPDX-License-Identifier: GPL-2.0-only
/*
 * The files below /sys/kernel/debug/kvmpv_bench. Writing to a file runs its measurement, and
 * reading it shows the result. docs/benchmarks.md describes them.
 */
#include <linux/debugfs.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/uaccess.h>

#include "bench.h"

#define MAX_WRITE 256

struct bench_file {
	const char *name;
	int (*show)(struct seq_file *seq);
	int (*start)(char *text);
};

static const struct bench_file files[] = {
	{ "warp", bench_warp_show, bench_warp_start },
	{ "warp_end", bench_warp_show_end, NULL },
	{ "timing", bench_timing_show, bench_timing_start },
	{ "steps", bench_steps_show, bench_steps_start },
	{ "steal", bench_steal_show, bench_steal_start },
};

static struct dentry *root;

static int show(struct seq_file *seq, void *unused)
{
	const struct bench_file *file = seq->private;

	return file->show(seq);
}

static int open(struct inode *inode, struct file *file)
{
	return single_open(file, show, inode->i_private);
}

static ssize_t write(struct file *file, const char __user *from, size_t length, loff_t *offset)
{
	const struct bench_file *description = file_inode(file)->i_private;
	char text[MAX_WRITE];
	int error;

	if (!description->start || *offset != 0 || length == 0 || length >= sizeof(text))
		return -EINVAL;
	if (copy_from_user(text, from, length))
		return -EFAULT;
	text[length] = '\0';
	error = description->start(strim(text));
	return error ? error : length;
}

static const struct file_operations operations = {
	.owner = THIS_MODULE,
	.open = open,
	.read = seq_read,
	.write = write,
	.llseek = seq_lseek,
	.release = single_release,
};

static int __init bench_init(void)
{
	int error = bench_clocks_init();
	int i;

	if (!error)
		error = bench_steps_init();
	if (error)
		return error;
	root = debugfs_create_dir("kvmpv_bench", NULL);
	for (i = 0; i < ARRAY_SIZE(files); i++)
		debugfs_create_file(files[i].name, files[i].start ? 0600 : 0400, root,
				    (void *)&files[i], &operations);
	return 0;
}

static void __exit bench_exit(void)
{
	debugfs_remove_recursive(root);
	bench_warp_exit();
	bench_steps_exit();
}

module_init(bench_init);
module_exit(bench_exit);

MODULE_DESCRIPTION("Reads the kernel's clocks: time, instructions, and whether any goes back");
MODULE_LICENSE("GPL");
