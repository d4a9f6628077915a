// SPDX-License-Identifier: GPL-2.0-only
//
// Compares one read on the real CPU, by the stable path and by the guarded one, with the models of
// models.hh, by Google Benchmark. Ours is src/clock/clock_read.cc as it stands: linked without
// -pie, %gs:kvmpv_cpu is the variable below, because the base of %gs is 0 in user space.

#include <benchmark/benchmark.h>
#include <sched.h>

#include <cstdio>
#include <cstdlib>

#include "../src/clock/clock_read.hh"
#include "boundary.h"
#include "models.hh"

using kvmpv::PvclockVcpuTimeInfo;
using kvmpv::bench::TscRead;

struct kvmpv_cpu kvmpv_cpu;

// The running thread, as in the kernel. Nobody counts its switches, because there is only one
// record.
static u64 switches;
const void* KVMPV_CURRENT_TASK = &switches;
asm(".globl kvmpv_task_nivcsw\n.set kvmpv_task_nivcsw, 0");

namespace {

// A record that starts now, at half a nanosecond per tick.
PvclockVcpuTimeInfo record_from_now() {
    return {2,           0, kvmpv::x86::rdtscp(),     1'000'000'000,
            0x8000'0000, 0, kvmpv::kPvclockTscStable, {}};
}

alignas(64) PvclockVcpuTimeInfo record;
alignas(64) PvclockVcpuTimeInfo record_without_promise;

using Read = u64 (*)(clocksource*);

template <TscRead kTscRead>
u64 plain(clocksource*) {
    return kvmpv::bench::plain_read<kTscRead>(&record);
}

template <TscRead kTscRead>
u64 native(clocksource*) {
    return kvmpv::bench::native_read<kTscRead>();
}

u64 native_guarded(clocksource*) { return kvmpv::bench::native_read<TscRead::kRdtscp, false>(); }

// The lower limit of every reader.
template <TscRead kTscRead>
[[gnu::noinline]] u64 tsc_alone(clocksource*) {
    return kvmpv::bench::ordered_tsc<kTscRead>();
}

struct Row {
    const char* name;
    Read read;
};

const Row kRows[] = {
    {"kvmpv/lfence", kvmpv_clock_read_stable_lfence},
    {"plain/lfence", plain<TscRead::kLfence>},
    {"native/lfence", native<TscRead::kLfence>},
    {"kvmpv/rdtscp", kvmpv_clock_read_stable_rdtscp},
    {"plain/rdtscp", plain<TscRead::kRdtscp>},
    {"native/rdtscp", native<TscRead::kRdtscp>},
    {"kvmpv/guarded", kvmpv_clock_read_guarded_rdtscp},
    {"native/guarded", native_guarded},
};

// All have to read the same clock, or the comparison means nothing.
void all_agree() {
    u64 before = 0;
    for (int round = 0; round < 1000; ++round) {
        for (const Row& row : kRows) {
            const u64 now_ns = row.read(nullptr);
            // Two seconds, because the process may be preempted in between.
            if (now_ns >= before && (before == 0 || now_ns - before < 2'000'000'000)) {
                before = now_ns;
                continue;
            }
            std::fprintf(stderr, "%s reads %llu after %llu\n", row.name, now_ns, before);
            std::exit(1);
        }
    }
}

// Calls through a pointer, as timekeeping does.
void measure(benchmark::State& state, Read read) {
    benchmark::DoNotOptimize(read);
    for (auto _ : state) benchmark::DoNotOptimize(read(nullptr));
}

// There is only one record, so the process must stay on one CPU.
void stay_on_this_cpu() {
    const int cpu = sched_getcpu();
    cpu_set_t only;
    CPU_ZERO(&only);
    CPU_SET(static_cast<unsigned>(cpu), &only);
    if (cpu >= 0 && sched_setaffinity(0, sizeof(only), &only) == 0) return;
    std::perror("this CPU");
    std::exit(1);
}

}  // namespace

int main(int argc, char** argv) {
    stay_on_this_cpu();
    record = record_from_now();
    record_without_promise = record;
    record_without_promise.flags = 0;
    kvmpv_cpu.clock_record = &record;
    kvmpv_cpu.self = &kvmpv_cpu;
    kvmpv::bench::this_cpu_record = &record;
    kvmpv::bench::this_cpu_record_without_promise = &record_without_promise;
    // Otherwise the first guarded read would disable interrupts to check elapsed time.
    kvmpv::clock_read::guard.move_horizon(std::numeric_limits<u64>::max());
    all_agree();
    for (const Row& row : kRows) benchmark::RegisterBenchmark(row.name, measure, row.read);
    benchmark::RegisterBenchmark("tsc/lfence", measure, tsc_alone<TscRead::kLfence>);
    benchmark::RegisterBenchmark("tsc/rdtscp", measure, tsc_alone<TscRead::kRdtscp>);
    benchmark::Initialize(&argc, argv);
    benchmark::RunSpecifiedBenchmarks();
}
