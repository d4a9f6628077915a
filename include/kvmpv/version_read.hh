// SPDX-License-Identifier: GPL-2.0-only
//
// The version protocol of the clock, wall clock and steal time records (msr.rst). The host makes
// the version odd, changes the record and makes the version even again. A reader looks at the
// version before and after it reads. What it has read counts only if both versions are equal and
// even.
//
// The host is input. A version that stays odd, or that changes at every look, must not hold the
// reader for ever, so every loop here ends after kVersionReadAttempts.

#pragma once

#include "kvmpv/std.hh"

namespace kvmpv {

// The memory accesses of a reader. The same readers run on the host's records and on those of a
// scripted host.
template <class T>
concept VersionMachine = requires(T& machine, const u32& version) {
    // Loads a scalar in one piece, here. The compiler may repeat the load only if the caller
    // discards the value unless the version is found unchanged afterwards.
    { machine.load(version) } -> std::same_as<u32>;
    // The compiler moves no memory access across it. x86 itself keeps loads in order with loads.
    machine.barrier();
};

// A vCPU never sees its own record half written, because the host writes it while the vCPU is
// stopped. A retry takes a move to another CPU, or an update of another CPU's record, within the
// window of some 30 ns. So two retries in a row are rare. 100 mean that the host breaks the
// protocol; they take about 5 us.
inline constexpr unsigned kVersionReadAttempts = 100;

// Starts a read: returns the version to compare with afterwards. An odd version is rounded down.
// The odd version itself then never compares equal, and neither does the next even one.
template <VersionMachine Machine>
[[gnu::always_inline]] inline u32 version_begin(Machine& machine, const u32& version) {
    const u32 seen = machine.load(version) & ~u32{1};
    machine.barrier();
    return seen;
}

// Ends a read: true if the record was whole and nobody has written it since version_begin().
template <VersionMachine Machine>
[[gnu::always_inline]] inline bool version_unchanged(Machine& machine, const u32& version,
                                                     u32 begun) {
    machine.barrier();
    return machine.load(version) == begun;
}

// Calls take() until the version is even and the same before and after it. False if that did not
// happen within kVersionReadAttempts; nothing that take() has read may be used then. Never sleeps;
// any context, NMI included.
template <VersionMachine Machine, std::invocable Take>
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
