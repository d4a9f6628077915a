// SPDX-License-Identifier: GPL-2.0-only
//
// The stable read on the real CPU, against the models of models.hh, by Google Benchmark. Ours is
// src/clock_read.cc as it stands: linked without -pie, %gs:kvmpv_cpu is the variable below, because
// the base of %gs is 0 in user space.

#include <benchmark/benchmark.h>

#include <cstdio>
#include <cstdlib>

#include "kvmpv/boundary.h"
#include "models.hh"

using kvmpv::PvclockVcpuTimeInfo;
using kvmpv::bench::TscRead;

struct kvmpv_cpu kvmpv_cpu;

namespace {

// Half a nanosecond a tick, from now on.
PvclockVcpuTimeInfo record_from_now() {
    return {2,           0, kvmpv::x86::rdtscp(),     1'000'000'000,
            0x8000'0000, 0, kvmpv::kPvclockTscStable, {}};
}

alignas(64) PvclockVcpuTimeInfo record;

using Read = u64 (*)(clocksource*);

template <TscRead kTscRead>
u64 plain(clocksource*) {
    return kvmpv::bench::plain_read<kTscRead>(&record);
}

template <TscRead kTscRead>
u64 native(clocksource*) {
    return kvmpv::bench::native_read<kTscRead>();
}

// What no reader can go below.
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
};

// All read the same clock, or what is measured means nothing.
void all_agree() {
    u64 before = 0;
    for (int round = 0; round < 1000; ++round) {
        for (const Row& row : kRows) {
            const u64 now_ns = row.read(nullptr);
            // Two seconds: the process may be kept from its CPU in between.
            if (now_ns >= before && (before == 0 || now_ns - before < 2'000'000'000)) {
                before = now_ns;
                continue;
            }
            std::fprintf(stderr, "%s reads %llu after %llu\n", row.name, now_ns, before);
            std::exit(1);
        }
    }
}

// Called as timekeeping does, through a pointer.
void measure(benchmark::State& state, Read read) {
    benchmark::DoNotOptimize(read);
    for (auto _ : state) benchmark::DoNotOptimize(read(nullptr));
}

}  // namespace

int main(int argc, char** argv) {
    record = record_from_now();
    kvmpv_cpu.clock_page = &record;
    kvmpv::bench::this_cpu_record = &record;
    all_agree();
    for (const Row& row : kRows) benchmark::RegisterBenchmark(row.name, measure, row.read);
    benchmark::RegisterBenchmark("tsc/lfence", measure, tsc_alone<TscRead::kLfence>);
    benchmark::RegisterBenchmark("tsc/rdtscp", measure, tsc_alone<TscRead::kRdtscp>);
    benchmark::Initialize(&argc, argv);
    benchmark::RunSpecifiedBenchmarks();
}
