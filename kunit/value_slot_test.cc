// SPDX-License-Identifier: GPL-2.0-only
//
// A value slot: what is saved, set and put back, on a host that faults or ignores writes, and while
// others write to the same MSR.

#include "../src/slot/value_slot.hh"
#include "test.hh"

using namespace kvmpv;
using namespace kvmpv::testing;

namespace {

constexpr Msr kValueMsr = Msr::KVM_POLL_CONTROL;
constexpr u32 kMaxCpus = 3;

struct ScriptedValueCpu {
    bool online;
    u64 msr;
    int read_error;
};

struct ValueScript {
    ScriptedValueCpu cpus[kMaxCpus];
    u32 here = 0;
    int write_error = 0;
    bool ignores_writes = false;
    int read_error_after_write = 0;
    kvmpv_value values[kMaxCpus][2] = {};
    u32 reads = 0;
    u32 writes = 0;
    u32 wrong_msrs = 0;
    u32 logged = 0;
    const char* last_log = "";
    int last_error = 0;
};

constinit ValueScript value_script{};

struct ScriptedValueKernel {
    static int next_online_cpu(int cpu) {
        for (++cpu; cpu < static_cast<int>(kMaxCpus); ++cpu)
            if (value_script.cpus[cpu].online) return cpu;
        return -1;
    }

    static Result<u64> rdmsr(u32 cpu, Msr msr) {
        ++value_script.reads;
        if (msr != kValueMsr) ++value_script.wrong_msrs;
        if (value_script.cpus[cpu].read_error) return Error(value_script.cpus[cpu].read_error);
        return value_script.cpus[cpu].msr;
    }

    static Result<u64> rdmsr_here(Msr msr) { return rdmsr(value_script.here, msr); }

    static Result<void> wrmsr_here(Msr msr, u64 value) {
        ++value_script.writes;
        if (msr != kValueMsr) ++value_script.wrong_msrs;
        if (value_script.write_error) return Error(value_script.write_error);
        ScriptedValueCpu& cpu = value_script.cpus[value_script.here];
        if (!value_script.ignores_writes) cpu.msr = value;
        cpu.read_error = value_script.read_error_after_write;
        return {};
    }

    static kvmpv_value& value(u32 cpu, u32 index) { return value_script.values[cpu][index]; }

