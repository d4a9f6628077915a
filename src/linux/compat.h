/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Every difference between the kernels that kvmpv builds for. The kernels are told apart by what
 * their headers define, and by version number only if the headers define nothing.
 */
#ifndef KVMPV_COMPAT_H
#define KVMPV_COMPAT_H

#include <linux/version.h>
#include <asm/apic.h>
#include <asm/msr.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 1, 0)
#error "kvmpv needs Linux 6.1 or newer"
#endif

/* 6.16 renamed the 64-bit accessors from l to q. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 16, 0)
#define kvmpv_rdmsr_safe_on_cpu rdmsrq_safe_on_cpu
#define kvmpv_rdmsr_safe rdmsrq_safe
#define kvmpv_wrmsr_safe wrmsrq_safe
#else
#define kvmpv_rdmsr_safe_on_cpu rdmsrl_safe_on_cpu
#define kvmpv_rdmsr_safe rdmsrl_safe
#define kvmpv_wrmsr_safe wrmsrl_safe
#endif

/* The workqueue that runs work on the CPU where it was queued. Its old name warns when used. */
#ifdef KVMPV_HAS_PERCPU_WQ
#define kvmpv_percpu_wq system_percpu_wq
#else
#define kvmpv_percpu_wq system_wq
#endif

/* 7.x took the operations of spinlocks out of pv_ops. */
#ifdef KVMPV_HAS_PV_OPS_LOCK
#include <asm/paravirt-spinlock.h>
#define KVMPV_PV_LOCK_OPS pv_ops_lock
#else
#define KVMPV_PV_LOCK_OPS pv_ops.lock
#endif

/*
 * 6.5 turned the APIC callbacks into static calls and struct apic's eoi_write(reg, value) into
 * eoi(void); the header defines this macro since then.
 */
#ifdef apic_update_callback
#define KVMPV_APIC_STATIC_CALLS 1
#define kvmpv_apic_eoi eoi
#else
#define kvmpv_apic_eoi eoi_write
#endif

#endif
