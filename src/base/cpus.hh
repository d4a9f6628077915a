// SPDX-License-Identifier: GPL-2.0-only
//
// Going over CPUs, and running code on them.

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

// The CPUs that kNext goes through, for a range-based loop. Each step asks for the next one anew.
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

inline CpuRange<linux_next_possible_cpu> possible_cpus() { return {}; }
// Under CpusLock, unless it does no harm that a CPU comes or goes meanwhile.
inline CpuRange<linux_next_online_cpu> online_cpus() { return {}; }

inline u32 last_possible_cpu() {
    u32 last = 0;
    for (const u32 cpu : possible_cpus()) last = cpu;
    return last;
}

inline bool is_online(u32 cpu) {
    return linux_next_online_cpu(static_cast<int>(cpu) - 1) == static_cast<int>(cpu);
}

// Under CpusLock.
template <std::invocable<u32> Function>
void for_each_offline_cpu(Function&& function) {
    for (const u32 cpu : possible_cpus())
        if (!is_online(cpu)) function(cpu);
}

// Calls a function or function object for the kernel side, which knows pointers only.
template <class Function>
void call_function(u32 cpu, void* function) {
    (*static_cast<Function*>(function))(cpu);
}

// function(cpu) on every online CPU, in interrupt context; returns when all are done.
template <std::invocable<u32> Function>
void on_each_cpu(Function function) {
    linux_on_each_cpu(call_function<Function>, &function);
}

// The same on all of them at once: none goes on before the last one is done.
template <std::invocable<u32> Function>
void on_stopped_cpus(Function function) {
    linux_stop_cpus(call_function<Function>, &function);
}

// function(cpu) on `cpu`, which must be online, with interrupts off; returns when it is done.
template <std::invocable<u32> Function>
void on_cpu(u32 cpu, Function function) {
    linux_call_on_cpu(cpu, call_function<Function>, &function);
}

// For each possible CPU: on the CPU itself, with interrupts off, where it is online, else here.
// Under CpusLock.
template <std::invocable<u32> Function>
void on_or_for_each_cpu(Function function) {
    on_each_cpu(function);
    for_each_offline_cpu(function);
}

}  // namespace kvmpv
