// SPDX-License-Identifier: GPL-2.0-only
//
// The paravirtual interface between KVM and its guest. Names and numbers are those of the kernel's
// documents "KVM-specific MSRs" (Documentation/virt/kvm/x86/msr.rst), "KVM CPUID bits"
// (Documentation/virt/kvm/x86/cpuid.rst) and "GNU/Linux KVM Hypercall"
// (Documentation/virt/kvm/x86/hypercalls.rst). Nothing here is specific to Linux.

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

// Bit 0 of every registration MSR. While it is set the host may write to the address that the
// bits above hold.
inline constexpr u64 kMsrEnabled = 1;

// The address bits of each registration MSR: a guest-physical address. The document asks for
// 4-byte alignment of the clock and EOI records, and for 64-byte alignment of the steal time and
// async page fault records. The bits below the address are flags or reserved.
inline constexpr u64 kSystemTimeAddressMask = ~u64{1};
inline constexpr u64 kEoiAddressMask = ~u64{3};
inline constexpr u64 kStealTimeAddressMask = ~u64{63};
inline constexpr u64 kAsyncPfAddressMask = ~u64{63};

// ---- CPUID (cpuid.rst) ---------------------------------------------------------------------

inline constexpr u32 kCpuidBaseFirst = 0x4000'0000;
inline constexpr u32 kCpuidBaseLast = 0x4000'ff00;
inline constexpr u32 kCpuidBaseStep = 0x100;
inline constexpr u32 kCpuidFeaturesOffset = 1;

// "KVMKVMKVM\0\0\0", as EBX, ECX and EDX hold it.
inline constexpr u32 kKvmSignatureEbx = 0x4b4d'564b;
inline constexpr u32 kKvmSignatureEcx = 0x564b'4d56;
inline constexpr u32 kKvmSignatureEdx = 0x0000'004d;

// CPUID.1:ECX bit 31: a hypervisor is present. Without it the leaves from 0x40000000 on mean
// nothing.
inline constexpr u32 kCpuidHypervisorPresent = u32{1} << 31;

// Bit numbers in EAX of leaf base + 1. The document calls a bit "flag" and its number "value": the
// host offers kvmclock at the new MSRs when EAX & (1 << 3), not when EAX & 3.
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

// ---- Records: what the host writes to guest memory, one per vCPU (msr.rst) -------------------

// The clock record: the guest's time was `system_time` when its TSC was `tsc_timestamp`, and one
// TSC tick lasts tsc_to_system_mul * 2^(tsc_shift - 32) ns.
struct PvclockVcpuTimeInfo {
    u32 version;  // odd while the host writes the record
    u32 pad0;
    u64 tsc_timestamp;  // TSC ticks
    u64 system_time;    // ns
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

// PvclockVcpuTimeInfo::flags. Bit 0 promises that the records of all vCPUs agree. It means that
// only where CPUID offers KVM_FEATURE_CLOCKSOURCE_STABLE_BIT. Bit 1 says that the host had stopped
// the guest.
inline constexpr u8 kPvclockTscStable = 1 << 0;
inline constexpr u8 kPvclockGuestStopped = 1 << 1;

// The wall clock when the guest booted, in the host's time. Not per vCPU: the host writes it once,
// while the guest writes its address to the MSR.
struct PvclockWallClock {
    u32 version;  // odd while the host writes
    u32 sec;      // since 1970
    u32 nsec;
};
static_assert(sizeof(PvclockWallClock) == 12);

struct KvmStealTime {
    u64 steal;    // ns for which this vCPU could have run and did not
    u32 version;  // odd while the host writes the record
    u32 flags;
    u8 preempted;  // the host writes it without changing the version
    u8 u8_pad[3];
    u32 pad[11];
};
static_assert(sizeof(KvmStealTime) == 64);
static_assert(offsetof(KvmStealTime, steal) == 0);
static_assert(offsetof(KvmStealTime, version) == 8);
static_assert(offsetof(KvmStealTime, flags) == 12);
static_assert(offsetof(KvmStealTime, preempted) == 16);

// The 4-byte record of KVM_EOI_EN. While bit 0 is set the guest may skip the write to the EOI
// register.
struct KvmPvEoi {
    u32 word;
};
static_assert(sizeof(KvmPvEoi) == 4);
inline constexpr u32 kPvEoiPending = 1 << 0;

// The async page fault record.
struct KvmVcpuPvApfData {
    u32 flags;
    u32 token;
    u8 pad[56];
};
static_assert(sizeof(KvmVcpuPvApfData) == 64);

// ---- Hypercalls (hypercalls.rst) -------------------------------------------------------------

enum class Hypercall : u32 {
    KVM_HC_VAPIC_POLL_IRQ = 1,
    KVM_HC_MMU_OP = 2,
    KVM_HC_FEATURES = 3,            // PowerPC
    KVM_HC_PPC_MAP_MAGIC_PAGE = 4,  // PowerPC
    KVM_HC_KICK_CPU = 5,
    KVM_HC_CLOCK_PAIRING = 9,
    KVM_HC_SEND_IPI = 10,
    KVM_HC_SCHED_YIELD = 11,
    KVM_HC_MAP_GPA_RANGE = 12,
};

// What a hypercall that fails returns is the negative of one of these, or of another number.
inline constexpr s64 kKvmEfault = 14;
inline constexpr s64 kKvmEopnotsupp = 95;
inline constexpr s64 kKvmEnosys = 1000;

// The second argument of KVM_HC_CLOCK_PAIRING: the host's CLOCK_REALTIME. There is no other clock.
inline constexpr u64 kKvmClockPairingWallclock = 0;

// The answer to KVM_HC_CLOCK_PAIRING, which the host writes to the address in the first argument.
struct KvmClockPairing {
    s64 sec;    // the host's time since 1970
    s64 nsec;   // less than a second
    u64 tsc;    // the guest's TSC at that moment
    u32 flags;  // 0
    u32 pad[9];
};
static_assert(sizeof(KvmClockPairing) == 64);
static_assert(offsetof(KvmClockPairing, tsc) == 16);
static_assert(offsetof(KvmClockPairing, flags) == 24);

}  // namespace kvmpv
