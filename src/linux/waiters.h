/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef KVMPV_WAITERS_H
#define KVMPV_WAITERS_H

struct file;
struct poll_table_struct;

/* The caller is woken by the next linux_waiters_wake(). */
void kvmpv_waiters_add(struct file *file, struct poll_table_struct *table);

#endif
