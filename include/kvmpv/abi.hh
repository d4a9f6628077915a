// SPDX-License-Identifier: GPL-2.0-only
//
// The paravirtual interface between KVM and its guest, by the names and numbers of the kernel's
// documents "KVM-specific MSRs" (Documentation/virt/kvm/x86/msr.rst) and "KVM CPUID bits"
// (Documentation/virt/kvm/x86/cpuid.rst). Nothing here is specific to Linux.

#pragma once

#include "kvmpv/std.hh"

namespace kvmpv {

// ---- MSRs (msr.rst, "Custom MSR list") -----------------------------------------------------

enum class Msr : u32 {
    KVM_WALL_CLOCK = 0x11,   // deprecated alias of KVM_WALL_CLOCK_NEW
    KVM_SYSTEM_TIME = 0x12,  // deprecated; a write on vCPU 0 switches the host's masterclock off
    KVM_WALL_CLOCK_NEW = 0x4b56'4d00,
    KVM_SYSTEM_TIME_NEW = 0x4b56'4d01,
    KVM_ASYNC_PF_EN = 0x4b56'4d02,
    KVM_STEAL_TIME = 0x4b56'4d03,
    KVM_EOI_EN = 0x4b56'4d04,
    KVM_POLL_CONTROL = 0x4b56'4d05,
    KVM_ASYNC_PF_INT = 0x4b56'4d06,
    KVM_ASYNC_PF_ACK = 0x4b56'4d07,
    KVM_MIGRATION_CONTROL = 0x4b56'4d08,
};

// Bit 0 of every registration MSR: the host may write to the address in the bits above.
inline constexpr u64 kMsrEnabled = 1;

// The address bits of a registration MSR: clock and EOI areas are 4-byte aligned, steal time and
// async page fault areas 64-byte aligned; the bits below are flags or reserved.
inline constexpr u64 kSystemTimeAddressMask = ~u64{1};
inline constexpr u64 kEoiAddressMask = ~u64{3};
inline constexpr u64 kStealTimeAddressMask = ~u64{63};
inline constexpr u64 kAsyncPfAddressMask = ~u64{63};

// ---- CPUID (cpuid.rst) ---------------------------------------------------------------------

inline constexpr u32 kCpuidBaseFirst = 0x4000'0000;
inline constexpr u32 kCpuidBaseLast = 0x4000'ff00;
inline constexpr u32 kCpuidBaseStep = 0x100;
inline constexpr u32 kCpuidFeaturesOffset = 1;

// "KVMKVMKVM\0\0\0" as it stands in EBX, ECX, EDX.
inline constexpr u32 kKvmSignatureEbx = 0x4b4d'564b;
inline constexpr u32 kKvmSignatureEcx = 0x564b'4d56;
inline constexpr u32 kKvmSignatureEdx = 0x0000'004d;

// CPUID.1:ECX bit 31: a hypervisor is present, so the leaves from 0x40000000 mean something.
inline constexpr u32 kCpuidHypervisorPresent = u32{1} << 31;

// Bit numbers in EAX of leaf base + 1. The document calls them "flag" and lists the bit's number
// as "value": kvmclock at the new MSRs is offered when EAX & (1 << 3), not when EAX & 3.
enum class Feature : u8 {
    KVM_FEATURE_CLOCKSOURCE = 0,
    KVM_FEATURE_NOP_IO_DELAY = 1,
    KVM_FEATURE_MMU_OP = 2,
    KVM_FEATURE_CLOCKSOURCE2 = 3,
    KVM_FEATURE_ASYNC_PF = 4,
    KVM_FEATURE_STEAL_TIME = 5,
    KVM_FEATURE_PV_EOI = 6,
    KVM_FEATURE_PV_UNHALT = 7,
    KVM_FEATURE_PV_TLB_FLUSH = 9,
    KVM_FEATURE_ASYNC_PF_VMEXIT = 10,
    KVM_FEATURE_PV_SEND_IPI = 11,
    KVM_FEATURE_POLL_CONTROL = 12,
    KVM_FEATURE_PV_SCHED_YIELD = 13,
    KVM_FEATURE_ASYNC_PF_INT = 14,
    KVM_FEATURE_MSI_EXT_DEST_ID = 15,
    KVM_FEATURE_HC_MAP_GPA_RANGE = 16,
    KVM_FEATURE_MIGRATION_CONTROL = 17,
    KVM_FEATURE_CLOCKSOURCE_STABLE_BIT = 24,
};

// Bit numbers in EDX of leaf base + 1.
enum class Hint : u8 {
    KVM_HINTS_REALTIME = 0,
};

// ---- Areas in guest memory that the host writes (msr.rst) -------------------------------------

struct PvclockVcpuTimeInfo {
    u32 version;
    u32 pad0;
    u64 tsc_timestamp;
    u64 system_time;  // nanoseconds
    u32 tsc_to_system_mul;
    s8 tsc_shift;
    u8 flags;
    u8 pad[2];
};
static_assert(sizeof(PvclockVcpuTimeInfo) == 32);
static_assert(offsetof(PvclockVcpuTimeInfo, version) == 0);
static_assert(offsetof(PvclockVcpuTimeInfo, tsc_timestamp) == 8);
static_assert(offsetof(PvclockVcpuTimeInfo, system_time) == 16);
static_assert(offsetof(PvclockVcpuTimeInfo, tsc_to_system_mul) == 24);
static_assert(offsetof(PvclockVcpuTimeInfo, tsc_shift) == 28);
static_assert(offsetof(PvclockVcpuTimeInfo, flags) == 29);

// PvclockVcpuTimeInfo::flags. Bit 0 counts only where KVM_FEATURE_CLOCKSOURCE_STABLE_BIT is
// offered.
inline constexpr u8 kPvclockTscStable = 1 << 0;
inline constexpr u8 kPvclockGuestStopped = 1 << 1;

struct PvclockWallClock {
    u32 version;
    u32 sec;
    u32 nsec;
};
static_assert(sizeof(PvclockWallClock) == 12);

struct KvmStealTime {
    u64 steal;  // nanoseconds
    u32 version;
    u32 flags;
    u8 preempted;  // outside the version protocol
    u8 u8_pad[3];
    u32 pad[11];
};
static_assert(sizeof(KvmStealTime) == 64);
static_assert(offsetof(KvmStealTime, steal) == 0);
static_assert(offsetof(KvmStealTime, version) == 8);
static_assert(offsetof(KvmStealTime, flags) == 12);
static_assert(offsetof(KvmStealTime, preempted) == 16);

// The 4-byte area of KVM_EOI_EN; bit 0 set means that the EOI write may be skipped.
struct KvmPvEoi {
    u32 word;
};
static_assert(sizeof(KvmPvEoi) == 4);
inline constexpr u32 kPvEoiPending = 1 << 0;

struct KvmVcpuPvApfData {
    u32 flags;
    u32 token;
    u8 pad[56];
};
static_assert(sizeof(KvmVcpuPvApfData) == 64);

}  // namespace kvmpv
