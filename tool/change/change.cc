// SPDX-License-Identifier: GPL-2.0-only
#include "change/change.hh"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "read/sum.hh"
#include "say/numbers.hh"

namespace kvmpv {
namespace {

// The uptime is read beside the finer clock, and the host may keep the CPU for a while in between.
constexpr std::int64_t kSleepNs = 1'000'000'000;
// A reading that comes so much later than it should is not only late because the guest was busy.
constexpr std::int64_t kLateNs = 500'000'000;
// What a step of the clock has to be, for a share of a second to be wrong by a percent.
constexpr std::int64_t kJumpNs = 10'000'000;

Number number_of(const std::optional<Fields>& fields, const char* name) {
    return fields ? fields->number(name) : std::nullopt;
}

// Whether the module has begun to count anew: all that it counts, or what steal/reset forgets.
struct Restart {
    bool of_module = false;
    bool of_bursts = false;
};

Restart find_restart(const Tree& earlier, const Tree& now) {
    Restart restart;
    restart.of_module =
        !earlier.loading.empty() && !now.loading.empty() && earlier.loading != now.loading;
    restart.of_bursts = restart.of_module || number_of(earlier.steal, "reset_time_ns") !=
                                                 number_of(now.steal, "reset_time_ns");
    return restart;
}

Growth counted(Number earlier, Number now, bool has_restarted) {
    if (has_restarted && earlier && now) return {Course::kRestarted, 0};
    return growth(earlier, now);
}

// The row of this CPU, if there is such a table and it has one.
template <typename Cpu>
const Cpu* row_of(const std::optional<std::vector<Cpu>>& rows, std::int64_t cpu) {
    if (!rows) return nullptr;
    const auto found =
        std::find_if(rows->begin(), rows->end(), [&](const Cpu& row) { return row.cpu == cpu; });
    return found == rows->end() ? nullptr : &*found;
}

template <typename Cpu, typename Value>
Growth grown(const std::optional<std::vector<Cpu>>& earlier,
             const std::optional<std::vector<Cpu>>& now, std::int64_t cpu, Value Cpu::*value,
             bool has_restarted) {
    const Cpu* const before = row_of(earlier, cpu);
    const Cpu* const after = row_of(now, cpu);
    return counted(before ? Number(before->*value) : Number(),
                   after ? Number(after->*value) : Number(), has_restarted);
}

std::set<std::int64_t> cpus_of(const Tree& earlier, const Tree& now) {
    std::set<std::int64_t> cpus;
    for (const Tree* tree : {&earlier, &now}) {
        if (!tree->steal_cpus) continue;
        for (const StealCpu& cpu : *tree->steal_cpus) cpus.insert(cpu.cpu);
    }
    return cpus;
}

CpuChange change_of(std::int64_t cpu, const Tree& earlier, const Tree& now,
                    const Restart& restart) {
    CpuChange change;
    change.cpu = cpu;
    change.course = grown(earlier.steal_cpus, now.steal_cpus, cpu, &StealCpu::cpu, false).course;
    change.stolen_ns =
        grown(earlier.steal_cpus, now.steal_cpus, cpu, &StealCpu::steal_ns, restart.of_module);
    change.bursts =
        grown(earlier.steal_cpus, now.steal_cpus, cpu, &StealCpu::bursts, restart.of_bursts);
    change.run_ns = grown(earlier.cpu_times, now.cpu_times, cpu, &CpuTimes::run_ns, false);
    change.idle_ns = grown(earlier.cpu_times, now.cpu_times, cpu, &CpuTimes::idle_ns, false);
    change.elided = grown(earlier.eoi_cpus, now.eoi_cpus, cpu, &EoiCpu::elided, restart.of_module);
    change.written =
        grown(earlier.eoi_cpus, now.eoi_cpus, cpu, &EoiCpu::written, restart.of_module);
    if (const StealCpu* const row = row_of(now.steal_cpus, cpu)) {
        change.longest_ns = row->longest_ns;
        change.longest_comm = row->longest_comm;
    }
    return change;
}

// The finer clock of the running system, otherwise the one that a copy has.
Growth elapsed(const Tree& earlier, const Tree& now) {
    if (earlier.monotonic_ns && now.monotonic_ns)
        return growth(earlier.monotonic_ns, now.monotonic_ns);
    return growth(earlier.uptime_ns, now.uptime_ns);
}

void remark_on_time(const Tree& earlier, const Tree& now, std::int64_t asked_ns, Change& change) {
    const Growth time = elapsed(earlier, now);
    if (time.course == Course::kRestarted)
        change.remarks.push_back(
            "The guest's time is less than at the reading before: the two are not of one boot.");
    if (!time.is_known()) return;
    change.elapsed_ns = time.by;
    const Growth with_sleep = growth(earlier.uptime_ns, now.uptime_ns);
    if (with_sleep.is_known() && with_sleep.by - time.by >= kSleepNs)
        change.remarks.push_back("The guest was suspended for " +
                                 duration(with_sleep.by - time.by) + ".");
    if (asked_ns > 0 && time.by - asked_ns > std::max(kLateNs, asked_ns / 2))
        change.remarks.push_back("This covers " + duration(time.by) + " instead of " +
                                 duration(asked_ns) +
                                 ": the guest was stopped, or this program did not get to run.");
}

void remark_on_events(Change& change) {
    std::int64_t jumped = 0;
    std::int64_t stood = 0;
    for (const Event& event : change.events) {
        if (event.name == "jump_forward") jumped = sum(jumped, event.value.value_or(0));
        if (event.name == "pause") stood = sum(stood, event.value.value_or(0));
    }
    if (jumped >= kJumpNs)
        change.remarks.push_back("The host's clock jumped ahead by " + duration(jumped) +
                                 ". If the kernel keeps time by it, the shares are too small.");
    if (stood >= kJumpNs)
        change.remarks.push_back("The host's clock stood still for " + duration(stood) +
                                 ": the guest was stopped meanwhile.");
    if (change.missed_events > 0)
        change.remarks.push_back(count(change.missed_events, "event") +
                                 " had been overwritten before this reading.");
}

}  // namespace

std::int64_t Change::stolen_ns() const {
    std::int64_t all = 0;
    for (const CpuChange& cpu : cpus) all = sum(all, cpu.stolen_ns.by);
    return all;
}

double Change::stolen_part() const {
    const auto known = std::count_if(cpus.begin(), cpus.end(),
                                     [](const CpuChange& cpu) { return cpu.stolen_ns.is_known(); });
    if (known == 0 || !elapsed_ns) return 0;
    return share(stolen_ns(), *elapsed_ns) / static_cast<double>(known);
}

News news(std::int64_t last, const Events& now) {
    News found;
    found.has_restarted = now.count < last;
    if (found.has_restarted) last = 0;
    for (const Event& event : now.kept)
        if (event.seq > last) found.events.push_back(event);
    const std::int64_t first = found.events.empty() ? sum(now.count, 1) : found.events.front().seq;
    found.missed = std::max<std::int64_t>(growth(sum(last, 1), first).by, 0);
    return found;
}

std::optional<std::vector<Loss>> losses(const std::optional<Charges>& earlier,
                                        const std::optional<Charges>& now) {
    if (!earlier || !now || !growth(earlier->since_reset_ns, now->since_reset_ns).is_known())
        return std::nullopt;
    using Key = std::pair<std::string, Number>;
    std::map<Key, std::int64_t> before;
    for (const Charge& row : earlier->rows) before[{row.what, row.id}] = row.steal_ns;
    std::vector<Loss> lost;
    for (const Charge& row : now->rows) {
        const auto found = before.find({row.what, row.id});
        // A task with a number that another one had begins at 0.
        const Growth grew = growth(found == before.end() ? 0 : found->second, row.steal_ns);
        const std::int64_t ns = grew.is_known() ? grew.by : row.steal_ns;
        if (ns > 0) lost.push_back({row.what, row.id, row.name, ns});
    }
    std::stable_sort(lost.begin(), lost.end(),
                     [](const Loss& left, const Loss& right) { return left.ns > right.ns; });
    return lost;
}

Change compare(const Tree& earlier, const Tree& now, std::int64_t asked_ns) {
    Change change;
    remark_on_time(earlier, now, asked_ns, change);
    const Restart restart = find_restart(earlier, now);
    if (restart.of_module)
        change.remarks.push_back("kvmpv was loaded anew, and counts from 0 again.");
    else if (restart.of_bursts && earlier.steal && now.steal)
        change.remarks.push_back("Bursts and charges were reset, and count from 0 again.");
    for (const std::int64_t cpu : cpus_of(earlier, now))
        change.cpus.push_back(change_of(cpu, earlier, now, restart));
    change.has_restarted = restart.of_bursts && earlier.steal && now.steal;
    const std::optional<Charges> none = Charges{false, 0, {}};
    change.tasks = losses(change.has_restarted ? none : earlier.tasks, now.tasks)
                       .value_or(std::vector<Loss>());
    change.cgroups = losses(change.has_restarted ? none : earlier.cgroups, now.cgroups)
                         .value_or(std::vector<Loss>());
    if (earlier.events && now.events) {
        News since = news(restart.of_module ? 0 : earlier.events->count, *now.events);
        change.events = std::move(since.events);
        change.missed_events = since.missed;
    }
    remark_on_events(change);
    return change;
}

}  // namespace kvmpv
