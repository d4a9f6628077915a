// SPDX-License-Identifier: GPL-2.0-only
#include <gtest/gtest.h>

#include <cerrno>
#include <random>

#include "commands/doctor.hh"
#include "commands/status.hh"
#include "read/trouble.hh"
#include "snapshot.hh"

namespace kvmpv {
namespace {

TEST(Tree, OfEverySnapshotIsWhole) {
    ASSERT_GT(all_snapshots().size(), 4u);
    for (const std::string& name : all_snapshots()) {
        const Tree tree = read_tree(Snapshot(name));
        EXPECT_EQ(tree.notes, std::vector<std::string>()) << name;
        ASSERT_TRUE(tree.status) << name;
        EXPECT_EQ(tree.status->version, "0.1.0");
        for (const char* feature : {"clock", "steal", "eoi", "async_pf"})
            EXPECT_NE(tree.status->feature(feature), nullptr) << name << feature;
        EXPECT_TRUE(tree.clock->has("path")) << name;
        EXPECT_FALSE(tree.steal_cpus->empty()) << name;
        EXPECT_GE(tree.drift->size(), 5u) << name;
        EXPECT_GT(tree.uptime_ns.value_or(0), 0) << name;
        EXPECT_FALSE(tree.clocksources->available.empty()) << name;
    }
}

TEST(Tree, HasTheModesAndTheirReasons) {
    const Tree tree = read_tree(Snapshot("6.12-shared"));
    EXPECT_EQ(tree.status->feature("clock")->mode, "shared");
    EXPECT_EQ(tree.status->feature("clock")->reason, "the kernel uses it on 2 of 2 CPUs");
    EXPECT_EQ(tree.status->vdso, "user space reads the clock without a system call");
    EXPECT_EQ(tree.steal_cpus->at(0).steal_ns, 28910007072);
    EXPECT_EQ(tree.steal_cpus->at(0).longest_comm, "cat");
    EXPECT_EQ(tree.eoi_cpus->at(1).elided, 366);
    EXPECT_EQ(tree.uptime_ns, 75'250'000'000);
}

TEST(Tree, IsReadAsFarAsItGoes) {
    Snapshot snapshot("6.12-shared");
    snapshot.without(below_module("events"), EPERM).with("eoi/cpus", "version 1", "version 2");
    const Tree tree = read_tree(snapshot);
    EXPECT_FALSE(tree.events);
    EXPECT_FALSE(tree.eoi_cpus);
    EXPECT_TRUE(tree.steal_cpus);
    ASSERT_EQ(tree.notes.size(), 2u);
    EXPECT_EQ(tree.notes[0],
              "eoi/cpus has version 2, which is newer than this program; it is left out");
    EXPECT_EQ(tree.notes[1], "events cannot be read: Operation not permitted");
}

TEST(Tree, MoreColumnsAndMoreFilesChangeNothing) {
    Snapshot snapshot("6.12-shared");
    snapshot.with("eoi/cpus", "cpu elided", "later cpu elided")
        .with("eoi/cpus", "0   375", "x 0   375")
        .with("eoi/cpus", "1   366", "x 1   366")
        .put(below_module("halt_poll/state"), "version 1\n");
    EXPECT_EQ(status_json(look_at(snapshot)), status_json(look_at(Snapshot("6.12-shared"))));
}

// Every command ends with words, whatever the files hold.
void use(const Snapshot& snapshot) {
    const Look look = look_at(snapshot, snapshot);
    EXPECT_FALSE(status_text(look, {}).empty());
    EXPECT_FALSE(status_json(look).empty());
    EXPECT_FALSE(doctor_text(examine(look), {}).empty());
    EXPECT_FALSE(doctor_json(examine(look)).empty());
}

TEST(Hostile, FilesThatAreCutOffAnywhere) {
    const Snapshot whole("6.12-shared");
    for (const auto& [path, text] : whole.files) {
        for (std::size_t length = 0; length < text.content.size(); length += 37) {
            Snapshot cut = whole;
            cut.put(path, text.content.substr(0, length));
            use(cut);
        }
    }
}

TEST(Hostile, NumbersThatAreAsLargeAsTheyCanBe) {
    for (const char* number : {"9223372036854775807", "-9223372036854775808", "0", "-", "1e9"}) {
        Snapshot odd("6.12-shared");
        for (const char* cpu : {"0", "1"}) {
            for (const char* column : {"steal_ns", "backward_ns", "dropped_ns", "backward_steps",
                                       "forward_steps", "longest_ns"})
                odd.with_cell("steal/cpus", cpu, column, number);
            odd.with_cell("eoi/cpus", cpu, "elided", number);
            odd.with_cell("eoi/cpus", cpu, "written", number);
        }
        for (const char* column : {"offset_ns", "rate_ppb", "error_ppb", "read_ns"})
            odd.with_cell("clock/drift", "tsc", column, number);
        odd.with_cell("clock/wall_clock", "offset_ns", "value", number)
            .put("proc/uptime", number)
            .put(below_module("events"), std::string("version 1\nevents ") + number +
                                             " lost 0\nseq time_ns cpu event value unit\n" +
                                             number + " " + number + " 0 pause " + number +
                                             " ns\n");
        use(odd);
    }
}

TEST(Hostile, BytesThatAreChangedAtRandom) {
    const Snapshot whole("6.12-shared");
    std::mt19937 random(17);  // the same in each run
    for (int round = 0; round < 300; ++round) {
        Snapshot odd = whole;
        for (auto& [path, text] : odd.files)
            for (int change = 0; change < 3 && !text.content.empty(); ++change)
                text.content[random() % text.content.size()] = static_cast<char>(random());
        use(odd);
    }
}

TEST(Trouble, OfEachKindHasItsWordsAndItsStatus) {
    Snapshot running("6.12-shared");
    running.as_running_system()
        .put("sys/module/kvmpv/version", "0.1.0\n")
        .put("proc/filesystems", "nodev\tdebugfs\n")
        .put("proc/mounts", "none /sys/kernel/debug debugfs rw 0 0\n");
    EXPECT_FALSE(find_trouble(running, true));

    const std::string status = below_module("status");
    Snapshot refused = running;
    refused.without(status, EACCES);
    EXPECT_EQ(find_trouble(refused, false)->exit, Exit::kNotPermitted);
    EXPECT_TRUE(find_trouble(refused, false)->words.starts_with("Only root"));
    refused.without(status, EPERM);
    EXPECT_EQ(find_trouble(refused, true)->exit, Exit::kNotPermitted);
    EXPECT_TRUE(find_trouble(refused, true)->words.starts_with("The kernel is locked down"));

    Snapshot absent = running;
    absent.without(status, ENOENT);
    EXPECT_EQ(find_trouble(absent, true)->exit, Exit::kNothingToRead);
    EXPECT_NE(find_trouble(absent, true)->words.find("kernel log says why"), std::string::npos);
    absent.put("proc/mounts", "\n");
    EXPECT_NE(find_trouble(absent, true)->words.find("not mounted"), std::string::npos);
    absent.put("proc/filesystems", "\n");
    EXPECT_NE(find_trouble(absent, true)->words.find("no debugfs"), std::string::npos);

    Snapshot empty;
    empty.as_running_system();
    EXPECT_NE(find_trouble(empty, true)->words.find("not loaded"), std::string::npos);
    EXPECT_NE(find_trouble(empty, false)->words.find("not loaded"), std::string::npos);

    Snapshot newer = running;
    newer.with("status", "version 1", "version 2");
    EXPECT_EQ(find_trouble(newer, true)->exit, Exit::kNothingToRead);
    EXPECT_NE(find_trouble(newer, true)->words.find("newer"), std::string::npos);
}

}  // namespace
}  // namespace kvmpv
