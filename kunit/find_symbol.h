/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where something of the kernel's is that it does not export. For one object of a test module;
 * kvmpv.ko has its own (src/linux/symbols.c), which the tests must not rely on.
 */
#ifndef KVMPV_FIND_SYMBOL_H
#define KVMPV_FIND_SYMBOL_H

#include <linux/kprobes.h>
#include <linux/static_call.h>

/* By a static call: an indirect one would trap where the kernel has sealed that function (IBT). */
static unsigned long (*lookup_name)(const char *name);
DEFINE_STATIC_CALL_NULL(kvmpv_lookup_name, *lookup_name);

/* Once, before find_symbol(). 0, or a negative errno. May sleep. */
static inline int learn_symbols(void)
{
	struct kprobe kp = { .symbol_name = "kallsyms_lookup_name" };
	int err = register_kprobe(&kp);

	if (err)
		return err;
	unregister_kprobe(&kp);
	__static_call_update(&STATIC_CALL_KEY(kvmpv_lookup_name),
			     STATIC_CALL_TRAMP_ADDR(kvmpv_lookup_name), kp.addr);
	return 0;
}

/* NULL: there is none of that name. */
static inline void *find_symbol(const char *name)
{
	return (void *)static_call(kvmpv_lookup_name)(name);
}

#endif
