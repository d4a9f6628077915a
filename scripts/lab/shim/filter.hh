// SPDX-License-Identifier: GPL-2.0-only
//
// KVM's MSR filter, by which KVM passes accesses on to user space: our rules, and QEMU's own filter
// after them.

#pragma once

#include <linux/kvm.h>

#include "spec.hh"

namespace shim {

// The bitmap of a range, which has one MSR: its bit is 0, so access is denied. KVM reads whole
// words.
inline u64 denied = 0;

inline kvm_msr_filter_range range_of(const Rule& rule) {
    kvm_msr_filter_range range{};
    range.flags = (rule.reads ? KVM_MSR_FILTER_READ : 0) | (rule.writes ? KVM_MSR_FILTER_WRITE : 0);
    range.nmsrs = 1;
    range.base = rule.msr;
    range.bitmap = reinterpret_cast<u8*>(&denied);
    return range;
}

// KVM uses the first range that has the MSR and the kind of access, so ours come first. Returns
// false if there is no room for all of them; then the filter is unchanged.
inline bool add_rules(const Spec& spec, kvm_msr_filter& filter) {
    kvm_msr_filter merged{};
    merged.flags = filter.flags;
    u32 used = 0;
    for (const Rule& rule : spec.all()) merged.ranges[used++] = range_of(rule);
    for (const kvm_msr_filter_range& range : filter.ranges) {
        if (!range.nmsrs) continue;
        if (used == KVM_MSR_FILTER_MAX_RANGES) return false;
        merged.ranges[used++] = range;
    }
    filter = merged;
    return true;
}

}  // namespace shim
