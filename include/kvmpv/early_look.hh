// SPDX-License-Identifier: GPL-2.0-only
//
// When does a CPU look at its clock record early, before the sampler's turn?
//
// Each tick compares the record's version with the one that was seen last. A version also changes
// for harmless reasons. If the host does not promise a stable clock, it changes each time that the
// host runs the vCPU. So early looks are limited in number. The look itself finds out what has
// happened.

#pragma once

#include "kvmpv/std.hh"

namespace kvmpv {

// What is known of one CPU's record; struct kvmpv_record_watch is one. Zeros: nothing is known, and
// no looks are made. Only that CPU uses it, with interrupts off, or another one while that CPU is
// offline.
template <class T>
concept RecordWatch = requires(T& watch) {
    { watch.seen_version } -> std::same_as<u64&>;
    // Each early look uses up one interval. This is the end of the last one.
    { watch.used_until_ns } -> std::same_as<u64&>;
    // Looks are made when they are asked for.
    { watch.is_on } -> std::same_as<bool&>;
};

// In the long run there is at most one early look per interval. After a quiet time there may be
// kEarlyLooksInARow at once, because one disruption may change the record several times, and
// several disruptions may follow each other.
inline constexpr u64 kEarlyLookIntervalNs = 250'000'000;
inline constexpr u64 kEarlyLooksInARow = 8;

// Returns whether an early look is allowed at `now_ns`, and if it is, counts it. A time that has
// gone back far does not block looks.
template <RecordWatch Watch>
constexpr bool take_early_look(Watch& watch, u64 now_ns) {
    constexpr u64 kMostAheadNs = kEarlyLooksInARow * kEarlyLookIntervalNs;
    const u64 ahead_ns = watch.used_until_ns > now_ns ? watch.used_until_ns - now_ns : 0;
    const u64 used_ns = ahead_ns <= kMostAheadNs ? ahead_ns : 0;
    if (used_ns > kMostAheadNs - kEarlyLookIntervalNs) return false;
    watch.used_until_ns = now_ns + used_ns + kEarlyLookIntervalNs;
    return true;
}

// For a record whose version was not seen yet, at `now_ns`. Returns whether to ask for a look. If
// it is too soon for one, the version stays unseen, and the next tick tries again.
template <RecordWatch Watch>
constexpr bool calls_for_look(Watch& watch, u32 version, u64 now_ns) {
    if (watch.is_on && !take_early_look(watch, now_ns)) return false;
    watch.seen_version = version;
    return watch.is_on;
}

}  // namespace kvmpv
