// SPDX-License-Identifier: GPL-2.0-only
#include "wait/waker.hh"

#include <gtest/gtest.h>

#include <unistd.h>

namespace kvmpv {
namespace {

constexpr std::int64_t kS = 1'000'000'000;

TEST(NextMoment, IsAnIntervalAfterTheLastOne) {
    EXPECT_EQ(next_moment(10 * kS, kS, 10 * kS), 11 * kS);
    EXPECT_EQ(next_moment(10 * kS, kS, 11 * kS - 1), 11 * kS);
}

TEST(NextMoment, LeavesOutThoseThatHavePassed) {
    EXPECT_EQ(next_moment(10 * kS, kS, 11 * kS), 12 * kS);
    EXPECT_EQ(next_moment(10 * kS, kS, 25 * kS + 7), 26 * kS);
    EXPECT_EQ(next_moment(10 * kS, 3 * kS, 25 * kS), 28 * kS);
}

TEST(Waker, TellsWhatCameFirst) {
    Waker waker({SIGUSR1});
    EXPECT_EQ(waker.wait(monotonic_ns()), Waker::Why::kMoment);
    ::raise(SIGUSR1);
    EXPECT_EQ(waker.wait(monotonic_ns() + 60 * kS), Waker::Why::kSignal);
    EXPECT_EQ(waker.signal(), SIGUSR1);
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    ASSERT_EQ(::write(ends[1], "q", 1), 1);
    EXPECT_EQ(waker.wait(monotonic_ns() + 60 * kS, ends[0]), Waker::Why::kInput);
    ::close(ends[0]);
    ::close(ends[1]);
}

TEST(Waker, PutsTheMaskOfSignalsBack) {
    sigset_t mask;
    {
        Waker waker({SIGUSR1});
        ::sigprocmask(SIG_SETMASK, nullptr, &mask);
        EXPECT_EQ(::sigismember(&mask, SIGUSR1), 1);
        EXPECT_EQ(::sigismember(&waker.mask_before(), SIGUSR1), 0);
    }
    ::sigprocmask(SIG_SETMASK, nullptr, &mask);
    EXPECT_EQ(::sigismember(&mask, SIGUSR1), 0);
}

}  // namespace
}  // namespace kvmpv
