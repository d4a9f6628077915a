// SPDX-License-Identifier: GPL-2.0-only
//
// steal_handover.hh: the kernel asks its own steal clock and ours in turns. It changes its callers
// one by one, and a CPU may come or go between any two steps. Never does it find less steal than it
// has accounted.

#include "kvmpv/steal_handover.hh"
#include "scripted_host.hh"
#include "test.hh"

using namespace kvmpv;
using namespace kvmpv::testing;

namespace {

constexpr u64 kMs = 1'000'000;
constexpr u64 kTickNs = 4 * kMs;
constexpr u32 kCallers = 3;
constexpr u32 kRunQueue = 2;  // of the callers

// A CPU of a guest in shared mode, and what the host, the kernel and the module's steal controller
// do with it. The TSC ticks once per nanosecond.
class Guest {
public:
    // `tsc_late_shift`: the guest underestimates elapsed time by 1 part in 2^tsc_late_shift.
    explicit Guest(u64 seed, u32 tsc_late_shift = 63)
        : random_(seed), tsc_late_shift_(tsc_late_shift) {}

    // ---- The kernel -----------------------------------------------------------------------------

    // What may happen while no CPU comes or goes and nobody hooks or unhooks.
    void live() {
        for (u64 n = random_.next() % 4; n; --n) {
            if (random_.next() % 2) pass(random_.next() % kTickNs);
            switch (random_.next() % 12) {
                case 0: look(); break;
                case 1: glance_at_steal(*this, own_); break;
                case 2: account(0); break;
                case 3: account(1); break;
                case 4: update_run_queue(false); break;
                case 5: update_run_queue(true); break;
                default: steal(random_.next() % (2 * kTickNs)); break;
            }
        }
    }

    // The hotplug lock is free, so CPUs may come and go.
    void come_and_go() {
        for (u64 n = random_.next() % 4; n; --n) here_ ? go() : come();
    }

    void go() {
        live();
        end_steal(*this, own_);
        live();
        slot_ = false;
        live();
        here_ = false;
    }

    void come() {
        here_ = true;
        live();
        slot_ = true;
        steal(random_.next() % (3 * kTickNs));
        live();
        // One time in eight the slot is not what it should be, and the clock gets no record.
        if (random_.next() % 8) begin_steal(*this, own_, &record_, !hooked_);
        live();
    }

    // ---- What the steal controller does ---------------------------------------------------------

    void hook() {
        handover_in_progress_ = true;
        prepare_steal_hook(*this, own_, true);
        come_and_go();
        change_callers(true);
        come_and_go();
        hooked_ = true;
        come_and_go();
        handover_in_progress_ = false;
        live();
        look();
    }

    bool unhook() {
        handover_in_progress_ = true;
        const bool healed = heal_steal(*this, own_, record_);
        come_and_go();
        change_callers(false);
        come_and_go();
        hooked_ = false;
        come_and_go();
        handover_in_progress_ = false;
        return healed;
    }

    void look() {
        if (here_) ask_steal(*this, own_);
    }

    // ---- The host ---------------------------------------------------------------------------

    void pass(u64 ns) { now_ns_ += ns; }

    // Makes the record say anything, true or not.
    void set_record(u64 steal_ns) {
        record_.steal = steal_ns;
        record_.version += 2;
    }

    // ---- What came out --------------------------------------------------------------------------

    bool here() const { return here_; }
    u64 lies() const { return lies_; }
    u64 run_queue_lies() const { return run_queue_lies_; }
    u64 asked_from_afar() const { return asked_from_afar_; }
    u64 accounted() const { return accounted_ns_; }
    u64 stolen_in_truth() const { return true_ns_; }
    u64 stolen_without_record() const { return without_record_ns_; }
    u64 record_ns() const { return record_.steal; }
    u64 asked(bool ours) const { return asked_[ours]; }
    const StealClock& own() const { return own_; }

    // Brings accounting and run queue up to date with the clock that each of them asks.
    void settle() {
        if (!here_) come();
        account(0);
        update_run_queue(true);
        update_run_queue(false);
    }

    // ---- StealMachine (steal.hh) ----------------------------------------------------------------

    template <class T>
    T load(const T& shared) {
        return shared;
    }
    void barrier() {}
    void store(u64& shared, u64 value) { shared = value; }
    bool compare_exchange(u64& shared, u64& expected, u64 desired) {
        if (shared != expected) {
            expected = shared;
            return false;
        }
        shared = desired;
        return true;
    }
    void add(u64& shared, u64 value) { shared += value; }
    u64 tsc() { return now_ns_; }
    u64 elapsed_ns(u64 ticks) { return ticks - (ticks >> tsc_late_shift_); }
    u64 tick_ns() { return kTickNs; }
    u64 uptime_ns() { return now_ns_; }
    u64 accounted_ns(const StealClock&) { return accounted_ns_; }
    bool handover_in_progress() { return handover_in_progress_; }
    void set_handover_in_progress(bool in_progress) { handover_in_progress_ = in_progress; }
    void stepped(StealClock&, bool, u64) {}
    void stolen(StealClock&, u64 ns) { bursts_ns_ += ns; }
    void rebased(StealClock&, u64 ns) { reset_total_ns_ += ns; }

