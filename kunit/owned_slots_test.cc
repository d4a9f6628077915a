// SPDX-License-Identifier: GPL-2.0-only
//
// owned_slots.hh: which memory is each CPU's, what its slot then holds, and what is given back, on
// a scripted machine.

#include "../src/slot/owned_slots.hh"

#include "test.hh"

using namespace kvmpv;
using namespace kvmpv::testing;

namespace {

constexpr u32 kMostCpus = 4;
constexpr u32 kStride = 64;
constexpr u32 kPage = 4096;

// An area, at the physical address (number + 1) << 20.
struct ScriptedArea {
    u32 size;
    bool given_back;
};

struct Script {
    u32 last_cpu = 1;
    // What create() answers for the first and for the second area.
    int create_errors[2] = {};
    u64 slots[kMostCpus] = {};
    u64 foreign[kMostCpus] = {};

    // The CPU that runs, and what happens to its writes.
    u32 here = 0;
    int write_error = 0;

    ScriptedArea areas[4] = {};
    u32 created = 0;
    u32 not_ours = 0;  // areas that were given back and not created, or for a second time
    u32 logged = 0;
    const char* log = nullptr;
    u32 log_cpu = 0;
    int log_error = 0;
};

constinit Script script{};
constinit u8 memory[4][kPage];
constinit u8 left_behind[kPage];

constexpr u64 physical_of_area(u32 number) { return u64{number + 1} << 20; }

struct ScriptedKernel {
    static int next_online_cpu(int) { return -1; }
    static Result<u64> rdmsr(u32 cpu, Msr) { return script.slots[cpu]; }
    static Result<u64> rdmsr_here(Msr msr) { return rdmsr(script.here, msr); }
    static Result<void> wrmsr_here(Msr, u64 value) {
        if (script.write_error) return Error(script.write_error);
        script.slots[script.here] = value;
        return {};
    }
    static u64& foreign_msr(u32 cpu, u32) { return script.foreign[cpu]; }
    static bool is_kernel_ram(u64) { return false; }
};

struct ScriptedMachine {
    static u32 last_possible_cpu() { return script.last_cpu; }
    static int area_create(u32 size, linux_area* area) {
        const u32 number = script.created;
        if (number < 2 && script.create_errors[number]) return script.create_errors[number];
        script.areas[number] = {size, false};
        *area = {memory[number], physical_of_area(number), number};
        ++script.created;
        return 0;
    }
    static void area_adopt(const void* page, linux_area* area) {
        *area = {const_cast<void*>(page), 0x99'9000, 77};
    }
    // The area's order is its number here.
    static void area_destroy(linux_area* area) {
        if (area->order >= script.created || script.areas[area->order].given_back)
            ++script.not_ours;
        else
            script.areas[area->order].given_back = true;
    }
    static void log_cpu_error(const char*, const char* what, u32 cpu, Error error) {
        ++script.logged;
        script.log = what;
        script.log_cpu = cpu;
        script.log_error = error.negative_errno();
    }
};

struct TogetherLayout {
    static constexpr u32 kIndex = 1;
    static constexpr u64 kAddressMask = ~u64{63};
    static constexpr u32 kStride = ::kStride;
    static constexpr bool kCpu0HasAPageOfItsOwn = false;
    static std::optional<Msr> msr(const KvmCpuid&) { return Msr::KVM_STEAL_TIME; }
    static Use use(u32, u64) { return Use::kNobody; }
};

struct ApartLayout : TogetherLayout {
    static constexpr bool kCpu0HasAPageOfItsOwn = true;
};

template <OwnedSlotLayout Layout>
struct Owner {
    Registration<Layout, ScriptedKernel> registration;
    OwnedSlots<Layout, ScriptedKernel, ScriptedMachine> slots{"feature"};

