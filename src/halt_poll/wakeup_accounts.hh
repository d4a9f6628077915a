// SPDX-License-Identifier: GPL-2.0-only
//
// What woke idle CPUs, and how long that took. While this is off none of it runs, because no probe
// is registered on the kernel's tracepoints.

#pragma once

#include "boundary.h"
#include "kvmpv/result.hh"
#include "kvmpv/wakeups.hh"

namespace kvmpv::wakeup_accounts {

// Switches counting on, from 0, or off. Returns -ENOMEM, or the error of linux_wakeups_enable(),
// and then it is off. CPUs that are online get their memory when it is switched on, and others when
// they come online. The memory is kept until destroy(), which is called while it is off. Under the
// mutex of halt polling or at unload; may sleep.
Result<void> set_on(bool on);
bool is_on();
void destroy();

// Whether the kernel reports when it sends an IPI, so that IPIs are timed and not only counted. It
// is not known before the first set_on(true).
bool ipis_are_timed();

// Counts from 0 again on each CPU, online or not. Under CpusLock; interrupts on.
void forget_all();

// `cpu` has come online. On that CPU; may sleep. Returns -ENOMEM, and then nothing is counted
// there.
Result<void> online_cpu(u32 cpu);

// What was counted on `cpu` until now. Nothing if it has no memory. On that CPU, interrupts off.
std::optional<Wakeups::Counts> counts_of(u32 cpu);

}  // namespace kvmpv::wakeup_accounts
