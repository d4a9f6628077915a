/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Looks up kernel symbols that are not exported. For test modules of one object file. kvmpv.ko has
 * its own lookup (src/linux/symbols.c), and the tests must not rely on that.
 */
#ifndef KVMPV_FIND_SYMBOL_H
#define KVMPV_FIND_SYMBOL_H

#include <linux/kprobes.h>
#include <linux/static_call.h>

/* A static call: an indirect call would trap if the kernel has sealed that function (IBT). */
static unsigned long (*lookup_name)(const char *name);
DEFINE_STATIC_CALL_NULL(kvmpv_lookup_name, *lookup_name);

/* Call once before find_symbol(). Returns 0 or a negative errno. May sleep. */
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

/* NULL if there is no such symbol. */
static inline void *find_symbol(const char *name)
{
	return (void *)static_call(kvmpv_lookup_name)(name);
}

#endif