    explicit Owner(const Script& played) { script = played; }
    int create() { return slots.create(registration).zero_or_negative_errno(); }
    int take(u32 cpu) {
        script.here = cpu;
        return slots.take(cpu).zero_or_negative_errno();
    }
    void put_back(u32 cpu) {
        script.here = cpu;
        slots.put_back(cpu);
    }
    int resume(u32 cpu) {
        script.here = cpu;
        return slots.resume(cpu).zero_or_negative_errno();
    }
    void suspend(u32 cpu) {
        script.here = cpu;
        slots.suspend(cpu);
    }
};

using Together = Owner<TogetherLayout>;
using Apart = Owner<ApartLayout>;

// A place of `cpu`: in which area, and how far from its beginning.
template <class Owner>
void expect_place(Test& test, const Owner& owner, u32 cpu, u32 area, u32 offset) {
    test.equal("physical", owner.slots.physical_of(cpu), physical_of_area(area) + offset);
    test.is_true("address", owner.slots.address_of(cpu) == memory[area] + offset);
}

void expect_given_back(Test& test, u32 created, u32 given_back) {
    u32 seen = 0;
    for (const ScriptedArea& area : script.areas) seen += area.given_back;
    test.equal("areas", script.created, created);
    test.equal("given back", seen, given_back);
    test.equal("given back and not ours", script.not_ours, 0);
}

void expect_logged(Test& test, u32 lines, const char* text, u32 cpu, int error) {
    if (!test.equal("lines in the log", script.logged, lines)) return;
    test.equal("text", script.log, text);
    test.equal("CPU", script.log_cpu, cpu);
    test.equal("error", script.log_error, error);
}

}  // namespace

KVMPV_TEST(owned_slots, a_place_for_each_cpu) {
    Test test(handle);
    Together owner({.last_cpu = 3});
    test.equal("create", owner.create(), 0);
    test.equal("size", script.areas[0].size, 4 * kStride);
    for (u32 cpu = 0; cpu < 4; ++cpu) expect_place(test, owner, cpu, 0, cpu * kStride);
    owner.slots.destroy();
    expect_given_back(test, 1, 1);
}

KVMPV_TEST(owned_slots, a_page_for_cpu0) {
    Test test(handle);
    Apart owner({.last_cpu = 3});
    test.equal("create", owner.create(), 0);
    test.equal("size for CPU 0", script.areas[0].size, kStride);
    test.equal("size for the others", script.areas[1].size, 3 * kStride);
    expect_place(test, owner, 0, 0, 0);
    for (u32 cpu = 1; cpu < 4; ++cpu) expect_place(test, owner, cpu, 1, (cpu - 1) * kStride);
    test.is_true("page", owner.slots.cpu0_page() == memory[0]);
    owner.slots.destroy();
    expect_given_back(test, 2, 2);
}

// There are no others: no area of zero bytes is asked for.
KVMPV_TEST(owned_slots, a_page_for_the_only_cpu) {
    Test test(handle);
    Apart owner({.last_cpu = 0});
    test.equal("create", owner.create(), 0);
    expect_place(test, owner, 0, 0, 0);
    owner.slots.destroy();
    expect_given_back(test, 1, 1);
}

KVMPV_TEST(owned_slots, no_memory) {
    Test test(handle);
    Together together({.create_errors = {-12}});
    test.equal("create", together.create(), -12);
    together.slots.destroy();
    expect_given_back(test, 0, 0);

    Apart first({.create_errors = {-12}});
    test.equal("create", first.create(), -12);
    first.slots.destroy();
    expect_given_back(test, 0, 0);

    Apart second({.create_errors = {0, -12}});
    test.equal("create", second.create(), -12);
    second.slots.destroy();
    expect_given_back(test, 1, 1);
}

KVMPV_TEST(owned_slots, destroys_once) {
    Test test(handle);
    Apart owner({});
    test.equal("create", owner.create(), 0);
    owner.slots.destroy();
    owner.slots.destroy();
    expect_given_back(test, 2, 2);
    test.equal("create again", owner.create(), 0);
    owner.slots.destroy();
    expect_given_back(test, 4, 4);
}

KVMPV_TEST(owned_slots, takes_and_puts_back) {
    Test test(handle);
    const u64 foreign = 0xe'8c21;
    Together owner({.slots = {foreign, 0}});
    test.equal("create", owner.create(), 0);
    for (u32 cpu = 0; cpu < 2; ++cpu) {
        test.equal("take", owner.take(cpu), 0);
        test.equal("slot", script.slots[cpu], physical_of_area(0) + cpu * kStride + 1);
    }
    for (u32 cpu = 0; cpu < 2; ++cpu) owner.put_back(cpu);
    test.equal("slot of CPU 0", script.slots[0], foreign);
    test.equal("slot of CPU 1", script.slots[1], 0);
    owner.slots.destroy();
    expect_given_back(test, 1, 1);
    test.equal("lines in the log", script.logged, 0);
}

KVMPV_TEST(owned_slots, cannot_be_taken) {
    Test test(handle);
    Together owner({.write_error = -5});
    test.equal("create", owner.create(), 0);
    test.equal("take", owner.take(1), -5);
    expect_logged(test, 1, "the slot could not be taken", 1, -5);
    // It may yet be put back: then the memory is free.
    script.write_error = 0;
    owner.put_back(1);
    owner.slots.destroy();
    expect_given_back(test, 1, 1);
}

// One slot that still names the memory keeps all of it: the areas are whole.
KVMPV_TEST(owned_slots, cannot_be_put_back) {
    Test test(handle);
    Apart owner({});
    test.equal("create", owner.create(), 0);
    for (u32 cpu = 0; cpu < 2; ++cpu) test.equal("take", owner.take(cpu), 0);
    owner.put_back(0);
    script.write_error = -5;
    owner.put_back(1);
    expect_logged(test, 1, "the slot could not be given up, its memory stays", 1, -5);
    owner.slots.destroy();
    expect_given_back(test, 2, 0);
}

// A host that refuses a slot never knew the memory.
KVMPV_TEST(owned_slots, refused_and_given_back) {
    Test test(handle);
    Apart owner({.slots = {0xe'8c21, 0}});
    test.equal("create", owner.create(), 0);
    script.write_error = -5;
    for (u32 cpu = 0; cpu < 2; ++cpu) {
        test.equal("take", owner.take(cpu), -5);
        owner.put_back(cpu);
    }
    expect_logged(test, 2, "the slot could not be taken", 1, -5);
    owner.slots.destroy();
    expect_given_back(test, 2, 2);
}

KVMPV_TEST(owned_slots, keeps_by_order) {
    Test test(handle);
    Together owner({});
    test.equal("create", owner.create(), 0);
    owner.slots.keep(1, Error(-6));
    expect_logged(test, 1, "the slot could not be given up, its memory stays", 1, -6);
    owner.slots.destroy();
    expect_given_back(test, 1, 0);
}

KVMPV_TEST(owned_slots, adopts_a_page) {
    Test test(handle);
    Apart owner({});
    owner.slots.adopt_cpu0(left_behind);
    test.is_true("kept", owner.slots.cpu0_is_kept());
    test.equal("create", owner.create(), 0);
    test.equal("physical of CPU 0", owner.slots.physical_of(0), 0x99'9000);
    test.is_true("address of CPU 0", owner.slots.address_of(0) == left_behind);
    expect_place(test, owner, 1, 0, 0);
    owner.slots.destroy();
    expect_given_back(test, 1, 1);
}

KVMPV_TEST(owned_slots, keeps_the_page_of_cpu0) {
    Test test(handle);
    Apart owner({});
    test.equal("create", owner.create(), 0);
    test.is_false("kept", owner.slots.cpu0_is_kept());
    owner.slots.keep_cpu0();
    owner.slots.destroy();
    expect_given_back(test, 2, 1);
    test.is_false("CPU 0's page is given back", script.areas[0].given_back);
}

KVMPV_TEST(owned_slots, sleeps_and_wakes) {
    Test test(handle);
    Together owner({});
    test.equal("create", owner.create(), 0);
    test.equal("take", owner.take(1), 0);
    owner.suspend(1);
    test.equal("asleep", script.slots[1], 0);
    test.equal("resume", owner.resume(1), 0);
    test.equal("awake", script.slots[1], physical_of_area(0) + kStride + 1);
    test.equal("lines in the log", script.logged, 0);

    script.write_error = -5;
    owner.suspend(1);
    expect_logged(test, 1, "the slot could not be cleared before suspend", 1, -5);
    test.equal("resume", owner.resume(1), -5);
    expect_logged(test, 2, "the slot could not be taken again after suspend", 1, -5);
}

// Nobody reads the log any more.
KVMPV_TEST(owned_slots, disarms_for_a_restart) {
    Test test(handle);
    Together owner({});
    test.equal("create", owner.create(), 0);
    test.equal("take", owner.take(1), 0);
    owner.slots.disarm();
    test.equal("slot", script.slots[1], 0);
    script.write_error = -5;
    owner.slots.disarm();
    test.equal("lines in the log", script.logged, 0);
}

KVMPV_SUITE(owned_slots);
