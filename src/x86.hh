// SPDX-License-Identifier: GPL-2.0-only
//
// The instructions that C++ cannot express. This is the only C++ file of the module with inline
// asm. User space compiles it as it stands, with a variable kvmpv_cpu of its own: there the base of
// %gs is 0. Nothing here sleeps; every function may be called in any context, NMI included, unless
// it says otherwise.

#pragma once

#include "boundary.h"
#include "kvmpv/cpuid.hh"

namespace kvmpv::x86 {

// The compiler moves no memory access across it. x86 itself keeps loads in order with loads, and
// stores with stores.
[[gnu::always_inline]] inline void barrier() { asm volatile("" ::: "memory"); }

// Loads the whole object in one piece, here and once, as READ_ONCE() does in C.
template <class T>
[[gnu::always_inline]] inline T load(const T& shared) {
    static_assert(std::is_scalar_v<T>, "only a scalar is loaded in one piece");
    return *const_cast<const volatile T*>(&shared);
}

// Like load(), but the compiler may make the load an operand of a later instruction, or repeat it.
// Only between two barriers, and only if the caller discards the value when the record's version
// has changed in between.
template <class T>
[[gnu::always_inline]] inline T load_checked_later(const T& shared) {
    static_assert(std::is_scalar_v<T>, "only a scalar is loaded in one piece");
    return shared;
}

// The next three access a member of this CPU's struct kvmpv_cpu in one instruction, so the thread
// cannot move to another CPU in the middle.
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

// Adds in one instruction on memory, not locked. It is atomic for whoever cannot run while this CPU
// does: an interrupt here, or the host.
[[gnu::always_inline]] inline void add(u64& shared, u64 value) {
    asm volatile("addq %1, %0" : "+m"(shared) : "r"(value) : "memory");
}

// The TSC in ticks. The CPU may read it earlier or later than the loads around it.
[[gnu::always_inline]] inline u64 rdtsc() {
    u64 low, high;  // the instruction clears the upper halves
    asm volatile("rdtsc" : "=a"(low), "=d"(high));
    return (high << 32) | low;
}

// Clears bit 0 of the u32 that a pointer in this CPU's struct kvmpv_cpu points at. Returns whether
// the bit was set. The btr alone touches the word. It is not locked, because the host looks at the
// word only while this CPU does not run. Interrupts off; otherwise the thread could move to another
// CPU after the pointer is loaded.
template <auto* kMember>
[[gnu::always_inline]] inline bool this_cpu_test_and_clear_bit0() {
    const void* const word = this_cpu_load<kMember>();
    bool was_set;
    asm volatile("btrl $0, (%1)" : "=@ccc"(was_set) : "r"(word) : "memory");
    return was_set;
}

// The TSC in ticks, read after all earlier loads: lfence waits for them, and rdtsc does not start
// before lfence is done. On AMD that is true only if lfence is dispatch-serialising, which
// X86_FEATURE_LFENCE_RDTSC says.
[[gnu::always_inline]] inline u64 lfence_rdtsc() {
    u64 low, high;  // the instruction clears the upper halves
    asm volatile("lfence\n\trdtsc" : "=a"(low), "=d"(high) : : "memory");
    return (high << 32) | low;
}

// The same by an instruction that waits for earlier loads itself. Needs X86_FEATURE_RDTSCP.
[[gnu::always_inline]] inline u64 rdtscp() {
    u64 low, high;
    asm volatile("rdtscp" : "=a"(low), "=d"(high) : : "rcx", "memory");
    return (high << 32) | low;
}

// How often the kernel has switched away from `thread`, a struct task_struct, while it was running.
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

// Disables interrupts, and returns RFLAGS for irq_restore(). It bypasses lockdep and tracing,
// because both of them read the clock.
[[gnu::always_inline]] inline u64 irq_save() {
    u64 rflags;
    asm volatile("pushfq\n\tpopq %0\n\tcli" : "=r"(rflags) : : "memory");
    return rflags;
}

[[gnu::always_inline]] inline void irq_restore(u64 rflags) {
    if (rflags & kRflagsInterruptsOn) asm volatile("sti" ::: "memory");
}

// Subleaf 0 of `leaf`. An exit in a guest.
inline CpuidRegisters cpuid(u32 leaf) {
    CpuidRegisters out;
    asm volatile("cpuid"
                 : "=a"(out.eax), "=b"(out.ebx), "=c"(out.ecx), "=d"(out.edx)
                 : "a"(leaf), "c"(0));
    return out;
}

}  // namespace kvmpv::x86
