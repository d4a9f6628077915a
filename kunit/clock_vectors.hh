// SPDX-License-Identifier: GPL-2.0-only
//
// Records, TSC readings and the exact nanoseconds that belong to them. The numbers are literals,
// computed with arbitrary-precision integers:
//     delta = (tsc - tsc_timestamp) mod 2^64
//     shifted = delta << tsc_shift, or delta >> -tsc_shift where it is negative
//     ns = system_time + ((shifted * tsc_to_system_mul) >> 32)

#pragma once

#include "kvmpv/abi.hh"

namespace kvmpv::testing {
namespace {

struct ClockVector {
    const char* name;
    u64 tsc_timestamp;
    u64 system_time;
    u32 tsc_to_system_mul;
    s8 tsc_shift;
    u64 tsc;
    u64 expected_ns;

    constexpr PvclockVcpuTimeInfo record() const {
        return {2, 0, tsc_timestamp, system_time, tsc_to_system_mul, tsc_shift, kPvclockTscStable,
                {}};
    }
};

// The multipliers of the first six are those that KVM computes for the frequency. A multiplier that
// is truncated to 32 bits loses up to a nanosecond in four seconds.
constexpr ClockVector kClockVectors[] = {
    // (2596096000 >> 1) * 3308789271 / 2^32 = 999999999.9
    {"2.6 GHz, a second", 1000, 5'000'000'000, 0xc538'1e17, -1, 2'596'097'000, 5'999'999'999},
    {"3 GHz, an hour", 123'456'789, 0, 0xaaaa'aaaa, -1, 10'800'123'456'789, 3'599'999'999'161},
    {"5 GHz, a second", 0, 7, 0xcccc'cccc, -2, 5'000'000'000, 1'000'000'006},
    {"1 GHz", 0, 0, 0x8000'0000, 1, 12'345'678'901, 12'345'678'901},
    {"100 MHz, an hour", 50, 1, 0xa000'0000, 4, 360'000'000'050, 3'600'000'000'001},
    // one tick past an hour: 30517.578125 ns more
    {"32768 Hz, an hour", 0, 0, 0xee6b'2800, 15, 117'964'801, 3'600'000'030'517},
    {"no time since", 777, 42, 0xffff'ffff, 0, 777, 42},
    {"multiplier 0", 0, 42, 0, 0, 1'000'000'000'000'000, 42},
    // (2^63 - 1) >> 32
    {"multiplier 1", 0, 0, 1, 0, 0x7fff'ffff'ffff'ffff, 0x7fff'ffff},
    // (2^63 - 1) * (2^32 - 1) >> 32 = 2^63 - 2^31 - 1: the product has 95 bits
    {"multiplier 2^32 - 1", 0, 0, 0xffff'ffff, 0, 0x7fff'ffff'ffff'ffff, 0x7fff'ffff'7fff'ffff},
    // (2^63 - 1) >> 31 = 2^32 - 1; (2^32 - 1)^2 >> 32 = 2^32 - 2
    {"multiplier 2^32 - 1, 31 right", 0, 0, 0xffff'ffff, -31, 0x7fff'ffff'ffff'ffff, 0xffff'fffe},
    // (2^33 - 1) << 31 = 2^64 - 2^31, the most that fits; times (2^32 - 1) >> 32 = 2^64 - 2^32 -
    // 2^31
    {"multiplier 2^32 - 1, 31 left", 0, 0, 0xffff'ffff, 31, 0x1'ffff'ffff, 0xffff'fffe'8000'0000},
    {"product beyond 64 bits", 0, 0, 0xdead'beef, 0, 0x1234'5678'9abc'def0, 0x0fd5'bdee'dcba'9867},
    {"right shift to 1, half of it", 0, 0, 0x8000'0000, -3, 15, 0},
    {"all at once", 0x7000'0000'0000'0000, 0x0123'4567'89ab'cdef, 0x89ab'cdef, -7,
     0x7edc'ba98'7654'3210, 86'484'947'722'116'791},
    // 200 ticks around 2^64
    {"TSC wraps", 0xffff'ffff'ffff'ff9c, 1000, 0x8000'0000, 1, 100, 1200},
    {"timestamp above 2^63", 0x8000'0000'0000'0005, 0, 0x8000'0000, 1, 0x8000'0000'0000'03ed, 1000},
    {"the last nanosecond", 0, 0xffff'ffff'ffff'fc17, 0x8000'0000, 1, 1000, 0xffff'ffff'ffff'ffff},
};

// The four cases of the kernel's tools/testing/selftests/kvm/…/kvm_clock_test.c. It sets the VM's
// clock to 0 or 180 s. In two cases it does so with KVM_CLOCK_REALTIME, and names a real time that
// is 180 s in the past or in the future. KVM then adds the real time that has passed since, but
// never a negative span. So 180 s in the past make the clock 180 s, and 180 s in the future leave
// it at 0.
constexpr ClockVector kSelftestOffsets[] = {
    // 3245120000 ticks at 2.596096 GHz are 1.25 s, less what the truncated multiplier loses
    {"base 0", 10'000'000'000, 0, 0xc538'1e17, -1, 13'245'120'000, 1'249'999'999},
    {"base 180 s", 20'000'000'000, 180'000'000'000, 0xc538'1e17, -1, 23'245'120'001,
     181'249'999'999},
    // one tick is less than a nanosecond
    {"base 0, real time -180 s", 30'000'000'000, 180'000'000'000, 0xc538'1e17, -1, 30'000'000'001,
     180'000'000'000},
    {"base 0, real time +180 s", 40'000'000'000, 0, 0xc538'1e17, -1, 40'123'456'789, 47'554'785},
};

}  // namespace
}  // namespace kvmpv::testing
