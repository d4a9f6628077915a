// SPDX-License-Identifier: GPL-2.0-only
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "snapshot.hh"
#include "top/model.hh"

namespace kvmpv {
namespace {

constexpr std::int64_t kS = 1'000'000'000;

std::string text(const Line& line) {
    std::string all;
    for (const Span& span : line) all += span.text;
    return all;
}

std::vector<std::string> texts(const TopModel& model, const Size& size) {
    std::vector<std::string> lines;
    for (const Line& line : model.screen(size)) lines.push_back(text(line));
    return lines;
}

// The first line that begins so, after blanks.
std::string line_of(const std::vector<std::string>& lines, const std::string& begin) {
    for (const std::string& line : lines)
        if (line.substr(std::min(line.size(), line.find_first_not_of(' '))).starts_with(begin))
            return line;
    ADD_FAILURE() << "no line begins with " << begin;
    return {};
}

Tree reading(const Snapshot& snapshot, std::int64_t monotonic_ns) {
    Tree tree = read_changing(snapshot);
    tree.monotonic_ns = monotonic_ns;
    tree.uptime_ns.reset();
    return tree;
}

Snapshot hogged() {
    return Snapshot("6.12-hogged")
        .put("proc/stat", "cpu0 100 0 0 100 0 0 0 0 0 0\ncpu1 0 0 0 0 0 0 0 0 0 0\n");
}

// Of two seconds CPU 1 was kept waiting for one, and ran and idled for half a second each.
Snapshot later() {
    return hogged()
        .put("proc/stat", "cpu0 110 0 0 290 0 0 0 0 0 0\ncpu1 50 0 0 50 0 0 0 0 0 0\n")
        .with_cell("steal/cpus", "1", "steal_ns", "55165499674")
        .with("eoi/cpus", "1   752        109", "1   782        119");
}

TopModel model(const Snapshot& snapshot = later()) {
    TopModel made(2 * kS);
    made.take(reading(hogged(), 10 * kS));
    made.take(reading(snapshot, 12 * kS));
    return made;
}

TEST(Bar, IsFilledByTheParts) {
    EXPECT_EQ(text(bar(10, 0.5, 0.25, 0.25)), "#####|||..");
    EXPECT_EQ(text(bar(10, 0.5, 0.2, 0.1)), "#####||.  ");
    EXPECT_EQ(text(bar(10, 0, 0, 0)), "          ");
    EXPECT_EQ(text(bar(10, 7, 1, 1)), "##########");
    EXPECT_EQ(text(bar(0, 1, 1, 1)), "");
}

TEST(Top, ShowsWhereTheTimeWent) {
    const std::vector<std::string> lines = texts(model(), {80, 24});
    ASSERT_EQ(lines.size(), 24u);
    EXPECT_EQ(lines[0], "kvmpv top  stolen 25.0 %  1.00 s in the last 2.00 s  2 CPUs");
    EXPECT_EQ(lines[1], "clock kvm-clock, kvmpv's path stable, 0 disruptions since it was loaded");
    EXPECT_EQ(lines[2].substr(0, 49), "CPU  stolen     run     idle    longest  EOI    #");
    EXPECT_EQ(lines[3],
              "  1  50.0 %     25.0 %  25.0 %  80.6 ms  75.0 % [###############||||||||.......]");
    EXPECT_EQ(lines[4],
              "  0  0 %        5.0 %   95.0 %  93.4 ms  -      [||............................]");
    EXPECT_TRUE(lines[23].starts_with("q quit  s sort"));
    for (const std::string& line : lines) EXPECT_LE(line.size(), 80u) << line;
}

TEST(Top, SortsBySizeOrByNumber) {
    TopModel top = model();
    EXPECT_TRUE(top.press(Key::kSort));
    EXPECT_TRUE(texts(top, {80, 24})[3].starts_with("  0  "));
    EXPECT_TRUE(top.press(Key::kSort));
    EXPECT_TRUE(texts(top, {80, 24})[3].starts_with("  1  "));
}

TEST(Top, FitsOnAnyTerminal) {
    const TopModel top = model();
    for (std::size_t rows = 1; rows < 60; ++rows)
        for (std::size_t columns = 1; columns < 220; columns += 7) {
            const std::vector<std::string> lines = texts(top, {columns, rows});
            EXPECT_LE(lines.size(), rows) << columns << "x" << rows;
            for (const std::string& line : lines) EXPECT_LE(line.size(), columns) << line;
        }
}

TEST(Top, ShowsACpuEvenOnATinyTerminal) {
    const std::vector<std::string> lines = texts(model(), {20, 5});
    ASSERT_EQ(lines.size(), 5u);
    EXPECT_EQ(lines[0], "kvmpv top  stolen 25");
    EXPECT_EQ(lines[3], "  1  50.0 %     25.0");
    EXPECT_EQ(lines[4], "q quit  s sort  c ta");
    EXPECT_EQ(texts(model(), {20, 2})[1], "  1  50.0 %     25.0");
}

Snapshot with_cpus(int cpus, std::int64_t steal_ns) {
    std::string table = "version 1\ncpu steal_ns bursts longest_ns longest_comm\n";
    for (int cpu = 0; cpu < cpus; ++cpu)
        table += std::to_string(cpu) + " " + std::to_string(steal_ns * cpu) + " 1 1 sh\n";
    return hogged().put(below_module("steal/cpus"), table);
}

TEST(Top, ScrollsThroughManyCpus) {
    TopModel top(kS);
    top.take(reading(with_cpus(64, 1'000'000), 10 * kS));
    top.take(reading(with_cpus(64, 2'000'000), 11 * kS));
    EXPECT_TRUE(texts(top, {80, 24})[3].starts_with(" 63  6.3 %"));
    top.press(Key::kDown);
    EXPECT_TRUE(texts(top, {80, 24})[3].starts_with(" 62  6.2 %"));
    for (int times = 0; times < 100; ++times) top.press(Key::kDown);
    // The list ends with its last CPU at the bottom of its part.
    const std::vector<std::string> lines = texts(top, {80, 24});
    EXPECT_TRUE(line_of(lines, "0  ").starts_with("  0  0 %"));
    for (int times = 0; times < 100; ++times) top.press(Key::kUp);
    EXPECT_TRUE(texts(top, {80, 24})[3].starts_with(" 63  "));
}

TEST(Top, ShowsWhoLostMost) {
    TopModel top(2 * kS);
    top.take(reading(Snapshot("6.12-hogged"), 10 * kS));
    top.take(reading(Snapshot("6.12-hogged-later"), 12 * kS));
    const std::vector<std::string> lines = texts(top, {80, 24});
    const auto head = std::find_if(lines.begin(), lines.end(), [](const std::string& line) {
        return line.starts_with("lost       share   PID     task");
    });
    ASSERT_NE(head, lines.end());
    EXPECT_NE((head + 1)->find(" % "), std::string::npos) << *(head + 1);
    top.press(Key::kCharges);
    EXPECT_NE(line_of(texts(top, {80, 24}), "lost").find("cgroup"), std::string::npos);
}

TEST(Top, SaysHowToSeeWhoLosesTheTime) {
    Snapshot off = later();
    off.put(below_module("steal/tasks"),
            "version 1\nattribution off since_reset_ns 0\nwhat pid tgid steal_ns comm\n");
    EXPECT_EQ(line_of(texts(model(off), {80, 24}), "kvmpv set"),
              "kvmpv set steal/attribution 1 shows who loses the time.");
}

TEST(Top, SaysWordsWhereThereAreNoFigures) {
    Snapshot alone = later();
    std::string& table = alone.files[below_module("steal/cpus")].content;
    table.erase(table.find("\n1 ") + 1);
    EXPECT_TRUE(line_of(texts(model(alone), {80, 24}), "1  ").starts_with("  1  gone"));
    TopModel came(2 * kS);
    came.take(reading(alone, 10 * kS));
    came.take(reading(later(), 12 * kS));
    EXPECT_TRUE(line_of(texts(came, {80, 24}), "1  ").starts_with("  1  new"));
    Snapshot less = later();
    less.with_cell("steal/cpus", "1", "steal_ns", "7");
    EXPECT_TRUE(line_of(texts(model(less), {80, 24}), "1  ").starts_with("  1  restarted"));
}

TEST(Top, TellsOfEventsAndForHowLong) {
    Snapshot paused = later();
    paused.put(below_module("events"),
               "version 1\nevents 1 lost 0\nseq time_ns cpu event value unit\n"
               "1 5 0 pause 48000000 ns\n");
    TopModel top = model(paused);
    const std::string words =
        "pause of 48.0 ms on CPU 0: the clock stood still while the guest was stopped";
    EXPECT_EQ(line_of(texts(top, {110, 24}), "now: pause"), "now: " + words);
    top.take(reading(paused, 14 * kS));
    EXPECT_EQ(line_of(texts(top, {110, 24}), "2.00 s ago: pause"), "2.00 s ago: " + words);
}

TEST(Top, GoesOnWhenTheModuleComesBack) {
    TopModel top(2 * kS);
    Tree before = reading(hogged(), 10 * kS);
    before.loading = "first";
    top.take(before);
    top.miss("The module kvmpv is not loaded.");
    EXPECT_EQ(texts(top, {80, 24})[1], "The module kvmpv is not loaded.");
    EXPECT_EQ(nlohmann::json::parse(top.json())["trouble"], "The module kvmpv is not loaded.");
    Tree after = reading(later(), 20 * kS);
    after.loading = "second";
    top.take(after);
    const std::vector<std::string> lines = texts(top, {80, 24});
    EXPECT_EQ(line_of(lines, "now: kvmpv"), "now: kvmpv was loaded anew, and counts from 0 again.");
    EXPECT_TRUE(line_of(lines, "1  ").starts_with("  1  restarted"));
    // Nobody has read for longer than the interval, but the guest was not stopped.
    for (const std::string& line : lines) EXPECT_EQ(line.find("instead of"), std::string::npos);
}

TEST(Top, ShowsFiguresSinceAMoment) {
    TopModel top = model();
    top.take(reading(later(), 14 * kS));
    EXPECT_TRUE(texts(top, {80, 24})[0].starts_with("kvmpv top  stolen 0 %"));
    top.press(Key::kSince);
    EXPECT_EQ(texts(top, {80, 24})[0], "kvmpv top  stolen 12.5 %  1.00 s since 4.00 s ago  2 CPUs");
    top.press(Key::kAnew);
    top.take(reading(later(), 16 * kS));
    EXPECT_EQ(texts(top, {80, 24})[0], "kvmpv top  stolen 0 %  0 ns since 2.00 s ago  2 CPUs");
    top.press(Key::kSince);
    EXPECT_EQ(texts(top, {80, 24})[0], "kvmpv top  stolen 0 %  0 ns in the last 2.00 s  2 CPUs");
}

TEST(Top, PausesAndEnds) {
    TopModel top = model();
    EXPECT_TRUE(top.press(Key::kPause));
    EXPECT_TRUE(top.is_paused());
    EXPECT_TRUE(texts(top, {80, 24})[0].starts_with("kvmpv top  paused  "));
    EXPECT_TRUE(top.press(Key::kPause));
    EXPECT_FALSE(top.is_paused());
    EXPECT_FALSE(top.press(Key::kQuit));
}

TEST(Top, SaysWhenTheFirstFiguresCome) {
    TopModel top(2 * kS);
    EXPECT_FALSE(top.has_figures());
    top.take(reading(hogged(), 10 * kS));
    EXPECT_FALSE(top.has_figures());
    EXPECT_EQ(texts(top, {80, 24})[0], "kvmpv top  the first figures come in 2.00 s");
}

TEST(Top, SaysTheSameToPrograms) {
    const auto said = nlohmann::json::parse(model().json());
    EXPECT_EQ(said["elapsed_ns"], 2 * kS);
    EXPECT_EQ(said["stolen_ns"], kS);
    EXPECT_EQ(said["cpus"][1]["stolen_ns"], kS);
    EXPECT_EQ(said["cpus"][1]["run_ns"], kS / 2);
    EXPECT_EQ(said["cpus"][1]["elided"], 30);
    EXPECT_EQ(said["cpus"][1]["word"], "");
}

}  // namespace
}  // namespace kvmpv
