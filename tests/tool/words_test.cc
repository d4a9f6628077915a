// SPDX-License-Identifier: GPL-2.0-only
#include <gtest/gtest.h>

#include <cerrno>
#include <cstdint>
#include <limits>
#include <sstream>

#include "commands/set.hh"
#include "commands/status.hh"
#include "say/numbers.hh"
#include "say/terminal.hh"
#include "snapshot.hh"

namespace kvmpv {
namespace {

TEST(Duration, HasThreeDigits) {
    EXPECT_EQ(duration(0), "0 ns");
    EXPECT_EQ(duration(999), "999 ns");
    EXPECT_EQ(duration(1000), "1.00 us");
    EXPECT_EQ(duration(21'345), "21.3 us");
    EXPECT_EQ(duration(999'400), "999 us");
    EXPECT_EQ(duration(999'600), "1.00 ms");
    EXPECT_EQ(duration(48'000'000), "48.0 ms");
    EXPECT_EQ(duration(-1'500'000'000), "-1.50 s");
    EXPECT_EQ(duration(59'940'000'000), "59.9 s");
    EXPECT_EQ(duration(60'000'000'000), "1 min 0 s");
    EXPECT_EQ(duration(3'661'000'000'000), "1 h 1 min");
    EXPECT_EQ(duration(90'000'000'000'000), "1 d 1 h");
    EXPECT_EQ(duration(std::numeric_limits<std::int64_t>::min()), "-106751 d 23 h");
}

TEST(Percent, SaysWhatIsLittleAndNotNothing) {
    EXPECT_EQ(percent(0), "0 %");
    EXPECT_EQ(percent(0.01), "< 0.1 %");
    EXPECT_EQ(percent(31.24), "31.2 %");
    EXPECT_EQ(percent(100), "100 %");
}

TEST(Wrap, BreaksBetweenWordsOnly) {
    EXPECT_EQ(wrap("one two three", 7), (std::vector<std::string>{"one two", "three"}));
    EXPECT_EQ(wrap("a longer_than_that b", 4),
              (std::vector<std::string>{"a", "longer_than_that", "b"}));
    EXPECT_EQ(wrap("", 4), std::vector<std::string>{""});
}

TEST(Colours, AreOnlyForTerminals) {
    EXPECT_EQ(coloured({80, false}, Colour::kRed, "bad"), "bad");
    EXPECT_EQ(coloured({80, true}, Colour::kRed, "bad"), "\033[1;31mbad\033[0m");
    EXPECT_EQ(coloured({80, true}, Colour::kNone, "bad"), "bad");
}

std::vector<std::string> lines(const std::string& text) {
    std::istringstream stream(text);
    std::vector<std::string> all;
    for (std::string line; std::getline(stream, line);) all.push_back(line);
    return all;
}

TEST(Status, FitsOnOneScreen) {
    for (const std::string& name : all_snapshots()) {
        const std::string text = status_text(look_at(Snapshot(name)), {80, false});
        EXPECT_LE(lines(text).size(), 24u) << text;
        for (const std::string& line : lines(text)) EXPECT_LE(line.size(), 80u) << text;
    }
}

TEST(Status, SaysHowTheClockIs) {
    const auto clock = [](const Snapshot& snapshot) {
        return words(lines(status_text(look_at(snapshot), {}))[2])[1];
    };
    EXPECT_EQ(clock(Snapshot("6.12-shared")), "good");
    EXPECT_EQ(clock(Snapshot("6.12-hpet")), "slow");
    EXPECT_EQ(clock(Snapshot("6.12-unstable")), "fair");
    EXPECT_EQ(clock(Snapshot("6.12-shared")
                        .with("clock/state", "stable_revoked           no",
                              "stable_revoked           yes")),
              "bad");
    EXPECT_EQ(clock(Snapshot("6.12-shared")
                        .with("clock/state", "stable_revoked           no",
                              "stable_revoked           no\nalone yes")),
              "bad");
}

TEST(Status, SaysWhatWasStolenBetweenTwoLooks) {
    const Snapshot before("6.12-shared");
    Snapshot now = before;
    now.put("proc/uptime", "76.25 30.27\n").with_cell("steal/cpus", "1", "steal_ns", "26496425378");
    const std::string text = status_text(look_at(now, before), {110, false});
    EXPECT_NE(text.find("stolen now  10.0 %  In the last 1.00 s the host kept 2 CPUs"),
              std::string::npos)
        << text;
}

TEST(Status, SaysWhatHappenedLast) {
    Snapshot snapshot("6.12-shared");
    snapshot.put(below_module("events"),
                 "version 1\nevents 7 lost 0\nseq time_ns cpu event value unit\n"
                 "6 1 0 rate_changed 5 ppb\n7 70250000000 1 pause 48000000 ns\n");
    const std::string text = status_text(look_at(snapshot), {110, false});
    EXPECT_NE(text.find("5.00 s ago"), std::string::npos) << text;
    EXPECT_NE(text.find("pause of 48.0 ms on CPU 1, number 7 of 7"), std::string::npos) << text;
}

Snapshot running() {
    Snapshot snapshot("6.12-shared");
    snapshot.as_running_system().writes(
        {"clock/release", "later/hook", "migration/control", "steal/hook"});
    snapshot.put(std::string(kParameterFolder) + "/later_hook", "1\n");
    return snapshot;
}

Switch named(const std::string& file) {
    for (const Switch& each : switches(running()))
        if (each.file == file) return each;
    ADD_FAILURE() << "there is no switch " << file;
    return {};
}

TEST(Set, KnowsSwitchesOfOtherVersionsByTheFileAndItsParameter) {
    EXPECT_EQ(switches(running()).size(), 13u);
    EXPECT_EQ(named("later/hook").parameter, "later_hook");
    EXPECT_EQ(named("clock/vdso").parameter, "vdso");
    EXPECT_EQ(named("steal/reset").parameter, "");
}

TEST(Set, SaysWhatTheKernelAnswered) {
    const auto said = [](const std::string& file, const std::string& value, int error) {
        return explain(named(file), value, error, running());
    };
    const auto has = [](const Answer& answer, const std::string& words) {
        EXPECT_NE(answer.words.find(words), std::string::npos) << answer.words;
    };
    EXPECT_EQ(said("clock/release", "1", EBUSY).exit, Exit::kRefused);
    has(said("clock/release", "1", EBUSY), "echo kvm-clock > /sys/devices");
    has(said("clock/force_unstable", "0", EBUSY), "stable_revoked");
    has(said("steal/hook", "0", EBUSY), "another module");
    has(said("steal/hook", "2", EINVAL), "takes 0 or 1");
    has(said("steal/reset", "0", EINVAL), "1 only");
    has(said("clock/vdso", "1", EINVAL), "vdso:");
    has(said("eoi/hook", "1", EINVAL), "is off");
    has(said("eoi/hook", "1", ENOMEM), "memory");
    has(said("eoi/hook", "1", EIO), "Input/output error");
    EXPECT_EQ(said("eoi/hook", "1", EACCES).exit, Exit::kNotPermitted);
    has(said("eoi/hook", "1", EACCES), "only root");
    EXPECT_EQ(said("eoi/hook", "1", EPERM).exit, Exit::kNotPermitted);
    has(said("eoi/hook", "1", EPERM), "locked down");
    has(said("eoi/hook", "1", EROFS), "read-only");
    has(said("halt_poll/control", "x", EINVAL), "a CPU's number");
    has(said("halt_poll/control", "1", EBUSY), "haltpoll");
    has(said("ipi/count", "1", ENODEV), "tracepoint");
    // The snapshot has eoi/hook, so the write itself has failed.
    EXPECT_EQ(said("eoi/hook", "1", ENOENT).exit, Exit::kRefused);
    EXPECT_EQ(said("later/hook", "1", ENOENT).exit, Exit::kNothingToRead);
}

TEST(Set, WritesNothingIntoACopyNorWithoutTheModule) {
    EXPECT_EQ(set(Snapshot("6.12-shared"), "eoi/hook", "0", true).exit, Exit::kUsage);
    Snapshot empty;
    empty.as_running_system();
    EXPECT_EQ(set(empty, "eoi/hook", "0", true).exit, Exit::kNothingToRead);
    const Answer answer = set(running(), "clock/nothing", "0", true);
    EXPECT_EQ(answer.exit, Exit::kUsage);
    EXPECT_NE(answer.words.find("clock/release"), std::string::npos);
}

}  // namespace
}  // namespace kvmpv
