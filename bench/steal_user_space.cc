// SPDX-License-Identifier: GPL-2.0-only
//
// The steal clock on the real CPU, by Google Benchmark. Compares src/steal/steal_clock.cc as it
// stands (linked without -pie, as user_space.cc says) with what native executes, on a record that
// nobody writes.

#include <benchmark/benchmark.h>

#include <cstdio>
#include <cstdlib>

#include "../src/clock/early_look.hh"
#include "../src/steal/steal_clock.hh"
#include "x86.hh"

struct kvmpv_cpu kvmpv_cpu;

// While this is true nobody writes the record, so none of the functions below is called.
static constinit bool measuring = false;

[[noreturn]] static void unexpected(const char* what) {
    std::fprintf(stderr, "%s was called\n", what);
    std::exit(1);
}
struct kvmpv_cpu* linux_cpu(u32) {
    unexpected("linux_cpu");
}
void linux_current_task(kvmpv_task*) { unexpected("linux_current_task"); }
void linux_trace_steal(u32, u64, u64) { unexpected("linux_trace_steal"); }
void linux_trace_steal_step(u32, bool, u64, u64) { unexpected("linux_trace_steal_step"); }
void kvmpv::steal_tasks::charge(Charges&, u64) { unexpected("charge"); }
void kvmpv::early_look::ask(u64) { unexpected("early_look::ask"); }

namespace {

alignas(64) kvmpv::KvmStealTime record{123'456'789, 2, 0, 0, {}, {}};
// Its version is the one that was seen last, as in nearly every tick.
alignas(64) kvmpv::PvclockVcpuTimeInfo clock_record{};

}  // namespace

// Where the clock begins. The kernel has accounted what the record says, and has been up for an
// hour.
u64 linux_accounted_steal_ns(u32) {
    if (measuring) unexpected("linux_accounted_steal_ns");
    return record.steal;
}
u64 linux_monotonic_ns() {
    if (measuring) unexpected("linux_monotonic_ns");
    return 3'600'000'000'000;
}

namespace {

// The start of each CPU's per-CPU memory, to which native adds the record's offset.
u64 per_cpu_offset[64];

// A model of native, made from the steps that bench/steps.c saw. It is no copy of the kernel's
// source.
[[gnu::noinline]] u64 native(int cpu) {
    const auto* mine = reinterpret_cast<const kvmpv::KvmStealTime*>(
        reinterpret_cast<u64>(&record) + kvmpv::x86::load(per_cpu_offset[cpu]));
    u64 steal_ns;
    u32 version;
    do {
        version = kvmpv::x86::load(mine->version);
        steal_ns = kvmpv::x86::load(mine->steal);
    } while ((version & 1) || version != kvmpv::x86::load(mine->version));
    return steal_ns;
}

u64 task_switch(int) {
    kvmpv_task_switch();
    return 0;
}

[[gnu::noinline]] u64 nothing(int) { return 0; }
[[gnu::noinline]] u64 rdtsc(int) { return kvmpv::x86::rdtsc(); }

using Ask = u64 (*)(int cpu);

// Calls through a pointer, which costs the same for all of them.
void measure(benchmark::State& state, Ask ask) {
    benchmark::DoNotOptimize(ask);
    for (auto _ : state) benchmark::DoNotOptimize(ask(0));
}

// What the module does in shared mode at load: first the kernel asks its own clock, then both
// clocks, then ours.
void begin() {
    using namespace kvmpv::steal_clock;
    static CpuState state{};
    kvmpv_cpu.steal_here = &state;
    kvmpv_cpu.clock_record = &clock_record;
    setup = {kvmpv::TicksToNs(2'000'000), 4'000'000, true, false};
    ::kvmpv::steal_clock::begin(state, &record, true);
    setup.handover_in_progress = true;
    prepare_hook(state, true);
    setup.handover_in_progress = false;
    const u64 ours = kvmpv_steal_clock(0);
    measuring = true;
    if (ours == native(0) && kvmpv_steal_clock(0) == ours && !state.clock.native_shown) return;
    std::fputs("the clocks do not agree\n", stderr);
    std::exit(1);
}

}  // namespace

int main(int argc, char** argv) {
    begin();
    benchmark::RegisterBenchmark("nothing", measure, nothing);
    benchmark::RegisterBenchmark("rdtsc", measure, rdtsc);
    benchmark::RegisterBenchmark("native", measure, native);
    benchmark::RegisterBenchmark("kvmpv_steal_clock", measure, kvmpv_steal_clock);
    benchmark::RegisterBenchmark("kvmpv_task_switch", measure, task_switch);
    benchmark::Initialize(&argc, argv);
    benchmark::RunSpecifiedBenchmarks();
}
