// SPDX-License-Identifier: GPL-2.0-only
//
// page_waits.hh: what is counted of a wait, and that all parts add up to the whole.

#include "kvmpv/page_waits.hh"
#include "scripted_host.hh"
#include "test.hh"

using namespace kvmpv;
using namespace kvmpv::testing;

namespace {

struct Somebody {
    u64 id;

    bool same(const Somebody& other) const { return id == other.id; }
    bool before(const Somebody& other) const { return id < other.id; }
    u64 hash() const { return id; }
};

constexpr u32 kTasks = 32;
constexpr u32 kCgroups = 8;
constexpr u32 kCpus = 4;
using Waits = PageWaits<Somebody, kTasks, Somebody, kCgroups>;
using Cpu = CpuWaits<Somebody>;

// Too large for the kernel's stack.
constinit Waits waits{};
constinit std::array<Cpu, kCpus> cpus{};

void begin() {
    waits.forget();
    cpus = {};
}

u64 wait(Cpu& cpu, u64 begun_ns, u64 now_ns, u64 task, u64 cgroup) {
    ++cpu.begun;
    return waits.end(cpu, begun_ns, now_ns, {task}, {cgroup});
}

template <u32 kSize>
u64 sum(const ChargeTable<Somebody, kSize>& table) {
    Charge<Somebody> charges[kSize];
    const u32 count = table.copy_to(charges);
    u64 ns = table.other_ns();
    for (u32 at = 0; at < count; ++at) ns += charges[at].ns;
    return ns;
}

}  // namespace

KVMPV_TEST(page_waits, one) {
    Test test(handle);
    begin();
    ++cpus[0].begun;
    test.equal("waiting", cpus[0].waiting(), 1);
    test.equal("how long", waits.end(cpus[0], 1000, 1700, {5}, {50}), 700);
    test.equal("waiting", cpus[0].waiting(), 0);
    test.equal("ended", cpus[0].ended, 1);
    test.equal("sum", cpus[0].sum_ns, 700);
    test.equal("longest", cpus[0].longest_ns, 700);
    test.equal("when", cpus[0].longest_time_ns, 1700);
    test.equal("whose", cpus[0].longest_task.id, 5);
    test.equal("histogram", waits.histogram().count_in(WaitHistogram::bucket_of(700)), 1);
    test.equal("tasks", sum(waits.tasks()), 700);
    test.equal("cgroups", sum(waits.cgroups()), 700);
}

// Of several that were as long the first one is kept.
KVMPV_TEST(page_waits, longest) {
    Test test(handle);
    begin();
    wait(cpus[0], 0, 10, 1, 0);
    wait(cpus[0], 100, 120, 2, 0);
    wait(cpus[0], 200, 220, 3, 0);
    wait(cpus[0], 300, 305, 4, 0);
    wait(cpus[1], 400, 500, 6, 0);
    test.equal("longest", cpus[0].longest_ns, 20);
    test.equal("when", cpus[0].longest_time_ns, 120);
    test.equal("whose", cpus[0].longest_task.id, 2);
    test.equal("sum", cpus[0].sum_ns, 55);
    test.equal("the other CPU's", cpus[1].longest_task.id, 6);
}

// The task goes on on another CPU, whose clock is a little behind: counted, and of no length.
KVMPV_TEST(page_waits, clocks_differ) {
    Test test(handle);
    begin();
    test.equal("how long", wait(cpus[0], 1000, 999, 7, 0), 0);
    test.equal("ended", cpus[0].ended, 1);
    test.equal("sum", cpus[0].sum_ns, 0);
    test.equal("whose", cpus[0].longest_task.id, 7);
    test.equal("histogram", waits.histogram().count_in(0), 1);
}

KVMPV_TEST(page_waits, cut) {
    Test test(handle);
    begin();
    wait(cpus[0], 0, 10, 1, 0);
    cpus[0].begun += 3;
    test.equal("waiting", cpus[0].waiting(), 3);
    cpus[0].cut_all();
    test.equal("cut", cpus[0].cut, 3);
    test.equal("waiting", cpus[0].waiting(), 0);
    test.equal("ended", cpus[0].ended, 1);
    // Nothing is cut twice.
    cpus[0].cut_all();
    test.equal("cut", cpus[0].cut, 3);
}

// More tasks and cgroups than there are places, on several CPUs.
KVMPV_TEST(page_waits, parts_make_the_whole) {
    Test test(handle);
    begin();
    Xorshift random(16);
    u64 now_ns = 0;
    for (u32 i = 0; i < 5'000; ++i) {
        const u64 begun_ns = now_ns;
        now_ns += random.next() % 1'000'000;
        wait(cpus[random.next() % kCpus], begun_ns, now_ns, random.next() % 100,
             random.next() % 20);
    }
    u64 count = 0;
    u64 whole_ns = 0;
    for (const Cpu& cpu : cpus) {
        count += cpu.ended;
        whole_ns += cpu.sum_ns;
        test.equal("waiting", cpu.waiting(), 0);
    }
    test.equal("waits", count, 5'000);
    test.equal("whole", whole_ns, now_ns);
    test.equal("tasks", sum(waits.tasks()), now_ns);
    test.at_least("tasks without a place", waits.tasks().other_ns(), 1);
    test.equal("cgroups", sum(waits.cgroups()), now_ns);
    u64 in_buckets = 0;
    for (u32 bucket = 0; bucket < WaitHistogram::kBuckets; ++bucket)
        in_buckets += waits.histogram().count_in(bucket);
    test.equal("histogram", in_buckets, 5'000);
}

KVMPV_TEST(page_waits, forget) {
    Test test(handle);
    begin();
    wait(cpus[0], 0, 1000, 1, 2);
    waits.forget();
    test.equal("histogram", waits.histogram().count(), 0);
    test.equal("tasks", sum(waits.tasks()), 0);
    test.equal("cgroups", sum(waits.cgroups()), 0);
}

KVMPV_SUITE(page_waits);