    // All bursts since the start add up to the total, less what it was rebased by.
    bool parts_make_the_whole() const { return own_.total_ns - reset_total_ns_ == bursts_ns_; }

private:
    void steal(u64 ns) {
        if (!here_ || !slot_) return;
        pass(ns);
        true_ns_ += ns;
        if (!own_.record) without_record_ns_ += ns;
        set_record(record_.steal + ns);
    }

    // steal_account_process_time() of kernel/sched/cputime.c, at one of its call sites.
    void account(u32 caller) {
        if (!here_) return;
        const bool ours = callers_[caller];
        ++asked_[ours];
        const u64 shown_ns = ours ? ask_steal(*this, own_) : record_.steal;
        if (shown_ns < accounted_ns_) ++lies_;
        accounted_ns_ = shown_ns;
    }

    // update_rq_clock_task() of kernel/sched/core.c. It runs with the run queue locked, so one at a
    // time, but on any CPU. It may be told less than before while both clocks are asked, or while
    // ours has no record but the kernel's own has.
    void update_run_queue(bool from_afar) {
        if (!here_) return;
        u64 shown_ns = record_.steal;
        if (callers_[kRunQueue])
            shown_ns = from_afar ? ask_steal_from_afar(*this, own_) : ask_steal(*this, own_);
        asked_from_afar_ += callers_[kRunQueue] && from_afar && !handover_in_progress_;
        if (shown_ns < run_queue_ns_ && !handover_in_progress_ && own_.record) ++run_queue_lies_;
        run_queue_ns_ = shown_ns;
    }

    void change_callers(bool ours) {
        const u64 first = random_.next() % kCallers;
        for (u32 n = 0; n < kCallers; ++n) {
            callers_[(first + n) % kCallers] = ours;
            live();
        }
    }

    Xorshift random_;
    u32 tsc_late_shift_;
    KvmStealTime record_{};
    StealClock own_{};
    bool slot_ = true;
    bool here_ = true;
    bool hooked_ = false;
    bool handover_in_progress_ = false;
    bool callers_[kCallers]{};
    u64 now_ns_ = 1'000'000 * kMs;
    u64 accounted_ns_ = 0;
    u64 true_ns_ = 0;
    u64 without_record_ns_ = 0;
    u64 bursts_ns_ = 0;
    u64 reset_total_ns_ = 0;
    u64 lies_ = 0;
    u64 run_queue_ns_ = 0;
    u64 run_queue_lies_ = 0;
    u64 asked_from_afar_ = 0;
    u64 asked_[2]{};
};

constexpr u32 kRounds = 20'000;

}  // namespace

