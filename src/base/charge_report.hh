// SPDX-License-Identifier: GPL-2.0-only
//
// What was charged to tasks or cgroups, at one moment: those who lost most come first.

#pragma once

#include "base/memory.hh"
#include "base/mutex.hh"
#include "base/who.hh"

namespace kvmpv {

// While an object of this type lives it holds the mutex, so nothing is switched or reset.
template <class Who, kvmpv_mutex kMutex>
struct ChargeReport {
    ChargeReport() = default;
    ~ChargeReport() { linux_memory_destroy(memory); }
    ChargeReport(const ChargeReport&) = delete;
    ChargeReport& operator=(const ChargeReport&) = delete;

    // The first `count` in `memory` are there, of one CPU after the other. May sleep.
    void merge(u32 count) { charges = {memory, merge_charges(memory, count, linux_cond_resched)}; }

    MutexLock lock{kMutex};
    Charge<Who>* memory = nullptr;
    bool has_memory = true;  // false: nothing below means anything
    bool is_on = false;
    u64 other_ns = 0;
    std::span<const Charge<Who>> charges{};
};

}  // namespace kvmpv
