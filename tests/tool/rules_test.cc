// SPDX-License-Identifier: GPL-2.0-only
#include <gtest/gtest.h>

#include <cerrno>

#include "commands/doctor.hh"
#include "snapshot.hh"

namespace kvmpv {
namespace {

Finding found(const std::string& rule, const Look& look) {
    for (const Diagnosis::Judged& each : examine(look).judged)
        if (each.rule == rule) return each.finding;
    ADD_FAILURE() << "there is no rule " << rule;
    return {};
}

Severity severity(const std::string& rule, const Look& look) { return found(rule, look).severity; }

Severity severity(const std::string& rule, const Snapshot& snapshot) {
    return severity(rule, look_at(snapshot));
}

// The same guest two seconds later, and nothing was stolen meanwhile.
Look calm() {
    const Snapshot before("6.12-shared");
    Snapshot now = before;
    now.put("proc/uptime", "77.25 30.27\n");
    return look_at(now, before);
}

Look hogged() { return look_at(Snapshot("6.12-hogged-later"), Snapshot("6.12-hogged")); }

TEST(SlowClock, IsFoundInAGuestOnHpet) {
    const Finding finding = found("slow-clock", look_at(Snapshot("6.12-hpet")));
    EXPECT_EQ(finding.severity, Severity::kWarning);
    EXPECT_EQ(finding.title, "The kernel keeps time by hpet");
    EXPECT_EQ(finding.number, "one read takes 321 us (clock/drift)");
    EXPECT_EQ(finding.mend,
              "echo kvmpv > /sys/devices/system/clocksource/clocksource0/current_clocksource");
    EXPECT_EQ(severity("slow-clock", Snapshot("6.12-shared")), Severity::kFine);
}

TEST(SlowClock, WithoutAnotherThereIsNoCommand) {
    Snapshot alone("6.12-hpet");
    const std::string folder = "sys/devices/system/clocksource/clocksource0/";
    alone.put(folder + "available_clocksource", "hpet acpi_pm\n");
    EXPECT_EQ(found("slow-clock", look_at(alone)).mend, "");
    alone.without(folder + "current_clocksource", EACCES);
    EXPECT_EQ(severity("slow-clock", alone), Severity::kUnknown);
}

TEST(Tsc, IsMissingFromTheListWhereItIsNotTrusted) {
    EXPECT_EQ(severity("tsc-unstable", Snapshot("6.12-hpet")), Severity::kWarning);
    EXPECT_EQ(severity("tsc-unstable", Snapshot("6.12-shared")), Severity::kFine);
    // Where the kernel does without it, nobody has to be woken up.
    Snapshot without("6.12-shared");
    without.put("sys/devices/system/clocksource/clocksource0/available_clocksource",
                "kvm-clock kvmpv hpet\n");
    EXPECT_EQ(severity("tsc-unstable", without), Severity::kNote);
}

TEST(Vdso, IsMissedOnlyWhereKvmpvIsTheClock) {
    const std::string current = "sys/devices/system/clocksource/clocksource0/current_clocksource";
    EXPECT_EQ(severity("vdso-off", Snapshot("6.12-hpet")), Severity::kFine);
    Snapshot owned("6.12-hpet");
    owned.put(current, "kvmpv\n");
    const Finding finding = found("vdso-off", look_at(owned));
    EXPECT_EQ(finding.severity, Severity::kWarning);
    EXPECT_EQ(finding.mend, "kvmpv set clock/vdso 1");
    Snapshot shared("6.12-shared");
    shared.put(current, "kvmpv\n");
    EXPECT_EQ(severity("vdso-off", shared), Severity::kFine);
    // The host does not promise a stable clock: no switch helps.
    Snapshot unstable("6.12-unstable");
    unstable.put(current, "kvmpv\n");
    EXPECT_EQ(severity("vdso-off", unstable), Severity::kWarning);
    EXPECT_EQ(found("vdso-off", look_at(unstable)).mend, "");
}

TEST(Promise, ThatWasBrokenIsCritical) {
    Snapshot broken("6.12-shared");
    broken.with_cell("clock/state", "stable_revoked", "value", "yes");
    broken.with_cell("clock/state", "held_back_max_ns", "value", "4200");
    EXPECT_EQ(severity("promise-revoked", broken), Severity::kCritical);
    EXPECT_EQ(found("promise-revoked", look_at(broken)).mend, "rmmod kvmpv");
    broken.put("sys/devices/system/clocksource/clocksource0/current_clocksource", "kvmpv\n");
    EXPECT_EQ(found("promise-revoked", look_at(broken)).mend,
              "echo kvm-clock > /sys/devices/system/clocksource/clocksource0/current_clocksource"
              " && rmmod kvmpv");
    EXPECT_EQ(severity("promise-revoked", Snapshot("6.12-shared")), Severity::kFine);
}

TEST(Alone, IsAWarning) {
    const Snapshot shared("6.12-shared");
    EXPECT_EQ(severity("clock-alone", shared), Severity::kFine);
    const Snapshot alone = Snapshot(shared).with("clock/state", "stable_revoked           no",
                                                 "stable_revoked           no\nalone yes");
    EXPECT_EQ(severity("clock-alone", alone), Severity::kWarning);
}

TEST(Drift, CountsOnlyBeyondItsError) {
    Snapshot snapshot("6.12-shared");
    EXPECT_EQ(severity("drift", snapshot), Severity::kFine);
    snapshot.with_cell("clock/drift", "rtc", "rate_ppb", "351594813");
    EXPECT_EQ(severity("drift", snapshot), Severity::kFine);
    snapshot.with_cell("clock/drift", "rtc", "rate_ppb", "351594814");
    EXPECT_EQ(severity("drift", snapshot), Severity::kWarning);
    snapshot.with_cell("clock/drift", "rtc", "rate_ppb", "-356094814");
    const Finding finding = found("drift", look_at(snapshot));
    EXPECT_EQ(finding.severity, Severity::kCritical);
    EXPECT_EQ(finding.title, "The clock drifts against rtc");
    EXPECT_EQ(finding.number, "rtc runs -356094 ppm faster, give or take 351094 (clock/drift)");
}

TEST(WallClock, MayBeOffByTheRtcsWholeSeconds) {
    Snapshot snapshot("6.12-shared");
    EXPECT_EQ(severity("wall-clock", snapshot), Severity::kFine);
    snapshot.with_cell("clock/wall_clock", "offset_ns", "value", "-1500000000");
    EXPECT_EQ(severity("wall-clock", snapshot), Severity::kWarning);
    snapshot.with_cell("clock/wall_clock", "offset_ns", "value", "60000000000");
    EXPECT_EQ(severity("wall-clock", snapshot), Severity::kCritical);
}

TEST(Steal, OfTwoBusyCpusOnOneOfTheHosts) {
    const Finding finding = found("steal", hogged());
    EXPECT_EQ(finding.severity, Severity::kCritical);
    // The snapshot was taken with attribution on.
    EXPECT_EQ(finding.mend, "head -n 8 /sys/kernel/debug/kvmpv/steal/tasks");
    EXPECT_EQ(severity("steal", calm()), Severity::kFine);
    EXPECT_EQ(severity("uneven-steal", hogged()), Severity::kFine);
    EXPECT_EQ(severity("uneven-steal", calm()), Severity::kFine);
}

// Two looks two seconds apart, in which so much was stolen from each of the two CPUs.
Look stolen(const char* of_cpu_0, const char* of_cpu_1) {
    Snapshot before("6.12-shared");
    before.with_cell("steal/cpus", "0", "steal_ns", "0");
    before.with_cell("steal/cpus", "1", "steal_ns", "0");
    Snapshot now = before;
    now.put("proc/uptime", "77.25 30.27\n");
    now.with_cell("steal/cpus", "0", "steal_ns", of_cpu_0);
    now.with_cell("steal/cpus", "1", "steal_ns", of_cpu_1);
    return look_at(now, before);
}

TEST(Steal, HasItsBounds) {
    EXPECT_EQ(severity("steal", stolen("99000000", "99000000")), Severity::kFine);
    EXPECT_EQ(severity("steal", stolen("101000000", "101000000")), Severity::kWarning);
    EXPECT_EQ(severity("steal", stolen("399000000", "399000000")), Severity::kWarning);
    EXPECT_EQ(severity("steal", stolen("401000000", "401000000")), Severity::kCritical);
    EXPECT_EQ(found("steal", stolen("300000000", "300000000")).number,
              "600 ms on 2 CPUs in the last 2.00 s (steal/cpus)");
}

TEST(UnevenSteal, HasItsBounds) {
    EXPECT_EQ(severity("uneven-steal", stolen("98000000", "0")), Severity::kFine);
    EXPECT_EQ(severity("uneven-steal", stolen("102000000", "0")), Severity::kWarning);
    EXPECT_EQ(severity("uneven-steal", stolen("400000000", "101000000")), Severity::kFine);
    const Finding finding = found("uneven-steal", stolen("99000000", "400000000"));
    EXPECT_EQ(finding.severity, Severity::kWarning);
    EXPECT_EQ(finding.title, "CPU 1 loses far more time than the others");
}

TEST(Steal, IsNotDividedByTheTimeSinceBootWhereItDoesNotCountSince) {
    EXPECT_EQ(severity("steal", Snapshot("6.12-hpet")), Severity::kUnknown);
    EXPECT_EQ(severity("steal", Snapshot("6.12-shared")), Severity::kCritical);
}

TEST(SteppedSteal, IsHiddenByTheHook) {
    EXPECT_EQ(severity("stepped-steal", Snapshot("6.12-shared")), Severity::kFine);
    Snapshot stepped("6.12-shared");
    stepped.with_cell("steal/cpus", "1", "backward_steps", "1");
    stepped.with_cell("steal/cpus", "1", "backward_ns", "3000000000");
    const Finding hidden = found("stepped-steal", look_at(stepped));
    EXPECT_EQ(hidden.severity, Severity::kNote);
    EXPECT_EQ(hidden.number, "1 step back by 3.00 s, 0 steps ahead by 0 ns (steal/cpus)");
    stepped.with_cell("steal/state", "hooked", "value", "no");
    EXPECT_EQ(severity("stepped-steal", stepped), Severity::kWarning);
    EXPECT_EQ(found("stepped-steal", look_at(stepped)).mend, "kvmpv set steal/hook 1");
}

TEST(Eoi, ThatIsAlwaysWrittenIsANote) {
    EXPECT_EQ(severity("eoi-written", Snapshot("6.12-shared")), Severity::kFine);
    EXPECT_EQ(severity("eoi-written", Snapshot("6.12-no-pv-eoi")), Severity::kNote);
    Snapshot never("6.12-shared");
    never.with_cell("eoi/cpus", "1", "elided", "0").with_cell("eoi/cpus", "1", "written", "99");
    EXPECT_EQ(severity("eoi-written", never), Severity::kFine);
    never.with_cell("eoi/cpus", "1", "written", "100");
    EXPECT_EQ(severity("eoi-written", never), Severity::kNote);
    Snapshot unhooked("6.12-shared");
    unhooked.with_cell("eoi/state", "hooked", "value", "no");
    EXPECT_EQ(found("eoi-written", look_at(unhooked)).mend, "kvmpv set eoi/hook 1");
}

TEST(Doctor, ExitsAsNagiosPluginsDo) {
    EXPECT_EQ(nagios_status(examine(calm()).worst()), 0);
    EXPECT_EQ(nagios_status(examine(stolen("110000000", "110000000")).worst()), 1);
    EXPECT_EQ(nagios_status(examine(hogged()).worst()), 2);
    Snapshot without("6.12-shared");
    without.without(below_module("eoi/cpus"), EPERM);
    Snapshot later = without;
    later.put("proc/uptime", "77.25 30.27\n");
    EXPECT_EQ(nagios_status(examine(look_at(later, without)).worst()), 3);
}

TEST(Doctor, SaysTheWorstInItsFirstLine) {
    const std::string text = doctor_text(examine(hogged()), {});
    EXPECT_TRUE(text.starts_with("kvmpv CRITICAL: The host takes ")) << text;
    EXPECT_TRUE(doctor_text(examine(calm()), {}).starts_with("kvmpv OK - 0 critical, 0 warnings"));
}

}  // namespace
}  // namespace kvmpv
