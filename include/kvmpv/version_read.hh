// SPDX-License-Identifier: GPL-2.0-only
//
// The version-counter protocol by which clock, wall clock and steal time are read (msr.rst): the
// host makes the version odd, changes the record and makes it even again. A reader looks at the
// version before and after; what it read counts if both are equal and even.
//
// The host is input: a version that stays odd, or that changes at every look, must not hold the
// reader for ever. Every loop here ends after kVersionReadAttempts.
//
// A Machine supplies the memory accesses, so that the same code runs on the live areas and on a
// scripted host:
//     T load(const T& shared)   one untorn load that the compiler neither repeats nor drops
//     void barrier()            the compiler moves no memory access across it; x86 keeps load order

#pragma once

#include "kvmpv/std.hh"

namespace kvmpv {

// On its own CPU a guest never sees its record half written: the host writes it while the vCPU is
// stopped. A retry needs a migration between two CPUs or a foreign record's update within the
// window of some 30 ns, so even two in a row are rare; 100 are a host that does not play by the
// rules, and take about 5 us.
inline constexpr unsigned kVersionReadAttempts = 100;

// The version to compare with later. An odd one is rounded down, so that no later version that is
// even can equal it by accident and the odd one itself never does.
template <class Machine>
[[gnu::always_inline]] inline u32 version_begin(Machine& machine, const u32& version) {
    const u32 seen = machine.load(version) & ~u32{1};
    machine.barrier();
    return seen;
}

template <class Machine>
[[gnu::always_inline]] inline bool version_unchanged(Machine& machine, const u32& version,
                                                     u32 begun) {
    machine.barrier();
    return machine.load(version) == begun;
}

// Calls take() until what it read lies between two looks at the same even version. False if that
// did not happen within the bound: nothing that take() read may be used then. Any context in which
// `version` is mapped.
template <class Machine, class Take>
[[nodiscard, gnu::always_inline]] inline bool version_read(Machine& machine, const u32& version,
                                                           Take&& take) {
    for (unsigned attempt = 0; attempt < kVersionReadAttempts; ++attempt) {
        const u32 begun = version_begin(machine, version);
        take();
        if (version_unchanged(machine, version, begun)) [[likely]]
            return true;
    }
    return false;
}

}  // namespace kvmpv