    static void log_cpu_error(const char* feature, const char* what, u32 cpu, Error error) {
        ++value_script.logged;
        if (!same_text(feature, "test") || cpu != value_script.here) ++value_script.wrong_msrs;
        value_script.last_log = what;
        value_script.last_error = error.negative_errno();
    }
};

struct ScriptedValueLayout {
    static constexpr u32 kIndex = 1;
    static std::optional<Msr> msr(const KvmCpuid& kvm) {
        if (!kvm.has(Feature::KVM_FEATURE_POLL_CONTROL)) return std::nullopt;
        return kValueMsr;
    }
};

using ScriptedValueSlot = ValueSlot<ScriptedValueLayout, ScriptedValueKernel>;

constexpr KvmCpuid kOffersValue{0x4000'0000, 1 << 12, 0};

ScriptedValueSlot found(const ValueScript& played, bool driver_uses_it = false,
                        const KvmCpuid& kvm = kOffersValue) {
    value_script = played;
    ScriptedValueSlot slot("test");
    slot.find(kvm, driver_uses_it);
    value_script.reads = 0;
    return slot;
}

// Two online CPUs, whose MSRs hold 1, of which the second one runs this.
ScriptedValueSlot found_on_cpu_1() {
    const ScriptedValueSlot slot = found({{{true, 1, 0}, {true, 1, 0}, {false, 1, 0}}});
    value_script.here = 1;
    return slot;
}

void expect_value(Test& test, u64 msr, bool is_held, u64 before, Place place = Place::here()) {
    test.equal("MSR", value_script.cpus[1].msr, msr, place);
    test.equal("is held", ScriptedValueKernel::value(1, 1).is_held, is_held, place);
    if (is_held) test.equal("before", ScriptedValueKernel::value(1, 1).before, before, place);
    test.equal("wrong MSRs", value_script.wrong_msrs, 0, place);
    // Nothing of another CPU or of another value has changed.
    test.equal("MSR of CPU 0", value_script.cpus[0].msr, 1, place);
    test.is_false("CPU 0 is held", ScriptedValueKernel::value(0, 1).is_held, place);
    test.is_false("another value is held", ScriptedValueKernel::value(1, 0).is_held, place);
}

void expect_failure(Test& test, const ScriptedValueSlot& slot, const char* what, int error,
                    Place place = Place::here()) {
    test.equal("failures", slot.failures(), 1, place);
    test.equal("logged", value_script.logged, 1, place);
    test.equal("text", value_script.last_log, what, place);
    test.equal("error", value_script.last_error, error, place);
}

int set_on_cpu_1(ScriptedValueSlot& slot, u64 value) {
    slot.want(1, value);
    return slot.set_wanted(1).zero_or_negative_errno();
}

}  // namespace

KVMPV_TEST(value_slot, find) {
    Test test(handle);
    const ValueScript two{{{true, 1, 0}, {true, 0, 0}, {false, 1, -5}}};
    const ScriptedValueSlot slot = found(two);
    test.equal("mode", slot.decision().mode, Mode::kOwned);
    test.equal("reason", slot.decision().reason, Reason::kOnRequest);
    test.equal("CPUs", slot.survey().cpus, 2);
    test.equal("MSR", slot.msr(), kValueMsr);
    test.equal("writes", value_script.writes, 0);

    const ScriptedValueSlot drivers = found(two, true);
    test.equal("mode", drivers.decision().mode, Mode::kShared);
    test.equal("reason", drivers.decision().reason, Reason::kDriver);
}

KVMPV_TEST(value_slot, find_not_offered) {
    Test test(handle);
    value_script = {{{true, 1, -5}}};
    ScriptedValueSlot slot("test");
    // Nothing is read, because the MSR would fault.
    slot.find({0x4000'0000, ~u32{1 << 12}, 0}, true);
    test.equal("mode", slot.decision().mode, Mode::kOff);
    test.equal("reason", slot.decision().reason, Reason::kNotOffered);
    test.equal("reads", value_script.reads, 0);
}

KVMPV_TEST(value_slot, find_unreadable) {
    Test test(handle);
    const ScriptedValueSlot slot = found({{{true, 1, 0}, {true, 1, -5}}});
    test.equal("mode", slot.decision().mode, Mode::kOff);
    test.equal("reason", slot.decision().reason, Reason::kUnreadable);
    test.equal("CPU", slot.survey().unreadable_cpu, 1);
    test.equal("error", slot.survey().unreadable_errno, -5);
}

KVMPV_TEST(value_slot, set_and_put_back) {
    Test test(handle);
    ScriptedValueSlot slot = found_on_cpu_1();
    test.equal("set", set_on_cpu_1(slot, 0), 0);
    expect_value(test, 0, true, 1);
    test.equal("set", slot.of(1).set, 0);
    slot.put_back(1);
    expect_value(test, 1, false, 0);
    test.equal("writes", value_script.writes, 2);
    test.equal("failures", slot.failures(), 0);
    // Not a second time.
    slot.put_back(1);
    test.equal("writes", value_script.writes, 2);
}

// What is saved is what was there before the first of our own writes.
KVMPV_TEST(value_slot, set_twice) {
    Test test(handle);
    ScriptedValueSlot slot = found_on_cpu_1();
    test.equal("set", set_on_cpu_1(slot, 0), 0);
    test.equal("set", set_on_cpu_1(slot, 7), 0);
    expect_value(test, 7, true, 1);
    slot.put_back(1);
    expect_value(test, 1, false, 0);
}

// A value that was there already is ours from now on, and is put back.
KVMPV_TEST(value_slot, set_to_the_same) {
    Test test(handle);
    ScriptedValueSlot slot = found_on_cpu_1();
    test.equal("set", set_on_cpu_1(slot, 1), 0);
    expect_value(test, 1, true, 1);
    slot.put_back(1);
    expect_value(test, 1, false, 0);
}

KVMPV_TEST(value_slot, nothing_wanted) {
    Test test(handle);
    ScriptedValueSlot slot = found_on_cpu_1();
    test.is_true("set", slot.set_wanted(1).ok());
    slot.put_back(1);
    expect_value(test, 1, false, 0);
    test.equal("reads", value_script.reads, 0);
    test.equal("writes", value_script.writes, 0);
}

// Around suspend, and for a CPU that goes and comes: it is wanted still. What the MSR holds then is
// saved anew, for a reset may have changed it.
KVMPV_TEST(value_slot, put_back_and_set_again) {
    Test test(handle);
    ScriptedValueSlot slot = found_on_cpu_1();
    value_script.cpus[1].msr = 5;
    test.equal("set", set_on_cpu_1(slot, 0), 0);
    slot.put_back(1);
    expect_value(test, 5, false, 0);
    value_script.cpus[1].msr = 1;
    test.is_true("set again", slot.set_wanted(1).ok());
    expect_value(test, 0, true, 1);
}

KVMPV_TEST(value_slot, somebody_else_writes) {
    Test test(handle);
    ScriptedValueSlot slot = found_on_cpu_1();
    test.equal("set", set_on_cpu_1(slot, 0), 0);
    value_script.cpus[1].msr = 3;
    // Theirs stays.
    slot.put_back(1);
    expect_value(test, 3, false, 0);
    test.equal("writes", value_script.writes, 1);
    test.equal("failures", slot.failures(), 0);

    // If we set it after that, theirs is what it held before.
    test.equal("set", set_on_cpu_1(slot, 0), 0);
    value_script.cpus[1].msr = 4;
    test.equal("set", set_on_cpu_1(slot, 0), 0);
    expect_value(test, 0, true, 4);
    slot.put_back(1);
    expect_value(test, 4, false, 0);
}

KVMPV_TEST(value_slot, let_go) {
    Test test(handle);
    ScriptedValueSlot slot = found_on_cpu_1();
    test.equal("set", set_on_cpu_1(slot, 0), 0);
    slot.let_go(1);
    slot.put_back(1);
    expect_value(test, 0, false, 0);
    test.equal("writes", value_script.writes, 1);
}

KVMPV_TEST(value_slot, nothing_wanted_any_more) {
    Test test(handle);
    ScriptedValueSlot slot = found_on_cpu_1();
    test.equal("set", set_on_cpu_1(slot, 0), 0);
    slot.want_nothing(1);
    expect_value(test, 0, true, 1);
    value_script.cpus[1].msr = 5;
    test.is_true("set", slot.set_wanted(1).ok());
    slot.set_again(1);
    test.equal("writes", value_script.writes, 1);
    // Somebody has written to it since.
    slot.put_back(1);
    expect_value(test, 5, false, 0);
}

// The kernel writes 0 when a CPU goes. That is not what the MSR held before us.
KVMPV_TEST(value_slot, set_again_after_the_kernel) {
    Test test(handle);
    ScriptedValueSlot slot = found_on_cpu_1();
    test.equal("set", set_on_cpu_1(slot, 7), 0);
    value_script.cpus[1].msr = 0;
    slot.set_again(1);
    expect_value(test, 7, true, 1);
    slot.put_back(1);
    expect_value(test, 1, false, 0);
    test.equal("failures", slot.failures(), 0);
}

// Nothing was set, because that has failed or was put back: then it is the first time.
KVMPV_TEST(value_slot, set_again_for_the_first_time) {
    Test test(handle);
    ScriptedValueSlot slot = found_on_cpu_1();
    slot.set_again(1);
    test.equal("writes", value_script.writes, 0);
    test.equal("set", set_on_cpu_1(slot, 7), 0);
    slot.put_back(1);
    value_script.cpus[1].msr = 3;
    slot.set_again(1);
    expect_value(test, 7, true, 3);
}

KVMPV_TEST(value_slot, set_again_faults) {
    Test test(handle);
    ScriptedValueSlot slot = found_on_cpu_1();
    test.equal("set", set_on_cpu_1(slot, 7), 0);
    value_script.cpus[1].msr = 0;
    value_script.write_error = -5;
    slot.set_again(1);
    expect_value(test, 0, true, 1);
    expect_failure(test, slot, "the MSR could not be set", -5);
}

KVMPV_TEST(value_slot, set_write_faults) {
    Test test(handle);
    ScriptedValueSlot slot = found_on_cpu_1();
    value_script.write_error = -5;
    test.equal("set", set_on_cpu_1(slot, 0), -5);
    expect_value(test, 1, false, 0);
    expect_failure(test, slot, "the MSR could not be set", -5);
    // It is not tried again when the CPU comes the next time.
    value_script.write_error = 0;
    test.is_true("set", slot.set_wanted(1).ok());
    expect_value(test, 1, false, 0);
}

// The second value cannot be written: the first one is held still, and put back.
KVMPV_TEST(value_slot, second_write_faults) {
    Test test(handle);
    ScriptedValueSlot slot = found_on_cpu_1();
    test.equal("set", set_on_cpu_1(slot, 0), 0);
    value_script.write_error = -5;
    test.equal("set", set_on_cpu_1(slot, 7), -5);
    expect_value(test, 0, true, 1);
    value_script.write_error = 0;
    slot.put_back(1);
    expect_value(test, 1, false, 0);
}

KVMPV_TEST(value_slot, set_read_faults) {
    Test test(handle);
    ScriptedValueSlot slot = found_on_cpu_1();
    value_script.cpus[1].read_error = -6;
    test.equal("set", set_on_cpu_1(slot, 0), -6);
    expect_value(test, 1, false, 0);
    expect_failure(test, slot, "the MSR could not be set", -6);
    test.equal("writes", value_script.writes, 0);
}

KVMPV_TEST(value_slot, set_write_ignored) {
    Test test(handle);
    ScriptedValueSlot slot = found_on_cpu_1();
    value_script.ignores_writes = true;
    test.equal("set", set_on_cpu_1(slot, 0), -kEio);
    expect_failure(test, slot, "the MSR could not be set", -kEio);
    // It holds what it held.
    slot.put_back(1);
    expect_value(test, 1, false, 0);
    test.equal("failures", slot.failures(), 1);
}

// As before the first write, so nothing of ours is there. After the second it holds our first
// value, which is put back.
KVMPV_TEST(value_slot, second_write_ignored) {
    Test test(handle);
    ScriptedValueSlot slot = found_on_cpu_1();
    value_script.ignores_writes = true;
    test.equal("set", set_on_cpu_1(slot, 0), -kEio);
    expect_value(test, 1, false, 0);
    value_script.ignores_writes = false;
    test.equal("set", set_on_cpu_1(slot, 0), 0);
    value_script.ignores_writes = true;
    test.equal("set", set_on_cpu_1(slot, 7), -kEio);
    expect_value(test, 0, true, 1);
    test.equal("shown as set", slot.of(1).set, 0);
    value_script.ignores_writes = false;
    slot.put_back(1);
    expect_value(test, 1, false, 0);
}

// It has changed, although it could not be read back: so it is put back.
KVMPV_TEST(value_slot, set_read_back_faults) {
    Test test(handle);
    ScriptedValueSlot slot = found_on_cpu_1();
    value_script.read_error_after_write = -6;
    test.equal("set", set_on_cpu_1(slot, 0), -6);
    expect_value(test, 0, true, 1);
    value_script.read_error_after_write = 0;
    value_script.cpus[1].read_error = 0;
    slot.put_back(1);
    expect_value(test, 1, false, 0);
    test.equal("failures", slot.failures(), 1);
}

// What it held before is kept, and put back at the next chance.
KVMPV_TEST(value_slot, put_back_faults) {
    Test test(handle);
    ScriptedValueSlot slot = found_on_cpu_1();
    test.equal("set", set_on_cpu_1(slot, 0), 0);
    value_script.write_error = -5;
    slot.put_back(1);
    expect_value(test, 0, true, 1);
    expect_failure(test, slot, "the MSR could not be put back", -5);
    value_script.write_error = 0;
    slot.put_back(1);
    expect_value(test, 1, false, 0);
    test.equal("failures", slot.failures(), 1);
}

KVMPV_TEST(value_slot, put_back_read_faults) {
    Test test(handle);
    ScriptedValueSlot slot = found_on_cpu_1();
    test.equal("set", set_on_cpu_1(slot, 0), 0);
    value_script.cpus[1].read_error = -6;
    slot.put_back(1);
    expect_value(test, 0, true, 1);
    expect_failure(test, slot, "the MSR could not be put back", -6);
}

KVMPV_TEST(value_slot, put_back_ignored) {
    Test test(handle);
    ScriptedValueSlot slot = found_on_cpu_1();
    test.equal("set", set_on_cpu_1(slot, 0), 0);
    value_script.ignores_writes = true;
    slot.put_back(1);
    expect_value(test, 0, true, 1);
    expect_failure(test, slot, "the MSR could not be put back", -kEio);
}

KVMPV_SUITE(value_slot);
