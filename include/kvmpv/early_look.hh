// SPDX-License-Identifier: GPL-2.0-only
//
// When is a CPU's clock record worth a look before its turn?
//
// Each tick compares the record's version with the one that was seen last. A version also changes
// for harmless reasons. Where the host does not promise a stable clock it changes each time that
// the vCPU is taken up. So the looks that come early are limited in number, and what has happened
// is left to the look.

#pragma once

#include "kvmpv/std.hh"

namespace kvmpv {

// What is known of one CPU's record; struct kvmpv_record_watch is one. Zeros: nothing, and nobody
// looks. Only that CPU uses it, with interrupts off, or another one while that CPU is offline.
template <class T>
concept RecordWatch = requires(T& watch) {
    { watch.seen_version } -> std::same_as<u64&>;
    // Each early look uses up an interval. This is where the last one's ends.
    { watch.used_until_ns } -> std::same_as<u64&>;
    // Somebody looks when asked to.
    { watch.is_on } -> std::same_as<bool&>;
};

// One early look for each such interval in the long run, and so many in a row after a quiet time:
// one disruption may change the record several times, and a host may do several.
inline constexpr u64 kEarlyLookIntervalNs = 250'000'000;
inline constexpr u64 kEarlyLooksInARow = 8;

// Whether there may be another early look at `now_ns`, which then counts. A time that has gone back
// does not keep looks away.
template <RecordWatch Watch>
constexpr bool take_early_look(Watch& watch, u64 now_ns) {
    constexpr u64 kMostAheadNs = kEarlyLooksInARow * kEarlyLookIntervalNs;
    const u64 ahead_ns = watch.used_until_ns > now_ns ? watch.used_until_ns - now_ns : 0;
    const u64 used_ns = ahead_ns <= kMostAheadNs ? ahead_ns : 0;
    if (used_ns > kMostAheadNs - kEarlyLookIntervalNs) return false;
    watch.used_until_ns = now_ns + used_ns + kEarlyLookIntervalNs;
    return true;
}

// The record has a version that was not seen, at `now_ns`. Returns whether a look is to be asked
// for. If it is too soon for one, the version stays unseen, and the next tick asks again.
template <RecordWatch Watch>
constexpr bool calls_for_look(Watch& watch, u32 version, u64 now_ns) {
    if (watch.is_on && !take_early_look(watch, now_ns)) return false;
    watch.seen_version = version;
    return watch.is_on;
}

}  // namespace kvmpv
