// SPDX-License-Identifier: GPL-2.0-only
//
// What include/kvmpv/pvclock.hh is compared with in user space: a plain reader of the record,
// written from the KVM document, and a model of what native's read executes, made from the steps
// that bench/steps.c saw. Neither is a copy of the kernel's source.

#pragma once

#include "kvmpv/abi.hh"
#include "x86.hh"

namespace kvmpv::bench {

enum class TscRead { kLfence, kRdtscp };

template <TscRead kTscRead>
[[gnu::always_inline]] inline u64 ordered_tsc() {
    return kTscRead == TscRead::kLfence ? x86::lfence_rdtsc() : x86::rdtscp();
}

[[gnu::always_inline]] inline u64 scaled(u64 ticks, u32 multiplier, s8 shift) {
    ticks = shift < 0 ? ticks >> -shift : ticks << shift;
    return static_cast<u64>((static_cast<u128>(ticks) * multiplier) >> 32);
}

// ---- The plain reader -------------------------------------------------------------------------

// Waits for an even version, copies the record, and checks that the version is still the same.
template <TscRead kTscRead>
[[gnu::noinline]] u64 plain_read(const PvclockVcpuTimeInfo* shared) {
    const volatile PvclockVcpuTimeInfo* record = shared;
    u32 version;
    u64 tsc, tsc_timestamp, system_time;
    u32 tsc_to_system_mul;
    s8 tsc_shift;
    do {
        do version = record->version;
        while (version & 1);
        x86::barrier();
        tsc = ordered_tsc<kTscRead>();
        tsc_timestamp = record->tsc_timestamp;
        system_time = record->system_time;
        tsc_to_system_mul = record->tsc_to_system_mul;
        tsc_shift = record->tsc_shift;
        x86::barrier();
    } while (record->version != version);
    return system_time + scaled(tsc - tsc_timestamp, tsc_to_system_mul, tsc_shift);
}

// ---- The model of native ----------------------------------------------------------------------

// Per CPU in the kernel and per thread here, by the same segment-relative access.
inline thread_local int preempt_count = 1;
inline thread_local const PvclockVcpuTimeInfo* this_cpu_record;
inline thread_local const PvclockVcpuTimeInfo* this_cpu_record_without_promise;
inline u8 valid_flags = kPvclockTscStable;
alignas(64) inline u64 last_value;

// The inner function of two. It is given the record and knows nothing about CPUs.
template <TscRead kTscRead>
[[gnu::noinline]] u64 native_inner(const PvclockVcpuTimeInfo* record) {
    u32 version;
    u64 now_ns;
    u8 flags;
    do {
        version = record->version & ~u32{1};
        x86::barrier();
        const u64 tsc = ordered_tsc<kTscRead>();
        now_ns = record->system_time +
                 scaled(tsc - record->tsc_timestamp, record->tsc_to_system_mul, record->tsc_shift);
        flags = record->flags;
        x86::barrier();
    } while (record->version != version);
    if (x86::load(valid_flags) & flags & kPvclockTscStable) return now_ns;

    u64 last = __atomic_load_n(&last_value, __ATOMIC_RELAXED);
    do {
        if (now_ns <= last) return last;
    } while (!__atomic_compare_exchange_n(&last_value, &last, now_ns, false, __ATOMIC_RELAXED,
                                          __ATOMIC_RELAXED));
    return now_ns;
}

// The outer function: disables preemption, finds the record, reads it, enables preemption.
template <TscRead kTscRead, bool kPromised = true>
[[gnu::noinline]] u64 native_read() {
    preempt_count = preempt_count + 1;
    x86::barrier();
    const u64 now_ns =
        native_inner<kTscRead>(kPromised ? this_cpu_record : this_cpu_record_without_promise);
    x86::barrier();
    preempt_count = preempt_count - 1;
    if (preempt_count == 0) [[unlikely]]
        __builtin_trap();
    return now_ns;
}

}  // namespace kvmpv::bench
