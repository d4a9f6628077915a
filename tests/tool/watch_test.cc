// SPDX-License-Identifier: GPL-2.0-only
#include "commands/watch.hh"

#include <gtest/gtest.h>

#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "read/awaited.hh"
#include "say/events.hh"
#include "snapshot.hh"

namespace kvmpv {
namespace {

constexpr std::int64_t kOffset = 1'795'799'400'000'000'000;  // 2026-11-27 17:10:00 UTC

const Event kPause{7, 70'253'000'000, 1, "pause", 48'000'000, "ns"};
const Event kForced{8, 71'000'000'000, {}, "guard_forced", {}, "-"};

class Watch : public testing::Test {
protected:
    void SetUp() override {
        ::setenv("TZ", "UTC", 1);
        ::tzset();
    }
};

TEST_F(Watch, SaysWhenWhatAndWhere) {
    EXPECT_EQ(
        watch_text(kPause, kOffset),
        "2026-11-27 17:11:10.253  pause of 48.0 ms on CPU 1 (number 7): the clock stood still "
        "while the guest was stopped\n");
    EXPECT_EQ(watch_text(kForced, kOffset),
              "2026-11-27 17:11:11.000  guard_forced (number 8): clock/force_unstable was switched "
              "on\n");
    EXPECT_EQ(watch_text({9, 0, 0, "later", 3, "ppb"}, 0),
              "1970-01-01 00:00:00.000  later of 3 ppb on CPU 0 (number 9)\n");
}

TEST_F(Watch, SaysTheSameToPrograms) {
    EXPECT_EQ(watch_json(kPause, kOffset),
              "{\"cpu\":1,\"event\":\"pause\",\"realtime_ns\":1795799470253000000,\"seq\":7,"
              "\"time_ns\":70253000000,\"unit\":\"ns\",\"value\":48000000,\"version\":1}\n");
    EXPECT_EQ(missed_json(41), "{\"missed\":41,\"version\":1}\n");
    EXPECT_EQ(missed_text(1),
              "1 event came too quickly, and had been overwritten before kvmpv could read them.\n");
}

TEST_F(Watch, TimesThatCannotBeShownAreDashes) {
    EXPECT_EQ(date_and_time(-1), "-");
    EXPECT_NE(date_and_time(INT64_MAX), "");
}

TEST_F(Watch, GivesTheCommandItsValuesInTheEnvironment) {
    EXPECT_EQ(
        environment_of(kPause),
        (std::vector<std::string>{"KVMPV_SEQ=7", "KVMPV_TIME_NS=70253000000", "KVMPV_CPU=1",
                                  "KVMPV_EVENT=pause", "KVMPV_VALUE=48000000", "KVMPV_UNIT=ns"}));
    EXPECT_EQ(environment_of(kForced)[2], "KVMPV_CPU=");
    EXPECT_EQ(environment_of(kForced)[4], "KVMPV_VALUE=");
}

TEST_F(Watch, RefusesACopy) { EXPECT_EQ(watch(Snapshot("6.12-shared"), {})->exit, Exit::kUsage); }

// The reader of a pipe that nobody writes to any more is told so, as of a file that is gone.
TEST(AwaitedFile, DoesNotWaitForWhatIsGone) {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    const AwaitedFile file("/dev/fd/" + std::to_string(ends[0]));
    ::close(ends[0]);
    ::close(ends[1]);
    EXPECT_EQ(file.wait(), ENODEV);
}

TEST(AwaitedFile, IsReadFromItsBeginningEachTime) {
    AwaitedFile file("tests/snapshots/README.md");
    const Text first = file.read();
    EXPECT_TRUE(first.ok());
    EXPECT_EQ(first.content.substr(0, 4), "<!--");
    EXPECT_EQ(file.read().content, first.content);
}

TEST(AwaitedFile, SaysWhyItCannotBeOpened) {
    EXPECT_EQ(AwaitedFile("/no/such/file").read().error, ENOENT);
}

}  // namespace
}  // namespace kvmpv
