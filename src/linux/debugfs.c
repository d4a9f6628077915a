// SPDX-License-Identifier: GPL-2.0-only
/*
 * The files below /sys/kernel/debug/kvmpv.
 */
#include <linux/debugfs.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include <kvmpv/boundary.h>

/* Longer than anything that a file accepts. */
#define MAX_WRITE 64

static struct dentry *root;
static DEFINE_MUTEX(store_lock);

static int show(struct seq_file *seq, void *unused)
{
	const struct kvmpv_file *file = seq->private;

	file->show(seq);
	return 0;
}

static int open(struct inode *inode, struct file *file)
{
	return single_open(file, show, inode->i_private);
}

static ssize_t store(struct file *file, const char __user *from, size_t length, loff_t *offset)
{
	const struct kvmpv_file *description = file_inode(file)->i_private;
	char text[MAX_WRITE];
	int error;

	if (*offset != 0 || length == 0 || length >= sizeof(text))
		return -EINVAL;
	if (copy_from_user(text, from, length))
		return -EFAULT;
	text[length] = '\0';
	if (strlen(text) != length)
		return -EINVAL;
	if (text[length - 1] == '\n')
		text[length - 1] = '\0';

	mutex_lock(&store_lock);
	error = description->store(text);
	mutex_unlock(&store_lock);
	return error ? error : length;
}

static const struct file_operations read_only = {
	.owner = THIS_MODULE,
	.open = open,
	.read = seq_read,
	.llseek = seq_lseek,
	.release = single_release,
};

static const struct file_operations read_write = {
	.owner = THIS_MODULE,
	.open = open,
	.read = seq_read,
	.write = store,
	.llseek = seq_lseek,
	.release = single_release,
};

static struct dentry *directory(const char *name)
{
	struct dentry *existing;

	if (!*name)
		return root;
	existing = debugfs_lookup(name, root);
	if (!existing)
		return debugfs_create_dir(name, root);
	/* debugfs_lookup() took a reference, which is not needed: root keeps the directory. */
	dput(existing);
	return existing;
}

int linux_debugfs_create(void)
{
	root = debugfs_create_dir("kvmpv", NULL);
	return PTR_ERR_OR_ZERO(root);
}

void linux_debugfs_add(const struct kvmpv_file *file)
{
	debugfs_create_file(file->name, file->store ? 0600 : 0400, directory(file->directory),
			    (void *)file, file->store ? &read_write : &read_only);
}

void linux_debugfs_remove(void)
{
	debugfs_remove_recursive(root);
}

void linux_seq_write(void *seq, const char *text, u32 length)
{
	seq_write(seq, text, length);
}
