// SPDX-License-Identifier: GPL-2.0-only
#include <algorithm>
#include <cstdlib>

#include "rules/judges.hh"
#include "say/numbers.hh"

namespace kvmpv {
namespace {

constexpr const char* kSelect =
    " > /sys/devices/system/clocksource/clocksource0/current_clocksource";

// Two clocks of one machine that are further apart have not been measured alike. NTP slews by 500
// ppm at most.
constexpr std::int64_t kWarningPpb = 500'000;
constexpr std::int64_t kCriticalPpb = 5'000'000;

// A guest that sets its clock at boot by the RTC is right within its whole seconds.
constexpr std::int64_t kWarningOffsetNs = 1'500'000'000;
constexpr std::int64_t kCriticalOffsetNs = 60'000'000'000;

constexpr std::int64_t kPpbInPpm = 1000;

std::string select(const std::string& clocksource) { return "echo " + clocksource + kSelect; }

// The best clock that needs no exit, or nothing.
std::string faster_clock(const Clocksources& clocks) {
    for (const char* name : {"kvm-clock", "kvmpv", "tsc"})
        if (clocks.offers(name)) return name;
    return {};
}

std::uint64_t magnitude(std::int64_t value) {
    return value < 0 ? -static_cast<std::uint64_t>(value) : static_cast<std::uint64_t>(value);
}

const OtherClock* other_clock(const Tree& tree, std::string_view name) {
    if (!tree.drift) return nullptr;
    const auto found = std::find_if(tree.drift->begin(), tree.drift->end(),
                                    [&](const OtherClock& clock) { return clock.name == name; });
    return found == tree.drift->end() ? nullptr : &*found;
}

}  // namespace

bool is_slow(const std::string& clocksource) {
    for (const char* slow : {"hpet", "acpi_pm", "pit", "jiffies", "refined-jiffies"})
        if (clocksource == slow) return true;
    return false;
}

Finding unknown(const std::string& file) {
    return {Severity::kUnknown, "cannot be judged", file, "That file could not be read.", {}};
}

Finding judge_slow_clock(const Look& look) {
    const std::optional<Clocksources>& clocks = look.now.clocksources;
    if (!clocks) return unknown("current_clocksource");
    if (!is_slow(clocks->current)) return {};
    const OtherClock* const clock = other_clock(look.now, clocks->current);
    const std::string better = faster_clock(*clocks);
    Finding finding;
    finding.severity = Severity::kWarning;
    finding.title = "The kernel keeps time by " + clocks->current;
    finding.number = clock && clock->read_ns
                         ? "one read takes " + duration(*clock->read_ns) + " (clock/drift)"
                         : "current_clocksource is " + clocks->current;
    finding.meaning =
        "Each read of the clock leaves the guest and waits for the host. Every program pays that "
        "for every timestamp.";
    if (better.empty())
        finding.meaning += " The kernel has no faster clock. kvmpv's is missing; status says why.";
    else
        finding.mend = select(better);
    return finding;
}

Finding judge_tsc(const Look& look) {
    const std::optional<Clocksources>& clocks = look.now.clocksources;
    if (!clocks) return unknown("current_clocksource");
    if (clocks->offers("tsc") || clocks->offers("tsc-early")) return {};
    Finding finding;
    finding.severity = is_slow(clocks->current) ? Severity::kWarning : Severity::kNote;
    finding.title = "The kernel does not trust the TSC";
    finding.number = "tsc is not in available_clocksource";
    finding.meaning =
        "The kernel has marked it unstable: the host does not promise an invariant TSC, or the "
        "kernel's watchdog has found it wrong. The clocks kvm-clock and kvmpv do not need that "
        "promise. The host's QEMU makes it with -cpu host,+invtsc.";
    return finding;
}

Finding judge_vdso(const Look& look) {
    const std::optional<Clocksources>& clocks = look.now.clocksources;
    if (!clocks || !look.now.clock || !look.now.status)
        return unknown(!clocks ? "current_clocksource" : "clock/state");
    // What user space does on another clock the module does not say.
    if (clocks->current != "kvmpv" || look.now.clock->yes("vdso")) return {};
    Finding finding;
    finding.severity = Severity::kWarning;
    finding.title = "Programs need a system call to read the clock";
    finding.number = "vdso: " + look.now.status->vdso + " (status)";
    finding.meaning = "clock_gettime() takes several times as long as it could.";
    // The line then says how, by this path. Its words may change.
    const bool is_only_switched_off =
        look.now.status->vdso.find("/sys/module/kvmpv/parameters/vdso") != std::string::npos;
    if (is_only_switched_off)
        finding.mend = "kvmpv set clock/vdso 1";
    else
        finding.meaning += " No switch in the guest changes that.";
    return finding;
}

Finding judge_promise(const Look& look) {
    if (!look.now.clock) return unknown("clock/state");
    if (!look.now.clock->yes("stable_revoked")) return {};
    Finding finding;
    finding.severity = Severity::kCritical;
    finding.title = "The host broke its promise that all CPUs show the same time";
    finding.number = "stable_revoked yes, largest step held back: " +
                     duration(look.now.clock->number("held_back_max_ns").value_or(0)) +
                     " (clock/state)";
    finding.meaning =
        "Since then kvmpv guards its clock: it does not go back, and programs read it by system "
        "call. kvm-clock has no guard. The host is the cause, often by a move to another machine; "
        "events shows when it happened. Reload the module once the host's clock is right again.";
    finding.mend = "rmmod kvmpv";
    if (look.now.clocksources && look.now.clocksources->current == "kvmpv") {
        for (const std::string& name : look.now.clocksources->available) {
            if (name == "kvmpv") continue;
            finding.mend = select(name) + " && rmmod kvmpv";
            break;
        }
    }
    return finding;
}

Finding judge_alone(const Look& look) {
    if (!look.now.clock) return unknown("clock/state");
    if (!look.now.clock->yes("alone")) return {};
    Finding finding;
    finding.severity = Severity::kWarning;
    finding.title = "The host keeps no time for this guest";
    finding.number = "alone yes (clock/state)";
    finding.meaning =
        "At the last wake-up it refused kvmpv's record. The clock continues by the TSC. It does "
        "not count the sleep, and what the host does to its own clock is not followed. Reload the "
        "module once the host takes records again; the next sleep also ends it.";
    return finding;
}

Finding judge_drift(const Look& look) {
    if (!look.now.drift) return unknown("clock/drift");
    Finding worst;
    std::uint64_t most = 0;
    for (const OtherClock& clock : *look.now.drift) {
        if (!clock.is_present || !clock.rate_ppb || !clock.error_ppb) continue;
        // Only what the error of the measurement does not explain.
        const std::uint64_t apart = magnitude(*clock.rate_ppb);
        const std::uint64_t error = magnitude(*clock.error_ppb);
        const std::uint64_t certain = apart > error ? apart - error : 0;
        if (certain < kWarningPpb || certain <= most) continue;
        most = certain;
        worst.severity = certain >= kCriticalPpb ? Severity::kCritical : Severity::kWarning;
        worst.title = "The clock drifts against " + clock.name;
        worst.number = clock.name + " runs " + std::to_string(*clock.rate_ppb / kPpbInPpm) +
                       " ppm faster, give or take " + std::to_string(*clock.error_ppb / kPpbInPpm) +
                       " (clock/drift)";
        worst.meaning =
            "Different hardware of the host drives the two clocks, or the host has moved the guest "
            "to a machine whose TSC has another rate. Let chronyd or ntpd keep the guest's time.";
    }
    return worst;
}

Finding judge_wall_clock(const Look& look) {
    if (!look.now.wall_clock) return unknown("clock/wall_clock");
    const Number offset = look.now.wall_clock->number("offset_ns");
    if (!offset) return {};
    const std::uint64_t apart = magnitude(*offset);
    if (apart < kWarningOffsetNs) return {};
    Finding finding;
    finding.severity = apart >= kCriticalOffsetNs ? Severity::kCritical : Severity::kWarning;
    finding.title = "The guest's date is not the host's";
    finding.number = "offset_ns " + duration(*offset) + " (clock/wall_clock)";
    finding.meaning =
        "The host's time is ahead by that, or behind if it is negative. Either one may be wrong. "
        "Let chronyd or ntpd keep the guest's time. The command sets it once, from the RTC.";
    finding.mend = "hwclock --hctosys --utc";
    return finding;
}

}  // namespace kvmpv
