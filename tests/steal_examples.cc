// SPDX-License-Identifier: GPL-2.0-only
//
// Runs examples of the steal arithmetic through the clock that the module has, for test_docs.py.
// Reads lines, in milliseconds:
//     begin RAW ACCOUNTED   a clock begins on a record that says RAW
//     look PASSED RAW       time passes, the record says RAW, the kernel asks
//     unhook                the record is healed
// and prints for each: record, shown, carry, backward, dropped.

#include <cstdio>
#include <cstring>

#include "kvmpv/steal_handover.hh"

using namespace kvmpv;

namespace {

constexpr u64 kMs = 1'000'000;
constexpr u64 kTicksPerMs = 2 * kMs;  // 2 GHz

struct Machine {
    u64 tsc_now = 1'000'000 * kTicksPerMs;
    u64 accounted_ns_now = 0;
    bool unhooking = false;

    template <class T>
    T load(const T& shared) {
        return shared;
    }
    void barrier() {}
    void store(u64& shared, u64 value) { shared = value; }
    bool compare_exchange(u64& shared, u64&, u64 desired) {
        shared = desired;
        return true;
    }
    void add(u64& shared, u64 value) { shared += value; }
    u64 tsc() { return tsc_now; }
    u64 elapsed_ns(u64 ticks) { return TicksToNs(kTicksPerMs)(ticks); }
    u64 tick_ns() { return 4 * kMs; }
    u64 uptime_ns() { return 1'000'000 * kMs; }
    u64 accounted_ns(const StealClock&) { return accounted_ns_now; }
    bool handover_in_progress() { return unhooking; }
    void rebased(StealClock&, u64) {}
    void stepped(StealClock&, bool, u64) {}
    void stolen(StealClock&, u64) {}
};

long long in_ms(u64 ns) { return static_cast<long long>(ns) / static_cast<long long>(kMs); }

}  // namespace

int main() {
    Machine machine;
    KvmStealTime record{};
    StealClock own{};
    char what[16];
    while (std::scanf("%15s", what) == 1) {
        unsigned long long first = 0, second = 0;
        if (std::strcmp(what, "unhook") == 0) {
            machine.unhooking = true;
            if (!heal_steal(machine, own, record)) return 1;
        } else if (std::scanf("%llu %llu", &first, &second) != 2) {
            return 1;
        } else if (std::strcmp(what, "begin") == 0) {
            machine = {};
            machine.accounted_ns_now = second * kMs;
            record = {};
            record.steal = first * kMs;
            own = {};
            begin_steal(machine, own, &record, false);
        } else {
            machine.tsc_now += first * kTicksPerMs;
            record.version += 2;
            record.steal = second * kMs;
            ask_steal(machine, own);
        }
        std::printf("%lld %lld %lld %lld %lld\n", in_ms(record.steal), in_ms(own.shown_ns),
                    in_ms(static_cast<u64>(own.carry_ns())), in_ms(own.backward.sum_ns),
                    in_ms(own.forward.sum_ns));
    }
    return 0;
}
