// SPDX-License-Identifier: GPL-2.0-only
//
// slot.hh and registration.hh: whose is a slot, and which MSRs are written when it is taken and put
// back, on a scripted kernel with up to four CPUs.

#include "../src/slot/registration.hh"
#include "test.hh"

using namespace kvmpv;
using namespace kvmpv::testing;

// ---- The decision alone -----------------------------------------------------------------------

namespace {

struct Row {
    const char* name;
    bool offered;
    bool wanted;
    u32 cpus, kernel, free, foreign, unknown, unreadable;
    Mode mode;
    Reason reason;
};

// In order of precedence: each row also contains what decides the rows below it.
constexpr Row kRows[] = {
    // offered wanted cpus kernel free foreign unknown unreadable
    {"not offered, kernel's", false, true, 2, 2, 0, 0, 0, 0, Mode::kOff, Reason::kNotOffered},
    {"not offered, free", false, true, 2, 0, 2, 0, 0, 0, Mode::kOff, Reason::kNotOffered},
    {"not offered nor wanted", false, false, 2, 1, 0, 0, 1, 0, Mode::kOff, Reason::kNotOffered},
    {"not offered, no CPU", false, true, 0, 0, 0, 0, 0, 0, Mode::kOff, Reason::kNotOffered},
    {"not wanted, kernel's", true, false, 2, 2, 0, 0, 0, 0, Mode::kOff, Reason::kParameter},
    {"not wanted, free", true, false, 2, 0, 2, 0, 0, 0, Mode::kOff, Reason::kParameter},
    {"not wanted, unreadable", true, false, 2, 0, 0, 0, 0, 2, Mode::kOff, Reason::kParameter},
    {"unreadable on all", true, true, 2, 0, 0, 0, 0, 2, Mode::kOff, Reason::kUnreadable},
    {"unreadable on one", true, true, 2, 1, 0, 0, 0, 1, Mode::kOff, Reason::kUnreadable},
    {"unreadable and unknown", true, true, 2, 0, 0, 0, 1, 1, Mode::kOff, Reason::kUnreadable},
    {"unreadable and free", true, true, 2, 0, 1, 0, 0, 1, Mode::kOff, Reason::kUnreadable},
    {"no CPU at all", true, true, 0, 0, 0, 0, 0, 0, Mode::kOff, Reason::kUnreadable},
    {"unknown on all", true, true, 2, 0, 0, 0, 2, 0, Mode::kOff, Reason::kUseUnknown},
    {"unknown on one", true, true, 4, 1, 1, 1, 1, 0, Mode::kOff, Reason::kUseUnknown},
    {"kernel's on the only CPU", true, true, 1, 1, 0, 0, 0, 0, Mode::kShared,
     Reason::kKernelAllCpus},
    {"kernel's on all", true, true, 4, 4, 0, 0, 0, 0, Mode::kShared, Reason::kKernelAllCpus},
    {"kernel's and free", true, true, 2, 1, 1, 0, 0, 0, Mode::kOff, Reason::kKernelSomeCpus},
    {"kernel's and foreign", true, true, 2, 1, 0, 1, 0, 0, Mode::kOff, Reason::kKernelSomeCpus},
    {"kernel's on one of many", true, true, 4, 1, 2, 1, 0, 0, Mode::kOff, Reason::kKernelSomeCpus},
    {"foreign on the only CPU", true, true, 1, 0, 0, 1, 0, 0, Mode::kOwned, Reason::kForeign},
    {"foreign on one of two", true, true, 2, 0, 1, 1, 0, 0, Mode::kOwned, Reason::kForeign},
    {"foreign on all", true, true, 2, 0, 0, 2, 0, 0, Mode::kOwned, Reason::kForeign},
    {"free on the only CPU", true, true, 1, 0, 1, 0, 0, 0, Mode::kOwned, Reason::kFree},
    {"free on all", true, true, 4, 0, 4, 0, 0, 0, Mode::kOwned, Reason::kFree},
};

void expect_decision(Test& test, const char* what, const Decision& decision, Mode mode,
                     Reason reason) {
    test.equal(what, decision.mode, mode);
    test.equal(what, decision.reason, reason);
}

}  // namespace

