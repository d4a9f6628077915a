// SPDX-License-Identifier: GPL-2.0-only
//
// Every instruction that C++ has no words for, in the kernel. The only file with inline asm; user
// space supplies another one in its place.

#pragma once

#include "kvmpv/boundary.h"
#include "kvmpv/cpuid.hh"

namespace kvmpv::x86 {

// The compiler moves no memory access across. x86 itself keeps loads in order with loads.
[[gnu::always_inline]] inline void barrier() { asm volatile("" ::: "memory"); }

// One load, of the whole object, here: what READ_ONCE() is in C.
template <class T>
[[gnu::always_inline]] inline T load(const T& shared) {
    static_assert(std::is_scalar_v<T>, "only a scalar is loaded in one piece");
    return *const_cast<const volatile T*>(&shared);
}

// Like load(), where the compiler may make the load an operand of what follows, or do it twice.
// Only between two barriers, and only for what is thrown away if a version has changed in between.
template <class T>
[[gnu::always_inline]] inline T load_checked_later(const T& shared) {
    static_assert(std::is_scalar_v<T>, "only a scalar is loaded in one piece");
    return shared;
}

// A member of this CPU's struct kvmpv_cpu: one instruction, so that no migration falls in between.
template <auto* kMember>
[[gnu::always_inline]] inline auto this_cpu_load() {
    using T = std::remove_pointer_t<decltype(kMember)>;
    static_assert(sizeof(T) == 8);
    T value;
    asm volatile("movq %%gs:%c1, %0" : "=r"(value) : "i"(kMember));
    return value;
}

template <auto* kMember>
[[gnu::always_inline]] inline bool this_cpu_equals(u64 value) {
    static_assert(sizeof(*kMember) == 8);
    bool equal;
    asm volatile("cmpq %%gs:%c2, %1" : "=@cce"(equal) : "r"(value), "i"(kMember));
    return equal;
}

template <auto* kMember>
[[gnu::always_inline]] inline void this_cpu_increment() {
    static_assert(sizeof(*kMember) == 8);
    asm volatile("incq %%gs:%c0" : : "i"(kMember));
}

// One instruction on memory, not locked: whole for whoever cannot run while this CPU does.
[[gnu::always_inline]] inline void add(u64& shared, u64 value) {
    asm volatile("addq %1, %0" : "+m"(shared) : "r"(value) : "memory");
}

// Where it falls among the loads around it is the CPU's choice.
[[gnu::always_inline]] inline u64 rdtsc() {
    u64 low, high;  // the instruction clears the upper halves
    asm volatile("rdtsc" : "=a"(low), "=d"(high));
    return (high << 32) | low;
}

// Clears bit 0 of the u32 that a pointer in this CPU's struct kvmpv_cpu names, and says whether it
// was set. Only the btr touches the word; not locked, for the host looks at it only while this CPU
// does not run. With interrupts off, or the thread might go on elsewhere behind the first
// instruction.
template <auto* kMember>
[[gnu::always_inline]] inline bool this_cpu_test_and_clear_bit0() {
    const void* const word = this_cpu_load<kMember>();
    bool was_set;
    asm volatile("btrl $0, (%1)" : "=@ccc"(was_set) : "r"(word) : "memory");
    return was_set;
}

// lfence waits for the loads before it and rdtsc does not start before lfence is done. On AMD that
// holds where lfence is dispatch-serialising, which X86_FEATURE_LFENCE_RDTSC says.
[[gnu::always_inline]] inline u64 lfence_rdtsc() {
    u64 low, high;  // the instruction clears the upper halves
    asm volatile("lfence\n\trdtsc" : "=a"(low), "=d"(high) : : "memory");
    return (high << 32) | low;
}

// rdtscp waits for earlier loads by itself.
[[gnu::always_inline]] inline u64 rdtscp() {
    u64 low, high;
    asm volatile("rdtscp" : "=a"(low), "=d"(high) : : "rcx", "memory");
    return (high << 32) | low;
}

// How often the kernel has switched away from `thread`, a struct task_struct, while that was running.
[[gnu::always_inline]] inline u64 involuntary_switches(const void* thread) {
    u64 switches;
    asm volatile("movq %c1(%2), %0" : "=r"(switches) : "i"(kvmpv_task_nivcsw), "r"(thread));
    return switches;
}

[[gnu::always_inline]] inline bool involuntary_switches_equal(const void* thread, u64 switches) {
    bool equal;
    asm volatile("cmpq %1, %c2(%3)"
                 : "=@cce"(equal)
                 : "r"(switches), "i"(kvmpv_task_nivcsw), "r"(thread));
    return equal;
}

inline constexpr u64 kRflagsInterruptsOn = 1 << 9;

// The raw flag, past lockdep and tracing: the clock is read from inside both.
[[gnu::always_inline]] inline u64 irq_save() {
    u64 rflags;
    asm volatile("pushfq\n\tpopq %0\n\tcli" : "=r"(rflags) : : "memory");
    return rflags;
}

[[gnu::always_inline]] inline void irq_restore(u64 rflags) {
    if (rflags & kRflagsInterruptsOn) asm volatile("sti" ::: "memory");
}

inline CpuidRegisters cpuid(u32 leaf) {
    CpuidRegisters out;
    asm volatile("cpuid"
                 : "=a"(out.eax), "=b"(out.ebx), "=c"(out.ecx), "=d"(out.edx)
                 : "a"(leaf), "c"(0));
    return out;
}

}  // namespace kvmpv::x86
