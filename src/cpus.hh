// SPDX-License-Identifier: GPL-2.0-only
//
// Going over CPUs.

#pragma once

#include "kvmpv/boundary.h"

namespace kvmpv {

// No CPU comes or goes while it lives.
class CpusLock {
public:
    CpusLock() { linux_cpus_lock(); }
    ~CpusLock() { linux_cpus_unlock(); }
    CpusLock(const CpusLock&) = delete;
    CpusLock& operator=(const CpusLock&) = delete;
};

inline u32 last_possible_cpu() {
    int last = 0;
    for (int cpu = linux_next_possible_cpu(-1); cpu >= 0; cpu = linux_next_possible_cpu(cpu))
        last = cpu;
    return static_cast<u32>(last);
}

inline bool is_online(u32 cpu) {
    return linux_next_online_cpu(static_cast<int>(cpu) - 1) == static_cast<int>(cpu);
}

// Under CpusLock.
template <class Function>
void for_each_offline_cpu(Function&& function) {
    for (int cpu = linux_next_possible_cpu(-1); cpu >= 0; cpu = linux_next_possible_cpu(cpu))
        if (!is_online(static_cast<u32>(cpu))) function(static_cast<u32>(cpu));
}

// For each possible CPU: on the CPU itself, with interrupts off, where it is online, else here.
// Under CpusLock.
inline void on_or_for_each_cpu(void (*function)(u32 cpu)) {
    linux_on_each_cpu(function);
    for_each_offline_cpu(function);
}

}  // namespace kvmpv
