// SPDX-License-Identifier: GPL-2.0-only
//
// Loops over CPUs, and code that runs on other CPUs.

#pragma once

#include "kvmpv/boundary.h"

namespace kvmpv {

// Holds the hotplug lock: while this object lives no CPU goes online or offline. May sleep.
class CpusLock {
public:
    CpusLock() { linux_cpus_lock(); }
    ~CpusLock() { linux_cpus_unlock(); }
    CpusLock(const CpusLock&) = delete;
    CpusLock& operator=(const CpusLock&) = delete;
};

// The CPUs that kNext walks through, for a range-based for loop. Each step calls kNext anew.
template <int (*kNext)(int cpu)>
class CpuRange {
public:
    class Iterator {
    public:
        explicit Iterator(int cpu) : cpu_(cpu) {}
        u32 operator*() const { return static_cast<u32>(cpu_); }
        Iterator& operator++() {
            cpu_ = kNext(cpu_);
            return *this;
        }
        bool operator!=(const Iterator& other) const { return cpu_ != other.cpu_; }

    private:
        int cpu_;
    };

    Iterator begin() const { return Iterator(kNext(-1)); }
    Iterator end() const { return Iterator(-1); }
};

// Any context.
inline CpuRange<linux_next_possible_cpu> possible_cpus() { return {}; }
// Under CpusLock, unless it does no harm if a CPU goes online or offline during the loop.
inline CpuRange<linux_next_online_cpu> online_cpus() { return {}; }

inline u32 last_possible_cpu() {
    u32 last = 0;
    for (const u32 cpu : possible_cpus()) last = cpu;
    return last;
}

// Under CpusLock, or the answer may be out of date.
inline bool is_online(u32 cpu) {
    return linux_next_online_cpu(static_cast<int>(cpu) - 1) == static_cast<int>(cpu);
}

// Calls function(cpu) for every possible CPU that is offline, on this CPU. Under CpusLock.
template <std::invocable<u32> Function>
void for_each_offline_cpu(Function&& function) {
    for (const u32 cpu : possible_cpus())
        if (!is_online(cpu)) function(cpu);
}

// Calls a function object for the C side, which passes only a pointer.
template <class Function>
void call_function(u32 cpu, void* function) {
    (*static_cast<Function*>(function))(cpu);
}

// Calls function(cpu) on every online CPU with interrupts off, and returns when all calls have
// returned. Interrupts on.
template <std::invocable<u32> Function>
void on_each_cpu(Function function) {
    linux_on_each_cpu(call_function<Function>, &function);
}

// Calls function(cpu) on every online CPU at the same time, with interrupts off. No CPU does
// anything else until the last call has returned. May sleep.
template <std::invocable<u32> Function>
void on_stopped_cpus(Function function) {
    linux_stop_cpus(call_function<Function>, &function);
}

// Calls function(cpu) on `cpu`, which must be online, with interrupts off, and returns when the
// call has returned. Interrupts on.
template <std::invocable<u32> Function>
void on_cpu(u32 cpu, Function function) {
    linux_call_on_cpu(cpu, call_function<Function>, &function);
}

// Calls function(cpu) for each possible CPU: on the CPU itself, with interrupts off, if it is
// online, otherwise on this CPU. Under CpusLock; interrupts on.
template <std::invocable<u32> Function>
void on_or_for_each_cpu(Function function) {
    on_each_cpu(function);
    for_each_offline_cpu(function);
}

}  // namespace kvmpv
