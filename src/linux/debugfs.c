// SPDX-License-Identifier: GPL-2.0-only
/*
 * The files below /sys/kernel/debug/kvmpv.
 */
#include <linux/debugfs.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/poll.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "../boundary.h"

#include "waiters.h"

/* Longer than anything that a file accepts. */
#define MAX_WRITE 64

static struct dentry *root;
static DEFINE_MUTEX(store_lock);

static int show(struct seq_file *seq, void *unused)
{
	const struct kvmpv_file *file = seq->private;

	if (file->is_awaited)
		seq->poll_event = kvmpv_look_here();
	file->show(seq);
	return 0;
}

static int open(struct inode *inode, struct file *file)
{
	return single_open(file, show, inode->i_private);
}

static int open_awaited(struct inode *inode, struct file *file)
{
	int error = open(inode, file);

	if (!error)
		((struct seq_file *)file->private_data)->poll_event = kvmpv_look_here();
	return error;
}

/* As of a file of sysfs: it can always be read, and there is something new until it was. */
static __poll_t poll(struct file *file, poll_table *table)
{
	const struct seq_file *seq = file->private_data;
	__poll_t readable = EPOLLIN | EPOLLRDNORM;

	kvmpv_waiters_add(file, table);
	if (seq->poll_event == (int)kvmpv_look_here())
		return readable;
	return readable | EPOLLERR | EPOLLPRI;
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
	error = description->store_while_open ? description->store_while_open(text, file) :
						description->store(text);
	mutex_unlock(&store_lock);
	return error ? error : length;
}

static int release_and_tell(struct inode *inode, struct file *file)
{
	const struct kvmpv_file *description = inode->i_private;

	description->closed(file);
	return single_release(inode, file);
}

static const struct file_operations read_only = {
	.owner = THIS_MODULE,
	.open = open,
	.read = seq_read,
	.llseek = seq_lseek,
	.release = single_release,
};

static const struct file_operations awaited = {
	.owner = THIS_MODULE,
	.open = open_awaited,
	.read = seq_read,
	.poll = poll,
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

static const struct file_operations kept_open = {
	.owner = THIS_MODULE,
	.open = open,
	.read = seq_read,
	.write = store,
	.llseek = seq_lseek,
	.release = release_and_tell,
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

static const struct file_operations *operations_of(const struct kvmpv_file *file)
{
	if (file->store_while_open)
		return &kept_open;
	if (file->store)
		return &read_write;
	return file->is_awaited ? &awaited : &read_only;
}

void linux_debugfs_add(const struct kvmpv_file *file)
{
	bool can_be_written = file->store || file->store_while_open;

	debugfs_create_file(file->name, can_be_written ? 0600 : 0400, directory(file->directory),
			    (void *)file, operations_of(file));
}

void linux_debugfs_remove(void)
{
	debugfs_remove_recursive(root);
}

void linux_seq_write(void *seq, const char *text, u32 length)
{
	seq_write(seq, text, length);
}