KVMPV_TEST(slot, every_decision) {
    Test test(handle);
    for (const Row& row : kRows) {
        SlotSurvey survey;
        survey.cpus = row.cpus;
        survey.kernel = row.kernel;
        survey.free = row.free;
        survey.foreign = row.foreign;
        survey.unknown = row.unknown;
        survey.unreadable = row.unreadable;
        test.equal(row.name, row.kernel + row.free + row.foreign + row.unknown + row.unreadable,
                   row.cpus);
        expect_decision(test, row.name, decide(row.offered, row.wanted, survey), row.mode,
                        row.reason);
        if (!row.wanted) continue;
        const bool is_taken = row.mode == Mode::kOwned;
        expect_decision(test, row.name, decide_never_taken(row.offered, survey),
                        is_taken ? Mode::kOff : row.mode,
                        is_taken ? Reason::kNeverTaken : row.reason);
    }
    expect_decision(test, "before any", Decision{}, Mode::kOff, Reason::kNotOffered);
}

KVMPV_TEST(slot, survey_counts) {
    Test test(handle);
    SlotSurvey survey;
    // Without bit 0 a slot is free, whatever its address is and whoever claims to use it.
    survey.add(0, 0, Use::kNobody);
    survey.add(1, 0x1000, Use::kKernel);
    survey.add(2, 0xffff'ffff'ffff'fffe, Use::kUnknown);
    survey.add(3, 0x1001, Use::kKernel);
    survey.add(4, 0x1001, Use::kUnknown);
    survey.add(5, 0x1001, Use::kNobody);
    survey.add(6, 1, Use::kNobody);
    survey.add_unreadable(7, -5);
    test.equal("CPUs", survey.cpus, 8);
    test.equal("free", survey.free, 3);
    test.equal("kernel", survey.kernel, 1);
    test.equal("unknown", survey.unknown, 1);
    test.equal("foreign", survey.foreign, 2);
    test.equal("unreadable", survey.unreadable, 1);
}

KVMPV_TEST(slot, first_foreign_is_kept) {
    Test test(handle);
    SlotSurvey survey;
    survey.add(0, 0, Use::kNobody);
    survey.add(3, 0xe'8c21, Use::kNobody);
    survey.add(5, 0x1001, Use::kNobody);
    test.equal("CPU", survey.foreign_cpu, 3);
    test.equal("value", survey.foreign_value, 0xe'8c21);
}

KVMPV_TEST(slot, first_unreadable_is_kept) {
    Test test(handle);
    SlotSurvey survey;
    survey.add_unreadable(2, -5);
    survey.add_unreadable(4, -6);
    test.equal("CPU", survey.unreadable_cpu, 2);
    test.equal("error", survey.unreadable_errno, -5);
}

KVMPV_TEST(slot, mode_names) {
    Test test(handle);
    test.equal("off", mode_name(Mode::kOff), "off");
    test.equal("shared", mode_name(Mode::kShared), "shared");
    test.equal("owned", mode_name(Mode::kOwned), "owned");
    test.equal("no mode", mode_name(static_cast<Mode>(99)), "?");
}

// ---- find() ------------------------------------------------------------------------------------

namespace {

constexpr Msr kSlot = Msr::KVM_STEAL_TIME;
constexpr u64 kKernelsArea = 0x1f23'4080;
constexpr u64 kFirmwaresArea = 0xe'8c20;
constexpr u32 kMaxCpus = 4;

// A CPU: whether it is online, what its slot holds, and the error of a read (0: none).
struct ScriptedCpu {
    bool online;
    u64 slot;
    int error;
};

struct Script {
    ScriptedCpu cpus[kMaxCpus];
    bool kernel_can_be_asked = true;

    // The CPU that runs, and what happens to its accesses.
    u32 here = 0;
    int write_error = 0;
    bool ignores_writes = false;
    int error_after_write = 0;
    bool everything_is_kernel_ram = false;
    u64 foreign[kMaxCpus][KVMPV_NUM_REGISTRATIONS] = {};

    u32 msr_reads = 0;
    u32 msr_writes = 0;
    u32 wrong_msrs = 0;
    u64 asked_whether_ram = 0;
};

constinit Script script{};

struct ScriptedKernel {
    static int next_online_cpu(int cpu) {
        for (++cpu; cpu < static_cast<int>(kMaxCpus); ++cpu)
            if (script.cpus[cpu].online) return cpu;
        return -1;
    }

    static Result<u64> rdmsr(u32 cpu, Msr msr) {
        ++script.msr_reads;
        if (msr != kSlot) ++script.wrong_msrs;
        if (script.cpus[cpu].error) return Error(script.cpus[cpu].error);
        return script.cpus[cpu].slot;
    }

    static Result<u64> rdmsr_here(Msr msr) { return rdmsr(script.here, msr); }

    static Result<void> wrmsr_here(Msr msr, u64 value) {
        ++script.msr_writes;
        if (msr != kSlot) ++script.wrong_msrs;
        if (script.write_error) return Error(script.write_error);
        if (!script.ignores_writes) script.cpus[script.here].slot = value;
        script.cpus[script.here].error = script.error_after_write;
        return {};
    }

    static u64& foreign_msr(u32 cpu, u32 index) { return script.foreign[cpu][index]; }

    static bool is_kernel_ram(u64 physical) {
        script.asked_whether_ram = physical;
        return script.everything_is_kernel_ram;
    }
};

// CPUID bit 5 offers the slot. The kernel uses a CPU's slot if that holds the kernel's area for the
// CPU.
struct ScriptedLayout {
    static constexpr u32 kIndex = 1;
    static constexpr u64 kAddressMask = kStealTimeAddressMask;

    static std::optional<Msr> msr(const KvmCpuid& kvm) {
        if (!kvm.has(Feature::KVM_FEATURE_STEAL_TIME)) return std::nullopt;
        return kSlot;
    }

    static Use use(u32 cpu, u64 msr_value) {
        if (!script.kernel_can_be_asked) return Use::kUnknown;
        return msr_value == (kKernelsArea + cpu * 64 + 1) ? Use::kKernel : Use::kNobody;
    }
};

using ScriptedRegistration = Registration<ScriptedLayout, ScriptedKernel>;

constexpr KvmCpuid kOffers{0x4000'0000, 1 << 5, 0};
constexpr KvmCpuid kOffersNot{0x4000'0000, ~u32{1 << 5}, 0};

constexpr ScriptedCpu kernels(u32 cpu) { return {true, kKernelsArea + cpu * 64 + 1, 0}; }
constexpr ScriptedCpu kFree{true, 0, 0};
constexpr ScriptedCpu kForeign{true, kFirmwaresArea + 1, 0};
constexpr ScriptedCpu kFaults{true, 0, -5};
constexpr ScriptedCpu kOffline{false, 0, 0};

ScriptedRegistration find(const Script& played, const KvmCpuid& kvm = kOffers, bool wanted = true) {
    script = played;
    ScriptedRegistration registration;
    registration.find(kvm, wanted);
    return registration;
}

void expect_found(Test& test, const ScriptedRegistration& found, Mode mode, Reason reason,
                  u32 cpus) {
    expect_decision(test, "decision", found.decision(), mode, reason);
    test.equal("CPUs", found.survey().cpus, cpus);
    test.equal("slots read", script.msr_reads, cpus);
    test.equal("slots written", script.msr_writes, 0);
    test.equal("other MSRs", script.wrong_msrs, 0);
}

}  // namespace

KVMPV_TEST(slot, find_kernel_on_every_cpu) {
    Test test(handle);
    const ScriptedRegistration one = find({{kernels(0)}});
    expect_found(test, one, Mode::kShared, Reason::kKernelAllCpus, 1);

    const ScriptedRegistration four = find({{kernels(0), kernels(1), kernels(2), kernels(3)}});
    expect_found(test, four, Mode::kShared, Reason::kKernelAllCpus, 4);
    test.equal("kernel's", four.survey().kernel, 4);
    test.equal("MSR", four.msr(), kSlot);
}

KVMPV_TEST(slot, find_kernel_on_some_cpus) {
    Test test(handle);
    expect_found(test, find({{kernels(0), kFree}}), Mode::kOff, Reason::kKernelSomeCpus, 2);
    expect_found(test, find({{kFree, kernels(1)}}), Mode::kOff, Reason::kKernelSomeCpus, 2);
    // The area of another CPU does not count for this one.
    expect_found(test, find({{kernels(0), kernels(0)}}), Mode::kOff, Reason::kKernelSomeCpus, 2);
}

KVMPV_TEST(slot, find_free) {
    Test test(handle);
    expect_found(test, find({{kFree}}), Mode::kOwned, Reason::kFree, 1);
    expect_found(test, find({{kFree, kFree}}), Mode::kOwned, Reason::kFree, 2);
    // An address without bit 0 is not registered.
    const ScriptedCpu disabled{true, kKernelsArea, 0};
    expect_found(test, find({{disabled, kFree}}), Mode::kOwned, Reason::kFree, 2);
}

namespace {

void expect_firmwares_slot(Test& test, const ScriptedRegistration& found, u32 cpu) {
    test.equal("foreign", found.survey().foreign, 1);
    test.equal("foreign CPU", found.survey().foreign_cpu, cpu);
    test.equal("foreign value", found.survey().foreign_value, 0xe'8c21);
}

}  // namespace

// Firmware registers on CPU 0 only. With one CPU that is every CPU, but still not the kernel's
// slot.
KVMPV_TEST(slot, find_foreign_with_one_cpu) {
    Test test(handle);
    const ScriptedRegistration found = find({{kForeign}});
    expect_found(test, found, Mode::kOwned, Reason::kForeign, 1);
    expect_firmwares_slot(test, found, 0);
}

KVMPV_TEST(slot, find_foreign_with_two_cpus) {
    Test test(handle);
    const ScriptedRegistration found = find({{kForeign, kFree}});
    expect_found(test, found, Mode::kOwned, Reason::kForeign, 2);
    expect_firmwares_slot(test, found, 0);
    test.equal("free", found.survey().free, 1);

    const ScriptedRegistration on_second = find({{kFree, kForeign}});
    expect_found(test, on_second, Mode::kOwned, Reason::kForeign, 2);
    expect_firmwares_slot(test, on_second, 1);
}

KVMPV_TEST(slot, find_unreadable) {
    Test test(handle);
    const ScriptedRegistration found = find({{kernels(0), kFaults, kFaults}});
    expect_found(test, found, Mode::kOff, Reason::kUnreadable, 3);
    test.equal("unreadable", found.survey().unreadable, 2);
    test.equal("CPU", found.survey().unreadable_cpu, 1);
    test.equal("error", found.survey().unreadable_errno, -5);
}

KVMPV_TEST(slot, find_unknown) {
    Test test(handle);
    const ScriptedRegistration found = find({{kernels(0), kernels(1)}, false});
    expect_found(test, found, Mode::kOff, Reason::kUseUnknown, 2);
    test.equal("unknown", found.survey().unknown, 2);
    // If no slot is enabled there is no need to ask the kernel.
    expect_found(test, find({{kFree, kFree}, false}), Mode::kOwned, Reason::kFree, 2);
}

KVMPV_TEST(slot, find_not_offered) {
    Test test(handle);
    // Nothing is read, because the MSR would fault.
    expect_found(test, find({{kFaults, kFaults}}, kOffersNot), Mode::kOff, Reason::kNotOffered, 0);
}

KVMPV_TEST(slot, find_disabled_by_parameter) {
    Test test(handle);
    expect_found(test, find({{kernels(0), kernels(1)}}, kOffers, false), Mode::kOff,
                 Reason::kParameter, 2);
}

KVMPV_TEST(slot, find_skips_offline_cpus) {
    Test test(handle);
    const ScriptedRegistration found = find({{kernels(0), kOffline, kernels(2), kOffline}});
    expect_found(test, found, Mode::kShared, Reason::kKernelAllCpus, 2);
    expect_found(test, find({{kOffline, kernels(1)}}), Mode::kShared, Reason::kKernelAllCpus, 1);
}

KVMPV_TEST(slot, find_again) {
    Test test(handle);
    script = {{kForeign, kFree}};
    ScriptedRegistration registration;
    registration.find(kOffers, true);
    // The second find() keeps nothing of the first.
    script = {{kernels(0), kernels(1)}};
    registration.find(kOffers, true);
    expect_found(test, registration, Mode::kShared, Reason::kKernelAllCpus, 2);
    test.equal("foreign", registration.survey().foreign, 0);
    test.equal("free", registration.survey().free, 0);
}

KVMPV_TEST(slot, failed_step) {
    Test test(handle);
    ScriptedRegistration registration = find({{kernels(0)}});
    registration.fail();
    expect_decision(test, "decision", registration.decision(), Mode::kOff, Reason::kStepFailed);
    test.equal("survey is kept", registration.survey().kernel, 1);
}

// ---- take() and put_back() ---------------------------------------------------------------------

namespace {

constexpr u64 kOurArea = 0x765'4040;

// A registration after find(), which runs on CPU 1 from now on.
ScriptedRegistration found_on_cpu_1(const Script& played) {
    const ScriptedRegistration registration = find(played);
    script.here = 1;
    script.msr_reads = 0;
    return registration;
}

void expect_written(Test& test, u32 writes, u64 slot, u64 kept) {
    test.equal("writes", script.msr_writes, writes);
    test.equal("slot", script.cpus[1].slot, slot);
    test.equal("kept", script.foreign[1][1], kept);
    test.equal("other MSRs", script.wrong_msrs, 0);
    // Nothing of another CPU or another registration has changed.
    test.equal("slot of CPU 0", script.cpus[0].slot, 0);
    for (u32 cpu = 0; cpu < kMaxCpus; ++cpu)
        for (u32 index = 0; index < KVMPV_NUM_REGISTRATIONS; ++index)
            if (cpu != 1 || index != 1) test.equal("kept elsewhere", script.foreign[cpu][index], 0);
}

int error_of(const Result<void>& result) { return result.zero_or_negative_errno(); }

}  // namespace

KVMPV_TEST(slot, take_and_put_back_free) {
    Test test(handle);
    ScriptedRegistration slot = found_on_cpu_1({{kFree, kFree}});
    test.equal("take", error_of(slot.take(1, kOurArea)), 0);
    expect_written(test, 1, kOurArea + 1, 0);
    test.equal("put back", error_of(slot.put_back(1)), 0);
    expect_written(test, 2, 0, 0);
}

KVMPV_TEST(slot, take_and_put_back_foreign) {
    Test test(handle);
    ScriptedRegistration slot = found_on_cpu_1({{kFree, kForeign}});
    test.equal("take", error_of(slot.take(1, kOurArea)), 0);
    expect_written(test, 1, kOurArea + 1, kFirmwaresArea + 1);
    test.equal("put back", error_of(slot.put_back(1)), 0);
    expect_written(test, 2, kFirmwaresArea + 1, kFirmwaresArea + 1);
    // The mask of steal time clears the lower six bits, which are no address.
    test.equal("asked about", script.asked_whether_ram, 0xe'8c00);
}

// The foreign area lies in RAM that the kernel manages, so the host must not write there any more.
KVMPV_TEST(slot, put_back_foreign_in_kernel_ram) {
    Test test(handle);
    ScriptedRegistration slot = found_on_cpu_1({{kFree, kForeign}});
    script.everything_is_kernel_ram = true;
    test.equal("take", error_of(slot.take(1, kOurArea)), 0);
    test.equal("put back", error_of(slot.put_back(1)), 0);
    expect_written(test, 2, 0, kFirmwaresArea + 1);
}

// An address without the enable bit is nobody's registration.
KVMPV_TEST(slot, take_disabled_address) {
    Test test(handle);
    ScriptedRegistration slot = found_on_cpu_1({{kFree, {true, kFirmwaresArea, 0}}});
    test.equal("take", error_of(slot.take(1, kOurArea)), 0);
    expect_written(test, 1, kOurArea + 1, 0);
    test.equal("put back", error_of(slot.put_back(1)), 0);
    expect_written(test, 2, 0, 0);
}

KVMPV_TEST(slot, take_unreadable) {
    Test test(handle);
    ScriptedRegistration slot = found_on_cpu_1({{kFree, kForeign}});
    script.cpus[1].error = -5;
    test.equal("take", error_of(slot.take(1, kOurArea)), -5);
    expect_written(test, 0, kFirmwaresArea + 1, 0);
}

KVMPV_TEST(slot, take_write_faults) {
    Test test(handle);
    ScriptedRegistration slot = found_on_cpu_1({{kFree, kForeign}});
    script.write_error = -5;
    test.equal("take", error_of(slot.take(1, kOurArea)), -5);
    expect_written(test, 1, kFirmwaresArea + 1, kFirmwaresArea + 1);
    // The slot never held our address, so there is nothing to give up.
    test.equal("put back", error_of(slot.put_back(1)), 0);
    expect_written(test, 2, kFirmwaresArea + 1, kFirmwaresArea + 1);
}

// The slot still holds our address, and the host may write there.
KVMPV_TEST(slot, put_back_write_faults) {
    Test test(handle);
    for (const ScriptedCpu& before : {kFree, kForeign}) {
        ScriptedRegistration slot = found_on_cpu_1({{kFree, before}});
        test.equal("take", error_of(slot.take(1, kOurArea)), 0);
        script.write_error = -6;
        test.equal("put back", error_of(slot.put_back(1)), -6);
        test.equal("disarm", error_of(slot.disarm()), -6);
        test.equal("slot", script.cpus[1].slot, kOurArea + 1);
    }
}

KVMPV_TEST(slot, put_back_write_ignored) {
    Test test(handle);
    for (const ScriptedCpu& before : {kFree, kForeign}) {
        ScriptedRegistration slot = found_on_cpu_1({{kFree, before}});
        test.equal("take", error_of(slot.take(1, kOurArea)), 0);
        script.ignores_writes = true;
        test.equal("put back", error_of(slot.put_back(1)), -kEio);
        test.equal("disarm", error_of(slot.disarm()), -kEio);
        test.equal("slot", script.cpus[1].slot, kOurArea + 1);
    }
}

// Nobody knows what the slot holds.
KVMPV_TEST(slot, put_back_unreadable) {
    Test test(handle);
    ScriptedRegistration slot = found_on_cpu_1({{kFree, kFree}});
    test.equal("take", error_of(slot.take(1, kOurArea)), 0);
    script.error_after_write = -6;
    test.equal("put back", error_of(slot.put_back(1)), -6);
    test.equal("disarm", error_of(slot.disarm()), -6);
}

// The write does not fault, but the slot does not change: the host would never write the area.
KVMPV_TEST(slot, take_write_ignored) {
    Test test(handle);
    ScriptedRegistration slot = found_on_cpu_1({{kFree, kFree}});
    script.ignores_writes = true;
    test.equal("take", error_of(slot.take(1, kOurArea)), -kEio);
    expect_written(test, 1, 0, 0);

    ScriptedRegistration read_faults = found_on_cpu_1({{kFree, kFree}});
    script.error_after_write = -6;
    test.equal("take", error_of(read_faults.take(1, kOurArea)), -6);
}

// As around suspend. The value that take() has kept is not overwritten by our own address.
KVMPV_TEST(slot, disarm_and_arm_again) {
    Test test(handle);
    ScriptedRegistration slot = found_on_cpu_1({{kFree, kForeign}});
    test.equal("take", error_of(slot.take(1, kOurArea)), 0);
    test.equal("disarm", error_of(slot.disarm()), 0);
    expect_written(test, 2, 0, kFirmwaresArea + 1);
    test.equal("arm", error_of(slot.arm(kOurArea)), 0);
    expect_written(test, 3, kOurArea + 1, kFirmwaresArea + 1);
}

KVMPV_SUITE(slot);
