// SPDX-License-Identifier: GPL-2.0-only
#include "change/change.hh"

#include <gtest/gtest.h>

#include <limits>

#include "snapshot.hh"

namespace kvmpv {
namespace {

constexpr std::int64_t kS = 1'000'000'000;
constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kLeast = std::numeric_limits<std::int64_t>::min();

constexpr const char* kStat =
    "cpu  300 0 0 100 0 0 0 0 0 0\n"
    "cpu0 100 20 30 400 50 6 7 80 9 1\n"
    "cpu1 200 0 0 300 0 0 0 0 0 0\n"
    "intr 1 2 3\n";

Snapshot hogged() { return Snapshot("6.12-hogged").put("proc/stat", kStat); }

// Two seconds later CPU 0 has run for 0.5 s, has idled for 0.3 s, and was kept waiting for 1.2 s.
Snapshot later() {
    return hogged()
        .put("proc/uptime", "147.95 63.96\n")
        .put("proc/stat",
             "cpu0 130 20 40 425 55 11 12 200 9 1\n"
             "cpu1 200 0 0 500 0 0 0 0 0 0\n")
        .with_cell("steal/cpus", "0", "steal_ns", "57252953323")
        .with_cell("steal/cpus", "0", "bursts", "600")
        .with_cell("eoi/cpus", "0", "elided", "800");
}

Change change(const Snapshot& before, const Snapshot& now, std::int64_t asked_ns = 0) {
    return compare(read_changing(before), read_changing(now), asked_ns);
}

TEST(Growth, IsAFigureOnlyOfACounterThatGrew) {
    EXPECT_EQ(growth(5, 5).course, Course::kGrew);
    EXPECT_EQ(growth(5, 5).by, 0);
    EXPECT_EQ(growth(5, 12).by, 7);
    EXPECT_EQ(growth(5, 4).course, Course::kRestarted);
    EXPECT_EQ(growth(5, 4).by, 0);
    EXPECT_EQ(growth(std::nullopt, 4).course, Course::kCame);
    EXPECT_EQ(growth(5, std::nullopt).course, Course::kGone);
    EXPECT_EQ(growth(std::nullopt, std::nullopt).course, Course::kUnknown);
    EXPECT_EQ(growth(kLeast, kMost).course, Course::kUnknown);
    EXPECT_EQ(growth(0, kMost).by, kMost);
    EXPECT_EQ(std::string(word_for(Course::kRestarted)), "restarted");
}

TEST(Change, SaysWhereTheTimeOfEachCpuWent) {
    const Change found = change(hogged(), later(), 2 * kS);
    EXPECT_EQ(found.elapsed_ns, 2 * kS);
    ASSERT_EQ(found.cpus.size(), 2u);
    const CpuChange& cpu = found.cpus[0];
    EXPECT_EQ(cpu.stolen_ns.by, 1'200'000'000);
    EXPECT_EQ(cpu.run_ns.by, 500'000'000);
    EXPECT_EQ(cpu.idle_ns.by, 300'000'000);
    EXPECT_EQ(cpu.bursts.by, 35);
    EXPECT_EQ(cpu.elided.by, 43);
    EXPECT_EQ(cpu.written.by, 0);
    EXPECT_EQ(cpu.longest_ns, 93354525);
    EXPECT_EQ(found.cpus[1].stolen_ns.by, 0);
    EXPECT_EQ(found.cpus[1].idle_ns.by, 2 * kS);
    EXPECT_EQ(found.stolen_ns(), 1'200'000'000);
    EXPECT_DOUBLE_EQ(found.stolen_part(), 0.3);
    EXPECT_EQ(found.remarks, std::vector<std::string>());
}

TEST(Change, IsTheSameBetweenTheTwoCopiesOfAGuest) {
    const Change found = change(Snapshot("6.12-hogged"), Snapshot("6.12-hogged-later"));
    const Tree earlier = read_tree(Snapshot("6.12-hogged"));
    const Tree now = read_tree(Snapshot("6.12-hogged-later"));
    const Look look{now, earlier};
    ASSERT_EQ(found.cpus.size(), 2u);
    for (std::size_t cpu = 0; cpu < 2; ++cpu) {
        EXPECT_GT(found.cpus[cpu].stolen_ns.by, 0);
        EXPECT_EQ(found.cpus[cpu].stolen_ns.by, look.stolen_ns(now.steal_cpus->at(cpu)));
        EXPECT_EQ(found.cpus[cpu].run_ns.course, Course::kUnknown);
    }
    // Attribution was on, so all that was stolen was charged to somebody.
    std::int64_t charged = 0;
    for (const Loss& loss : found.tasks) charged += loss.ns;
    const Tree first = read_changing(Snapshot("6.12-hogged"));
    const Tree second = read_changing(Snapshot("6.12-hogged-later"));
    EXPECT_EQ(charged, *second.tasks->since_reset_ns - *first.tasks->since_reset_ns);
    EXPECT_GE(found.tasks.at(0).ns, found.tasks.at(1).ns);
}

TEST(Change, OfACpuThatCameOrWentIsAWord) {
    Snapshot alone = hogged();
    std::string& text = alone.files[below_module("steal/cpus")].content;
    text.erase(text.find("\n1 ") + 1);
    const Change went = change(hogged(), alone);
    ASSERT_EQ(went.cpus.size(), 2u);
    EXPECT_EQ(went.cpus[1].course, Course::kGone);
    EXPECT_EQ(went.cpus[1].stolen_ns.course, Course::kGone);
    EXPECT_EQ(went.stolen_ns(), 0);
    const Change came = change(alone, hogged());
    ASSERT_EQ(came.cpus.size(), 2u);
    EXPECT_EQ(came.cpus[1].cpu, 1);
    EXPECT_EQ(came.cpus[1].course, Course::kCame);
    EXPECT_EQ(came.cpus[1].stolen_ns.course, Course::kCame);
    EXPECT_EQ(came.stolen_ns(), 0);
}

TEST(Change, OfACounterThatIsLessIsAWord) {
    Snapshot now = later();
    now.with_cell("steal/cpus", "0", "steal_ns", "5").with_cell("eoi/cpus", "0", "elided", "3");
    const Change found = change(hogged(), now);
    EXPECT_EQ(found.cpus[0].stolen_ns.course, Course::kRestarted);
    EXPECT_EQ(found.cpus[0].elided.course, Course::kRestarted);
    EXPECT_EQ(found.cpus[0].bursts.by, 35);
    EXPECT_EQ(found.stolen_ns(), 0);
}

// Even if the counters have passed what they were before.
TEST(Change, AcrossALoadingHasNoFiguresOfTheModule) {
    Snapshot before = hogged();
    Snapshot now = later();
    before.loading = "first";
    now.loading = "second";
    now.put(below_module("events"),
            "version 1\nevents 1 lost 0\nseq time_ns cpu event value unit\n1 5 0 pause 7 ns\n");
    const Change found = change(before, now);
    EXPECT_EQ(found.cpus[0].stolen_ns.course, Course::kRestarted);
    EXPECT_EQ(found.cpus[0].bursts.course, Course::kRestarted);
    EXPECT_EQ(found.cpus[0].elided.course, Course::kRestarted);
    EXPECT_EQ(found.cpus[0].run_ns.by, 500'000'000);
    EXPECT_EQ(found.events.size(), 1u);
    ASSERT_EQ(found.remarks.size(), 1u);
    EXPECT_EQ(found.remarks[0], "kvmpv was loaded anew, and counts from 0 again.");
}

TEST(Change, AcrossAResetHasNoBursts) {
    Snapshot now = later();
    now.with_cell("steal/state", "reset_time_ns", "value", "147000000000");
    const Change found = change(hogged(), now);
    EXPECT_EQ(found.cpus[0].bursts.course, Course::kRestarted);
    EXPECT_EQ(found.cpus[0].stolen_ns.by, 1'200'000'000);
    ASSERT_EQ(found.remarks.size(), 1u);
    EXPECT_EQ(found.remarks[0], "Bursts and charges were reset, and count from 0 again.");
}

TEST(Change, SaysThatTheGuestWasStopped) {
    Tree before = read_changing(hogged());
    Tree now = read_changing(later());
    const Change late = compare(before, now, kS);
    ASSERT_EQ(late.remarks.size(), 1u);
    EXPECT_EQ(late.remarks[0],
              "This covers 2.00 s instead of 1.00 s: the guest was stopped, or this program did "
              "not get to run.");
    // The uptime counts the time in suspend, and this clock does not.
    before.monotonic_ns = 10 * kS;
    now.monotonic_ns = 11 * kS;
    const Change slept = compare(before, now, kS);
    EXPECT_EQ(slept.elapsed_ns, kS);
    ASSERT_EQ(slept.remarks.size(), 1u);
    EXPECT_EQ(slept.remarks[0], "The guest was suspended for 1.00 s.");
}

TEST(Change, AcrossABootHasNoTime) {
    const Change found = change(later(), hogged());
    EXPECT_EQ(found.elapsed_ns, std::nullopt);
    EXPECT_EQ(found.stolen_part(), 0);
    ASSERT_EQ(found.remarks.size(), 1u);
    EXPECT_TRUE(found.remarks[0].starts_with("The guest's time is less")) << found.remarks[0];
}

TEST(Change, SaysWhenSharesAreWrongBecauseTheClockJumped) {
    Snapshot now = later();
    now.put(below_module("events"),
            "version 1\nevents 2 lost 0\nseq time_ns cpu event value unit\n"
            "1 5 0 jump_forward 3000000000 ns\n2 6 1 pause 48000000 ns\n");
    const Change found = change(hogged(), now);
    EXPECT_EQ(found.events.size(), 2u);
    ASSERT_EQ(found.remarks.size(), 2u);
    EXPECT_EQ(found.remarks[0],
              "The host's clock jumped ahead by 3.00 s. If the kernel keeps time by it, the shares "
              "are too small.");
    EXPECT_EQ(found.remarks[1],
              "The host's clock stood still for 48.0 ms: the guest was stopped meanwhile.");
}

Events events(std::int64_t count, std::int64_t oldest) {
    Events all;
    all.count = count;
    for (std::int64_t seq = oldest; seq <= count; ++seq)
        all.kept.push_back({seq, seq * kS, 0, "pause", 1, "ns"});
    return all;
}

TEST(News, AreTheEntriesAfterTheLastOne) {
    EXPECT_TRUE(news(3, events(3, 1)).events.empty());
    const News two = news(3, events(5, 1));
    ASSERT_EQ(two.events.size(), 2u);
    EXPECT_EQ(two.events[0].seq, 4);
    EXPECT_EQ(two.missed, 0);
    const News gap = news(3, events(300, 45));
    EXPECT_EQ(gap.events.size(), 256u);
    EXPECT_EQ(gap.missed, 41);
    const News anew = news(300, events(2, 1));
    EXPECT_TRUE(anew.has_restarted);
    EXPECT_EQ(anew.events.size(), 2u);
    EXPECT_EQ(anew.missed, 0);
}

TEST(Losses, AreByTaskAndTheGreatestComesFirst) {
    Charges before{true, 10 * kS, {{"task", 7, 4 * kS, "make"}, {"idle", {}, kS, "-"}}};
    Charges now{true,
                15 * kS,
                {{"task", 7, 5 * kS, "make"},
                 {"task", 9, 3 * kS, "cc1"},
                 {"idle", {}, kS, "-"},
                 {"other", {}, kS, "-"}}};
    const auto lost = losses(before, now);
    ASSERT_TRUE(lost);
    ASSERT_EQ(lost->size(), 3u);
    EXPECT_EQ(lost->at(0).name, "cc1");
    EXPECT_EQ(lost->at(0).ns, 3 * kS);
    EXPECT_EQ(lost->at(1).name, "make");
    EXPECT_EQ(lost->at(1).ns, kS);
    EXPECT_EQ(lost->at(2).what, "other");
    // A number that was used again.
    now.rows[0].steal_ns = kS;
    EXPECT_EQ(losses(before, now)->at(1).ns, kS);
    now.since_reset_ns = kS;
    EXPECT_FALSE(losses(before, now));
}

TEST(Hostile, ChangesOfAnyNumbers) {
    for (const char* one : {"9223372036854775807", "-9223372036854775808", "0", "-", "1e9"}) {
        for (const char* other : {"9223372036854775807", "-9223372036854775808", "0"}) {
            Snapshot before = hogged();
            Snapshot now = hogged();
            for (Snapshot* each : {&before, &now}) {
                const std::string number = each == &before ? one : other;
                for (const char* column : {"steal_ns", "bursts", "longest_ns"})
                    each->with_cell("steal/cpus", "0", column, number);
                each->with_cell("eoi/cpus", "0", "elided", number)
                    .put("proc/stat", "cpu0 " + number + " 0 0 " + number + " 0 0 0 0 0 0\n")
                    .put("proc/uptime", number + " 1\n")
                    .put(below_module("steal/tasks"),
                         "version 1\nattribution on since_reset_ns " + number +
                             "\nwhat pid tgid steal_ns comm\ntask 1 1 " + number + " sh\n")
                    .put(below_module("events"), "version 1\nevents " + number +
                                                     " lost 0\nseq time_ns cpu event value unit\n" +
                                                     number + " 0 0 pause " + number + " ns\n");
            }
            for (const CpuChange& cpu : change(before, now, kMost).cpus) {
                EXPECT_GE(cpu.stolen_ns.by, 0);
                EXPECT_GE(cpu.run_ns.by, 0);
            }
        }
    }
}

}  // namespace
}  // namespace kvmpv
