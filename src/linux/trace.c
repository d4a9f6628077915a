// SPDX-License-Identifier: GPL-2.0-only
/*
 * The trace events of the group kvmpv, for perf, trace-cmd and bpftrace.
 */
#include <linux/module.h>

#include "../boundary.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

void linux_trace_steal(u32 cpu, u64 delta_ns, u64 total_ns)
{
	trace_steal(cpu, delta_ns, total_ns);
}

void linux_trace_steal_step(u32 cpu, bool forward, u64 step_ns, u64 total_ns)
{
	trace_steal_step(cpu, forward, step_ns, total_ns);
}

void linux_trace_async_pf_wait(u32 cpu, u32 token, u64 wait_ns)
{
	trace_async_pf_wait(cpu, token, wait_ns);
}
