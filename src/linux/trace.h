/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The trace events of the group kvmpv. The kernel's macros include this file several times.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM kvmpv

#if !defined(KVMPV_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define KVMPV_TRACE_H

#include <linux/sched.h>
#include <linux/tracepoint.h>

TRACE_EVENT(steal,
	    TP_PROTO(u32 cpu, u64 delta_ns, u64 total_ns),
	    TP_ARGS(cpu, delta_ns, total_ns),
	    TP_STRUCT__entry(__field(u32, cpu)
			     __field(u64, delta_ns)
			     __field(u64, total_ns)
			     __field(pid_t, pid)
			     __array(char, comm, TASK_COMM_LEN)),
	    TP_fast_assign(__entry->cpu = cpu;
			   __entry->delta_ns = delta_ns;
			   __entry->total_ns = total_ns;
			   __entry->pid = current->pid;
			   memcpy(__entry->comm, current->comm, TASK_COMM_LEN);),
	    TP_printk("cpu=%u delta_ns=%llu total_ns=%llu pid=%d comm=%s", __entry->cpu,
		      __entry->delta_ns, __entry->total_ns, __entry->pid, __entry->comm)
);

TRACE_EVENT(steal_step,
	    TP_PROTO(u32 cpu, bool forward, u64 step_ns, u64 total_ns),
	    TP_ARGS(cpu, forward, step_ns, total_ns),
	    TP_STRUCT__entry(__field(u32, cpu)
			     __field(bool, forward)
			     __field(u64, step_ns)
			     __field(u64, total_ns)),
	    TP_fast_assign(__entry->cpu = cpu;
			   __entry->forward = forward;
			   __entry->step_ns = step_ns;
			   __entry->total_ns = total_ns;),
	    TP_printk("cpu=%u direction=%s step_ns=%llu total_ns=%llu", __entry->cpu,
		      __entry->forward ? "forward" : "backward", __entry->step_ns,
		      __entry->total_ns)
);

TRACE_EVENT(async_pf_wait,
	    TP_PROTO(u32 cpu, u32 token, u64 wait_ns),
	    TP_ARGS(cpu, token, wait_ns),
	    TP_STRUCT__entry(__field(u32, cpu)
			     __field(u32, token)
			     __field(u64, wait_ns)
			     __field(pid_t, pid)
			     __array(char, comm, TASK_COMM_LEN)),
	    TP_fast_assign(__entry->cpu = cpu;
			   __entry->token = token;
			   __entry->wait_ns = wait_ns;
			   __entry->pid = current->pid;
			   memcpy(__entry->comm, current->comm, TASK_COMM_LEN);),
	    TP_printk("cpu=%u token=%#x wait_ns=%llu pid=%d comm=%s", __entry->cpu,
		      __entry->token, __entry->wait_ns, __entry->pid, __entry->comm)
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
