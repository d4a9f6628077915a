// SPDX-License-Identifier: GPL-2.0-only
//
// wakeups.hh: what counts as a wake-up, by what, and which time is taken.

#include "kvmpv/wakeups.hh"
#include "test.hh"

using namespace kvmpv;
using namespace kvmpv::testing;

namespace {

// Too large for the kernel's stack.
constinit Wakeups wakeups{};

void begin() {
    wakeups.idle_ends();
    wakeups.forget();
}

void expect_counts(Test& test, u64 all, u64 timer, u64 ipi, Place place = Place::here()) {
    const Wakeups::Counts counts = wakeups.counts();
    test.equal("all", counts.all, all, place);
    test.equal("timer", counts.timer, timer, place);
    test.equal("timer, timed", counts.timer_late.count, timer, place);
    test.equal("ipi", counts.ipi, ipi, place);
}

}  // namespace

KVMPV_TEST(wakeups, timer) {
    Test test(handle);
    begin();
    wakeups.idle_begins();
    wakeups.timer(20);
    wakeups.idle_ends();
    expect_counts(test, 1, 1, 0);
    test.equal("median", wakeups.counts().timer_late.median_ns, 20);
}

// Only the first one has woken the CPU; and none while it is busy.
KVMPV_TEST(wakeups, first_timer_only) {
    Test test(handle);
    begin();
    wakeups.timer(1000);
    wakeups.idle_begins();
    wakeups.timer(20);
    wakeups.timer(30);
    wakeups.idle_ends();
    wakeups.timer(1000);
    expect_counts(test, 1, 1, 0);
    test.equal("99", wakeups.counts().timer_late.p99_ns, 20);
}

// A timer with slack may be handled before it has to be, because another one is due.
KVMPV_TEST(wakeups, early_timer_is_not_the_cause) {
    Test test(handle);
    begin();
    wakeups.idle_begins();
    wakeups.timer(-1);
    wakeups.timer(7);
    wakeups.idle_ends();
    expect_counts(test, 1, 1, 0);
    test.equal("median", wakeups.counts().timer_late.median_ns, 7);

    wakeups.idle_begins();
    wakeups.timer(0);
    wakeups.idle_ends();
    expect_counts(test, 2, 2, 0);
}

KVMPV_TEST(wakeups, ipi) {
    Test test(handle);
    begin();
    wakeups.idle_begins();
    wakeups.ipi_sent(100);
    wakeups.ipi_sent(110);
    wakeups.ipi_arrived(125);
    wakeups.idle_ends();
    expect_counts(test, 1, 0, 1);
    test.equal("timed", wakeups.counts().ipi_took.count, 1);
    test.equal("since the first", wakeups.counts().ipi_took.median_ns, 25);
}

// As on a kernel that does not say when it sends: counted, and not timed.
KVMPV_TEST(wakeups, ipi_without_its_sender) {
    Test test(handle);
    begin();
    wakeups.idle_begins();
    wakeups.ipi_arrived(125);
    wakeups.idle_ends();
    expect_counts(test, 1, 0, 1);
    test.equal("timed", wakeups.counts().ipi_took.count, 0);
}

// Sent while the CPU was busy, so it has not woken it. What it was sent at is not taken for another
// one's later.
KVMPV_TEST(wakeups, ipi_to_a_busy_cpu) {
    Test test(handle);
    begin();
    wakeups.ipi_sent(100);
    wakeups.ipi_arrived(120);
    wakeups.ipi_sent(150);
    wakeups.idle_begins();
    wakeups.ipi_sent(1000);
    wakeups.ipi_arrived(1003);
    wakeups.idle_ends();
    expect_counts(test, 1, 0, 1);
    test.equal("timed", wakeups.counts().ipi_took.count, 1);
    test.equal("median", wakeups.counts().ipi_took.median_ns, 3);
}

KVMPV_TEST(wakeups, clocks_differ) {
    Test test(handle);
    begin();
    wakeups.idle_begins();
    wakeups.ipi_sent(100);
    wakeups.ipi_arrived(99);
    wakeups.idle_ends();
    test.equal("timed", wakeups.counts().ipi_took.count, 1);
    test.equal("median", wakeups.counts().ipi_took.median_ns, 0);
}

// Whichever comes first has woken the CPU; a device is neither.
KVMPV_TEST(wakeups, one_cause_each) {
    Test test(handle);
    begin();
    wakeups.idle_begins();
    wakeups.ipi_arrived(5);
    wakeups.timer(5);
    wakeups.idle_ends();
    wakeups.idle_begins();
    wakeups.timer(5);
    wakeups.ipi_arrived(5);
    wakeups.idle_ends();
    wakeups.idle_begins();
    wakeups.idle_ends();
    expect_counts(test, 3, 1, 1);
}

// While the CPU idles: what wakes it then counts still.
KVMPV_TEST(wakeups, forget) {
    Test test(handle);
    begin();
    wakeups.idle_begins();
    wakeups.timer(5);
    wakeups.idle_ends();
    wakeups.idle_begins();
    wakeups.forget();
    expect_counts(test, 0, 0, 0);
    wakeups.timer(9);
    wakeups.idle_ends();
    expect_counts(test, 1, 1, 0);
    test.equal("99", wakeups.counts().timer_late.p99_ns, 9);
}

KVMPV_SUITE(wakeups);
