// SPDX-License-Identifier: GPL-2.0-only
#include <gtest/gtest.h>

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <random>
#include <sstream>

#include "commands/record.hh"
#include "commands/report.hh"
#include "record/format.hh"
#include "snapshot.hh"

namespace kvmpv {
namespace {

constexpr std::int64_t kS = 1'000'000'000;
const Heading kHeading{"0.1.0", "6.12.117", 2 * kS, 1'795'799'400 * kS, {"make", "-j2"}};

Tree reading(const Snapshot& snapshot, std::int64_t monotonic_ns) {
    Tree tree = read_changing(snapshot);
    tree.monotonic_ns = monotonic_ns;
    return tree;
}

Snapshot hogged() {
    return Snapshot("6.12-hogged")
        .put("proc/stat", "cpu0 100 0 0 100 0 0 0 0 0 0\ncpu1 0 0 0 0 0 0 0 0 0 0\n");
}

// Two seconds later CPU 0 has run for 0.5 s, has idled for 0.5 s, and was kept waiting for 1 s.
Snapshot later() {
    return hogged()
        .put("proc/stat", "cpu0 150 0 0 150 0 0 0 0 0 0\ncpu1 200 0 0 0 0 0 0 0 0 0\n")
        .with_cell("steal/cpus", "0", "steal_ns", "57052953323")
        .with_cell("steal/cpus", "0", "bursts", "575")
        .with_cell("steal/cpus", "0", "longest_ns", "100000000")
        .with_cell("eoi/cpus", "0", "elided", "787")
        .with_cell("eoi/cpus", "0", "written", "95");
}

std::string whole() {
    return heading_line(kHeading) + reading_line(reading(hogged(), 10 * kS), 0, true) +
           reading_line(reading(later(), 12 * kS), 0, true) +
           ending_line({"the command ended", 2, 0});
}

Report report_of(const std::string& text) {
    std::istringstream stream(text);
    return read_report(stream);
}

TEST(Recording, IsReadAsItWasWritten) {
    std::istringstream stream(whole());
    Recording recording(stream);
    EXPECT_FALSE(recording.begin());
    EXPECT_EQ(recording.heading().module, "0.1.0");
    EXPECT_EQ(recording.heading().interval_ns, 2 * kS);
    EXPECT_EQ(recording.heading().command, (std::vector<std::string>{"make", "-j2"}));
    const std::optional<Tree> first = recording.next();
    ASSERT_TRUE(first);
    const Tree expected = reading(hogged(), 10 * kS);
    EXPECT_EQ(first->monotonic_ns, 10 * kS);
    EXPECT_EQ(first->uptime_ns, expected.uptime_ns);
    EXPECT_EQ(first->steal_cpus->at(1).steal_ns, expected.steal_cpus->at(1).steal_ns);
    EXPECT_EQ(first->steal_cpus->at(1).longest_comm, expected.steal_cpus->at(1).longest_comm);
    EXPECT_EQ(first->eoi_cpus->at(0).elided, 757);
    EXPECT_EQ(first->cpu_times->at(0).run_ns, kS);
    EXPECT_EQ(first->tasks->rows.size(), expected.tasks->rows.size());
    EXPECT_EQ(first->tasks->since_reset_ns, expected.tasks->since_reset_ns);
    EXPECT_EQ(first->steal->number("reset_time_ns"), expected.steal->number("reset_time_ns"));
    // Nothing has changed between what was written and what was read.
    const Change none = compare(expected, *first);
    EXPECT_EQ(none.stolen_ns(), 0);
    EXPECT_EQ(none.remarks, std::vector<std::string>());
    EXPECT_TRUE(recording.next());
    EXPECT_FALSE(recording.next());
    EXPECT_EQ(recording.ending()->why, "the command ended");
    EXPECT_EQ(recording.ending()->exit_status, 0);
    EXPECT_EQ(recording.damage(), std::vector<std::string>());
}

TEST(Report, AddsUpWhatTheReadingsSay) {
    const Report report = report_of(whole());
    ASSERT_FALSE(report.trouble);
    EXPECT_EQ(report.totals.readings(), 2);
    EXPECT_EQ(report.totals.elapsed_ns(), 2 * kS);
    EXPECT_EQ(report.totals.stolen_ns(), kS);
    EXPECT_DOUBLE_EQ(report.totals.stolen_part(), 0.25);
    const Totals::Cpu& cpu = report.totals.cpus().at(0);
    EXPECT_EQ(cpu.stolen_ns, kS);
    EXPECT_EQ(cpu.run_ns, kS / 2);
    EXPECT_EQ(cpu.idle_ns, kS / 2);
    EXPECT_EQ(cpu.bursts, 10);
    EXPECT_EQ(cpu.elided, 30);
    EXPECT_EQ(cpu.written, 10);
    EXPECT_EQ(cpu.longest_ns, 100'000'000);
    EXPECT_FALSE(cpu.longest_is_older);
    EXPECT_TRUE(report.totals.cpus().at(1).longest_is_older);
    EXPECT_EQ(report.totals.cpus().at(1).longest_ns, 80583282);
    EXPECT_EQ(report.totals.remarks().size(), 0u);
}

TEST(Report, SaysItInWords) {
    ::setenv("TZ", "UTC", 1);
    ::tzset();
    const std::string text = report_text(report_of(whole()), {110, false});
    const auto has = [&](const std::string& words) {
        EXPECT_NE(text.find(words), std::string::npos) << words << "\n" << text;
    };
    has("2.00 s recorded on 2 CPUs, from 2026-11-27 17:10:00.000, 2 readings, kvmpv 0.1.0");
    has("Command: make -j2 (exit status 0)\n");
    has("The host kept the CPUs from running for 25.0 % of their time: 1.00 s.\n");
    has("CPU  stolen          run     idle    bursts  EOIs elided  longest burst\n");
    has("0    50.0 %  1.00 s  25.0 %  25.0 %  10      75.0 %       100 ms, sh\n");
    has("1    0 %     0 ns    100 %   0 %     0       -            <= 80.6 ms\n");
    EXPECT_EQ(text.find("damaged"), std::string::npos);
}

// By the two copies that were made of one guest.
TEST(Report, SaysWhichTasksLostTheTime) {
    const Tree first = read_changing(Snapshot("6.12-hogged"));
    const Tree last = read_changing(Snapshot("6.12-hogged-later"));
    const Report report =
        report_of(heading_line(kHeading) + reading_line(first, 0, true) +
                  reading_line(last, 0, true) + ending_line({"it was interrupted", 2, {}}));
    std::int64_t charged = 0;
    const std::optional<std::vector<Loss>> losses = report.totals.tasks();
    ASSERT_TRUE(losses);
    for (const Loss& loss : *losses) charged += loss.ns;
    EXPECT_EQ(charged, *last.tasks->since_reset_ns - *first.tasks->since_reset_ns);
    EXPECT_GT(charged, kS);
}

TEST(Report, CountsFromZeroAfterTheModuleWasLoadedAnew) {
    Tree before = reading(hogged(), 10 * kS);
    Tree away;
    away.monotonic_ns = 12 * kS;
    away.notes = {"steal/cpus cannot be read: No such file or directory"};
    Tree after = reading(later(), 14 * kS);
    before.loading = "first";
    after.loading = "second";
    const Report report = report_of(heading_line(kHeading) + reading_line(before, 0, true) +
                                    reading_line(away, 0, true) + reading_line(after, 0, true) +
                                    ending_line({"it was interrupted", 3, {}}));
    EXPECT_EQ(report.totals.elapsed_ns(), 4 * kS);
    EXPECT_EQ(report.totals.stolen_ns(), 0);
    std::vector<std::string> said;
    for (const Totals::Remark& each : report.totals.remarks()) said.push_back(each.sentence);
    EXPECT_EQ(said,
              (std::vector<std::string>{"steal/cpus cannot be read: No such file or directory.",
                                        "CPU 0: stolen time gone.", "CPU 1: stolen time gone.",
                                        "CPU 0: stolen time new.", "CPU 1: stolen time new.",
                                        "kvmpv was loaded anew, and counts from 0 again."}));
}

TEST(Report, OfAFileThatIsNone) {
    EXPECT_EQ(report_of("").trouble->words, "The file is empty.");
    for (const char* text : {"\n", "kvmpv\n", "[]\n", "{}\n", "{\"kind\":\"end\"}\n", "\xff\xfe"})
        EXPECT_EQ(report_of(text).trouble->words,
                  "This is not a recording of kvmpv, or its first line is damaged.")
            << text;
    const Report newer = report_of("{\"kind\":\"kvmpv recording\",\"version\":2}\n");
    EXPECT_TRUE(newer.trouble->words.starts_with("The recording is newer than this program"));
}

TEST(Report, OfAFileThatIsCutOffSaysSo) {
    const std::string text = whole();
    const std::size_t last = text.rfind("\n{") + 1;
    // Without its last line, and within the line before that.
    const Report ended = report_of(text.substr(0, last));
    EXPECT_EQ(ended.totals.readings(), 2);
    EXPECT_EQ(ended.damage,
              std::vector<std::string>{
                  "The recording has no end: record was killed, or the file is cut off."});
    const Report cut = report_of(text.substr(0, last - 100));
    EXPECT_EQ(cut.totals.readings(), 1);
    ASSERT_EQ(cut.damage.size(), 2u);
    EXPECT_EQ(cut.damage[0], "The last line is cut off, and was left out.");
    EXPECT_NE(report_text(cut, {}).find("There are no two readings to compare.\n"),
              std::string::npos);
}

TEST(Report, OfADamagedLineReadsTheOthers) {
    const std::string text = whole();
    const std::size_t line = text.find('\n') + 1;
    const Report report = report_of(text.substr(0, line) + "nonsense\n" + text.substr(line));
    EXPECT_EQ(report.totals.readings(), 2);
    EXPECT_EQ(report.damage, std::vector<std::string>{"Line 2 is damaged, and was left out."});
    const Report fewer =
        report_of(heading_line(kHeading) + ending_line({"it was interrupted", 5, {}}));
    EXPECT_EQ(fewer.damage, std::vector<std::string>{"Of 5 readings there are 0 in the file."});
}

TEST(Report, ShowsNoControlCharacters) {
    std::string text = whole();
    const std::string name = "\"the command ended\"";
    text.replace(text.find(name), name.size(), "\"\\u001b[2J\\u009b\"");
    const std::string shown = report_text(report_of(text), {});
    EXPECT_EQ(shown.find('\033'), std::string::npos);
    EXPECT_NE(shown.find("\\033[2J"), std::string::npos) << shown;
}

TEST(Hostile, RecordingsWithBytesThatAreChangedAtRandom) {
    const std::string text = whole();
    std::mt19937 random(17);  // the same in each run
    for (int round = 0; round < 300; ++round) {
        std::string odd = text;
        for (int change = 0; change < 8; ++change)
            odd[random() % odd.size()] = static_cast<char>(random());
        const Report report = report_of(odd);
        if (report.trouble) continue;
        EXPECT_FALSE(report_text(report, {}).empty());
        EXPECT_FALSE(report_json(report).empty());
    }
}

TEST(Hostile, RecordingsWithNumbersOfAnySize) {
    for (const char* number : {"9223372036854775807", "-9223372036854775808",
                               "99999999999999999999", "1e300", "null", "\"x\"", "[]"}) {
        std::string odd;
        std::istringstream lines(whole());
        for (std::string line; std::getline(lines, line);) {
            for (const char* name : {"steal_ns", "bursts", "run_ns", "elided", "monotonic_ns",
                                     "uptime_ns", "since_reset_ns", "interval_ns", "readings"}) {
                const std::string key = std::string("\"") + name + "\":";
                for (std::size_t at = line.find(key); at != std::string::npos;
                     at = line.find(key, at + 1)) {
                    const std::size_t begin = at + key.size();
                    line.replace(begin, line.find_first_of(",}", begin) - begin, number);
                }
            }
            odd += line + '\n';
        }
        const Report report = report_of(odd);
        ASSERT_FALSE(report.trouble);
        EXPECT_FALSE(report_text(report, {}).empty());
        EXPECT_FALSE(report_json(report).empty());
    }
}

TEST(LimitedFile, StaysBelowItsLimit) {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    LimitedFile file(ends[1], 10);
    EXPECT_EQ(file.add("12345", 0), LimitedFile::Outcome::kWritten);
    EXPECT_EQ(file.add("1234", 2), LimitedFile::Outcome::kFull);
    EXPECT_EQ(file.add("12345", 0), LimitedFile::Outcome::kWritten);
    EXPECT_EQ(file.add("1", 0), LimitedFile::Outcome::kFull);
    EXPECT_EQ(file.size(), 10u);
    ::close(ends[0]);
    ::close(ends[1]);
}

TEST(LimitedFile, SaysThatTheDiskIsFull) {
    const int full = ::open("/dev/full", O_WRONLY);
    LimitedFile file(full, 10);
    EXPECT_EQ(file.add("12345", 0), LimitedFile::Outcome::kFailed);
    EXPECT_EQ(file.error(), ENOSPC);
    ::close(full);
}

}  // namespace
}  // namespace kvmpv