// Nothing is lost either, except at most what the host stole while our clock had no record.
KVMPV_TEST(steal_handover, back_and_forth) {
    Test test(handle);
    Guest guest(20261121);
    u32 nothing_lost = 0;
    for (u32 round = 0; round < kRounds; ++round) {
        const u64 lost_ns = guest.stolen_in_truth() - guest.accounted();
        const u64 without_record_ns = guest.stolen_without_record();
        guest.live();
        guest.come_and_go();
        guest.hook();
        guest.come_and_go();
        guest.live();
        guest.come_and_go();
        const bool healed = guest.unhook();
        guest.settle();
        if (!(test.is_true("healed", healed) & test.equal("less than accounted", guest.lies(), 0) &
              test.equal("less than a run queue was told", guest.run_queue_lies(), 0) &
              test.between("lost", guest.stolen_in_truth() - guest.accounted() - lost_ns, 0,
                           guest.stolen_without_record() - without_record_ns) &
              test.is_true("parts", guest.parts_make_the_whole()) &
              test.equal("steps", guest.own().backward.count + guest.own().forward.count, 0)))
            return test.note([&](LineWriter& out) { out << "round " << round; });
        nothing_lost += guest.stolen_in_truth() - guest.accounted() == lost_ns;
    }
    test.at_least("rounds without loss", nothing_lost, kRounds / 5);
    test.at_least("the kernel's own asked", guest.asked(false), 10'000);
    test.at_least("ours asked", guest.asked(true), 10'000);
    test.at_least("ours asked from afar", guest.asked_from_afar(), 10'000);
}

// The TSC's rate is known to some 500 ppm. So a little of a long burst is not believed, which
// counts as no step. The kernel's own clock believes all of it.
KVMPV_TEST(steal_handover, with_a_rate_that_is_not_exact) {
    Test test(handle);
    Guest guest(815, 11);
    for (u32 round = 0; round < 10 * kRounds; ++round) {
        guest.hook();
        guest.come_and_go();
        const bool healed = guest.unhook();
        if (!(test.is_true("healed", healed) & test.equal("less than accounted", guest.lies(), 0) &
              test.equal("less than a run queue was told", guest.run_queue_lies(), 0) &
              test.is_true("parts", guest.parts_make_the_whole()) &
              test.equal("steps", guest.own().backward.count + guest.own().forward.count, 0)))
            return test.note([&](LineWriter& out) { out << "round " << round; });
    }
    test.at_least("not believed", guest.stolen_in_truth() - guest.accounted(), 1);
}

// The host lies before the kernel has asked ours, and then the kernel asks its own clock again.
KVMPV_TEST(steal_handover, back_before_the_first_question) {
    Test test(handle);
    Guest guest(99);
    Xorshift random(7);
    u64 behind = 0;
    for (u32 round = 0; round < kRounds; ++round) {
        guest.live();
        guest.hook();
        guest.set_record(random.next() % (guest.record_ns() + 1));
        behind += guest.record_ns() < guest.accounted() && guest.own().native_shown;
        if (!(test.is_true("healed", guest.unhook()) &
              test.equal("less than accounted", guest.lies(), 0)))
            return test.note([&](LineWriter& out) { out << "round " << round; });
    }
    test.at_least("not asked before", behind, kRounds / 100);
}

// The host lies while only our clock is asked. The kernel never notices.
KVMPV_TEST(steal_handover, with_a_host_that_lies) {
    Test test(handle);
    Guest guest(4711);
    Xorshift random(13);
    for (u32 round = 0; round < kRounds; ++round) {
        guest.hook();
        guest.come_and_go();
        if (!guest.here()) guest.come();
        for (u64 lie : {random.next() % guest.record_ns(), random.next(), u64{0}}) {
            // Settled before and after, or the lie would reach whoever asks next.
            guest.settle();
            guest.set_record(lie);
            guest.settle();
        }
        guest.come_and_go();
        const bool healed = guest.unhook();
        guest.settle();
        if (!(test.is_true("healed", healed) & test.equal("less than accounted", guest.lies(), 0) &
              test.equal("less than a run queue was told", guest.run_queue_lies(), 0) &
              test.equal("the kernel's own", guest.record_ns(), guest.accounted())))
            return test.note([&](LineWriter& out) { out << "round " << round; });
    }
    test.at_least("steps back", guest.own().backward.count, kRounds);
    test.at_least("steps ahead", guest.own().forward.count, kRounds / 2);
}

// Owned records, which no other clock has shown. What they say before the hook does not count.
KVMPV_TEST(steal_handover, nobody_was_asked) {
    Test test(handle);
    Guest guest(2);
    StealClock own{};
    KvmStealTime record{.steal = 9 * kMs, .version = 2};
    begin_steal(guest, own, &record, false);
    test.equal("begins", ask_steal(guest, own), 0);
    record = {.steal = 10 * kMs, .version = 4};
    test.equal("observed", ask_steal(guest, own), kMs);
    record = {.steal = 12 * kMs, .version = 6};
    prepare_steal_hook(guest, own, false);
    test.equal("what is accounted", own.total_ns, 0);
    record = {.steal = 13 * kMs, .version = 8};
    test.equal("since the hook", ask_steal(guest, own), kMs);
    // Unhooked, observed and hooked again: nothing of that counts, except what a run queue was
    // told.
    leave_steal_hook(own);
    record = {.steal = 14 * kMs, .version = 10};
    test.equal("observed again", ask_steal(guest, own), 2 * kMs);
    prepare_steal_hook(guest, own, false);
    test.equal("what was told", ask_steal_from_afar(guest, own), kMs);
    record = {.steal = 17 * kMs, .version = 12};
    test.equal("since the second hook", ask_steal(guest, own), 4 * kMs);
}

// The scheduler on another CPU asks as well, and remembers what it was told.
KVMPV_TEST(steal_handover, asked_from_afar) {
    Test test(handle);
    Guest guest(1);
    while (!guest.accounted()) {
        guest.live();
        guest.settle();
    }
    const u64 accounted_ns = guest.accounted();
    StealClock own{};
    const u64 steal_ns = accounted_ns + 9 * kMs;
    KvmStealTime record{.steal = steal_ns, .version = 2};
    begin_steal(guest, own, &record, true);
    test.equal("there", ask_steal(guest, own), steal_ns);
    record = {.steal = steal_ns + kMs, .version = 4};
    test.equal("in no time", ask_steal_from_afar(guest, own), steal_ns);
    guest.pass(2 * kMs);
    test.equal("what the record says", ask_steal_from_afar(guest, own), steal_ns + kMs);
    guest.set_handover_in_progress(true);
    prepare_steal_hook(guest, own, true);
    record = {.steal = steal_ns + 2 * kMs, .version = 6};
    test.equal("while both are asked", ask_steal_from_afar(guest, own), steal_ns + 2 * kMs);
    record = {.steal = steal_ns, .version = 8};
    test.equal("what was shown there", ask_steal_from_afar(guest, own), steal_ns + kMs);
    record = {.steal = steal_ns + 2 * kMs, .version = 10};
    end_steal(guest, own);
    own.total_ns = own.shown_ns = 0;
    test.equal("without a record", ask_steal_from_afar(guest, own), accounted_ns);
    test.equal("there", ask_steal(guest, own), accounted_ns);
}

KVMPV_SUITE(steal_handover);
