// SPDX-License-Identifier: GPL-2.0-only
//
// pv_eoi.hh: every interrupt is ended exactly once, whenever the host withdraws the bit and
// whenever the guest takes the word away. Runs on a scripted local APIC that behaves as KVM's does.

#include "kvmpv/pv_eoi.hh"
#include "scripted_host.hh"
#include "test.hh"

using namespace kvmpv;
using namespace kvmpv::testing;

namespace {

constexpr u32 kNone = ~u32{0};

constexpr u32 highest(u32 bits) {
    return bits ? 31 - static_cast<u32>(__builtin_clz(bits)) : kNone;
}

// The local APIC of one vCPU, as arch/x86/kvm/lapic.c emulates it, with 32 vectors; and the stack
// of the guest's handlers. The host sets the bit at an entry and withdraws it at the next exit.
class ScriptedApic {
public:
    // ---- The host -------------------------------------------------------------------------------

    void exit() {
        if (!offered_) return;
        offered_ = false;
        if (!slot_enabled_) return;
        if (word_ & kPvEoiPending) {
            if (!leaves_word_set_) word_ &= ~kPvEoiPending;
            return;
        }
        ++ended_by_word_;
        retire();
    }

    void enter() {
        const u32 next = highest(requested_);
        const u32 current = highest(in_service_);
        if (interrupts_on_ && depth_ < 32 && next != kNone &&
            (current == kNone || next > current)) {
            requested_ &= ~(u32{1} << next);
            in_service_ |= u32{1} << next;
            handlers_[depth_++] = next;
            ++taken_;
            interrupts_on_ = false;
        }
        const bool one_in_service = in_service_ && !(in_service_ & (in_service_ - 1));
        if (slot_enabled_ && !requested_ && one_in_service) {
            word_ |= kPvEoiPending;
            offered_ = true;
        }
    }

    void visit() {
        exit();
        enter();
    }

    void raise(u32 vector) {
        exit();
        requested_ |= u32{1} << vector;
        enter();
    }

    void write_slot(bool enabled) {
        exit();
        slot_enabled_ = enabled;
        enter();
    }

    void write_eoi_register() {
        exit();
        ++ended_by_write_;
        retire();
        enter();
    }

    // From now on the host does not follow the document: it leaves the bit set.
    void leave_word_set() { leaves_word_set_ = true; }

    // ---- The guest ------------------------------------------------------------------------------

    void interrupts(bool on) {
        interrupts_on_ = on;
        if (on && requested_) visit();
    }
    bool test_and_clear() {
        const bool was_set = word_ & kPvEoiPending;
        word_ &= ~kPvEoiPending;
        return was_set;
    }
    // The topmost handler has ended its interrupt, in either way.
    void handler_done() {
        if (depth_)
            --depth_;
        else
            ended_too_often_ = true;
    }

    u32 word() const { return word_; }
    u32 depth() const { return depth_; }
    u64 taken() const { return taken_; }
    u64 ended_by_word() const { return ended_by_word_; }
    u64 ended_by_write() const { return ended_by_write_; }

    // Exactly the interrupts that a handler has yet to end are in service. Asking is an exit.
    bool consistent() {
        visit();
        u32 expected = 0;
        for (u32 at = 0; at < depth_; ++at) expected |= u32{1} << handlers_[at];
        return in_service_ == expected && !ended_too_often_;
    }

private:
    void retire() {
        const u32 vector = highest(in_service_);
        if (vector == kNone)
            ended_too_often_ = true;
        else
            in_service_ &= ~(u32{1} << vector);
    }

    u32 requested_ = 0;
    u32 in_service_ = 0;
    u32 word_ = 0;
    bool slot_enabled_ = true;
    bool offered_ = false;
    bool leaves_word_set_ = false;
    bool interrupts_on_ = true;
    bool ended_too_often_ = false;
    u32 handlers_[32]{};
    u32 depth_ = 0;
    u64 taken_ = 0;
    u64 ended_by_word_ = 0;
    u64 ended_by_write_ = 0;
};

// script(n) runs before step n of the code under test.
template <class Script>
struct ScriptedGuest {
    ScriptedApic& apic;
    Script script;
    u32 steps = 0;
    bool idle = false;
    int slot_error = 0;
    u64 counts[static_cast<unsigned>(EoiCounter::kNumCounters)]{};

    bool test_and_clear() {
        script(steps++);
        const bool was_set = apic.test_and_clear();
        if (was_set && apic.depth()) apic.handler_done();
        return was_set;
    }
    bool in_idle() {
        script(steps++);
        return idle;
    }
    void count(EoiCounter counter) {
        script(steps++);
        ++counts[static_cast<unsigned>(counter)];
    }
    // The write is an exit. The handler is done when it returns, before another interrupt comes.
    void write_eoi() {
        script(steps++);
        apic.handler_done();
        apic.write_eoi_register();
    }
    Result<void> give_up_slot() {
        script(steps++);
        if (slot_error) return Error(slot_error);
        apic.write_slot(false);
        return {};
    }

    u64 counted(EoiCounter counter) const { return counts[static_cast<unsigned>(counter)]; }
    u64 written() const {
        return counted(EoiCounter::kWrittenBusy) + counted(EoiCounter::kWrittenIdle);
    }
};

constexpr auto kNothing = [](u32) {};
constexpr u32 kSteps = 4;  // if the register is written: test, in idle?, count, write

template <class Guest>
void expect_ends(Test& test, const Guest& guest, u64 elided, u64 busy, u64 idle) {
    test.equal("elided", guest.counted(EoiCounter::kElided), elided);
    test.equal("written busy", guest.counted(EoiCounter::kWrittenBusy), busy);
    test.equal("written idle", guest.counted(EoiCounter::kWrittenIdle), idle);
}

}  // namespace

// ---- The end of an interrupt --------------------------------------------------------------------

KVMPV_TEST(pv_eoi, elided_when_offered) {
    Test test(handle);
    ScriptedApic apic;
    ScriptedGuest guest{apic, kNothing};
    apic.raise(3);
    test.equal("word", apic.word(), kPvEoiPending);
    end_of_interrupt(guest);
    expect_ends(test, guest, 1, 0, 0);
    test.equal("steps", guest.steps, 2);
    test.is_true("consistent", apic.consistent());
    test.equal("register written", apic.ended_by_write(), 0);
    test.equal("ended by the word", apic.ended_by_word(), 1);
}

KVMPV_TEST(pv_eoi, written_without_slot) {
    Test test(handle);
    ScriptedApic apic;
    ScriptedGuest guest{apic, kNothing};
    apic.write_slot(false);
    apic.raise(3);
    test.equal("word", apic.word(), 0);
    end_of_interrupt(guest);
    expect_ends(test, guest, 0, 1, 0);
    test.equal("steps", guest.steps, kSteps);
    test.is_true("consistent", apic.consistent());
    test.equal("register written", apic.ended_by_write(), 1);
}

KVMPV_TEST(pv_eoi, idle_is_told_apart) {
    Test test(handle);
    ScriptedApic apic;
    ScriptedGuest guest{apic, kNothing};
    guest.idle = true;
    apic.raise(3);
    end_of_interrupt(guest);
    apic.write_slot(false);
    apic.raise(3);
    apic.interrupts(true);
    end_of_interrupt(guest);
    expect_ends(test, guest, 1, 0, 1);
    test.is_true("consistent", apic.consistent());
}

KVMPV_TEST(pv_eoi, written_while_another_is_pending) {
    Test test(handle);
    ScriptedApic apic;
    ScriptedGuest guest{apic, kNothing};
    apic.raise(3);
    apic.raise(7);
    test.equal("word", apic.word(), 0);
    end_of_interrupt(guest);
    apic.interrupts(true);
    end_of_interrupt(guest);
    expect_ends(test, guest, 1, 1, 0);
    test.is_true("consistent", apic.consistent());
}

// The host sets no bit for the inner interrupt. Ending that one is an exit, after which the host
// sets the bit for the outer one.
KVMPV_TEST(pv_eoi, nested) {
    Test test(handle);
    ScriptedApic apic;
    ScriptedGuest guest{apic, kNothing};
    apic.raise(3);
    apic.interrupts(true);
    apic.raise(7);
    test.equal("handlers", apic.depth(), 2);
    test.equal("word", apic.word(), 0);
    end_of_interrupt(guest);
    end_of_interrupt(guest);
    expect_ends(test, guest, 1, 1, 0);
    test.is_true("consistent", apic.consistent());
    test.equal("handlers left", apic.depth(), 0);
}

// An exit at any point, alone or with another interrupt. If the bit was found set, the interrupt
// stays ended; if it was withdrawn, the register is written.
KVMPV_TEST(pv_eoi, exit_between_any_steps) {
    Test test(handle);
    for (u32 at = 0; at < kSteps; ++at) {
        for (const bool another : {false, true}) {
            ScriptedApic apic;
            const auto script = [&](u32 step) {
                if (step != at) return;
                if (another)
                    apic.raise(7);
                else
                    apic.visit();
            };
            ScriptedGuest guest{apic, script};
            apic.raise(3);
            end_of_interrupt(guest);
            const bool withdrawn = at == 0 && another;
            test.equal("elided", guest.counted(EoiCounter::kElided), withdrawn ? 0 : 1);
            test.equal("ends", guest.counted(EoiCounter::kElided) + guest.written(), 1);
            test.is_true("consistent", apic.consistent());
        }
    }
}

// ---- Taking the word away -----------------------------------------------------------------------

KVMPV_TEST(pv_eoi, given_up_with_the_bit_set) {
    Test test(handle);
    ScriptedApic apic;
    ScriptedGuest guest{apic, kNothing};
    apic.raise(3);
    test.equal("word", apic.word(), kPvEoiPending);
    const Result<bool> left_set = give_up_word(guest);
    test.is_true("given up", left_set.ok() && !left_set.value());
    test.equal("word", apic.word(), 0);
    test.equal("register written", apic.ended_by_write(), 0);
    test.is_true("still in service", apic.consistent() && apic.depth() == 1);
    end_of_interrupt(guest);
    expect_ends(test, guest, 0, 1, 0);
    test.is_true("consistent", apic.consistent());
}

KVMPV_TEST(pv_eoi, given_up_behind_an_elided_end) {
    Test test(handle);
    ScriptedApic apic;
    ScriptedGuest guest{apic, kNothing};
    apic.raise(3);
    end_of_interrupt(guest);
    const Result<bool> left_set = give_up_word(guest);
    test.is_true("given up", left_set.ok() && !left_set.value());
    test.is_true("consistent", apic.consistent());
    test.equal("ended by the word", apic.ended_by_word(), 1);
    test.equal("register written", apic.ended_by_write(), 0);
}

// The handler that the bit was meant for ends its interrupt, and nobody else does.
KVMPV_TEST(pv_eoi, given_up_by_a_host_that_leaves_it_set) {
    Test test(handle);
    ScriptedApic apic;
    struct Guest : ScriptedGuest<decltype(kNothing)> {
        bool test_and_clear() { return apic.test_and_clear(); }  // no handler runs
    } guest{{apic, kNothing}};
    apic.leave_word_set();
    apic.raise(3);
    const Result<bool> left_set = give_up_word(guest);
    test.is_true("left set", left_set.ok() && left_set.value());
    test.equal("word", apic.word(), 0);
    test.equal("register written", apic.ended_by_write(), 0);
    ScriptedGuest handler{apic, kNothing};
    end_of_interrupt(handler);
    expect_ends(test, handler, 0, 1, 0);
    test.is_true("consistent", apic.consistent());
}

KVMPV_TEST(pv_eoi, slot_that_cannot_be_given_up) {
    Test test(handle);
    ScriptedApic apic;
    ScriptedGuest guest{apic, kNothing};
    guest.slot_error = -kEio;
    apic.raise(3);
    test.equal("error", give_up_word(guest).error().negative_errno(), -kEio);
    test.equal("word", apic.word(), kPvEoiPending);
    end_of_interrupt(guest);
    expect_ends(test, guest, 1, 0, 0);
    test.is_true("consistent", apic.consistent());
}

// Why give_up_word() writes no EOI: that EOI would end another interrupt.
KVMPV_TEST(pv_eoi, an_eoi_there_would_end_another) {
    Test test(handle);
    ScriptedApic apic;
    ScriptedGuest guest{apic, kNothing};
    apic.raise(3);
    test.is_true("given up", give_up_word(guest).ok());
    apic.write_eoi_register();
    test.is_false("in service as the handlers say", apic.consistent());
}

// Interrupts, exits, nesting, and slots taken and given up, in any order. Every interrupt is ended
// once, in the way that was counted.
KVMPV_TEST(pv_eoi, at_random) {
    Test test(handle);
    ScriptedApic apic;
    Xorshift random(20'261'121);
    ScriptedGuest guest{apic, [&](u32) {
                            const u64 dice = random.next() % 16;
                            if (dice == 0) apic.visit();
                            if (dice == 1) apic.raise(static_cast<u32>(random.next() % 32));
                        }};
    for (u32 round = 0; round < 300'000; ++round) {
        switch (random.next() % 8) {
            case 0: apic.visit(); break;
            case 1: apic.interrupts(random.next() % 2); break;
            case 2:
                if (random.next() % 16 == 0) {
                    const u32 depth = apic.depth();
                    const Result<bool> left_set = give_up_word(guest);
                    test.is_true("given up", left_set.ok() && !left_set.value());
                    test.is_true("handlers", apic.depth() >= depth);
                }
                break;
            case 3:
                if (random.next() % 4 == 0) apic.write_slot(true);
                break;
            case 4:
                if (random.next() % 2) apic.raise(static_cast<u32>(random.next() % 32));
                break;
            default:
                if (apic.depth()) end_of_interrupt(guest);
                apic.interrupts(true);
        }
        // consistent() is an exit, so it does not follow every round.
        if (round % 16 == 0 && !test.is_true("consistent", apic.consistent())) return;
    }
    for (u32 left = 100; apic.depth() && left; --left) {
        end_of_interrupt(guest);
        apic.interrupts(true);
    }
    apic.visit();
    test.at_least("interrupts", apic.taken(), 10'000);
    test.at_least("elided", guest.counted(EoiCounter::kElided), 1'000);
    test.at_least("written", guest.written(), 1'000);
    test.equal("ends", guest.counted(EoiCounter::kElided) + guest.written(), apic.taken());
    test.equal("ended by the word", apic.ended_by_word(), guest.counted(EoiCounter::kElided));
    test.equal("ended by a write", apic.ended_by_write(), guest.written());
}

// ---- Why few are elided -------------------------------------------------------------------------

KVMPV_TEST(pv_eoi, why_few) {
    Test test(handle);
    struct Row {
        const char* name;
        EoiCounts counts;  // elided, written busy, written idle, ioapic
        WhyFew why;
        u64 percent;
    };
    static constexpr Row kRows[] = {
        {"nothing yet", {0, 0, 0, 0}, WhyFew::kTooFewToTell, 0},
        {"99 interrupts", {0, 99, 0, 0}, WhyFew::kTooFewToTell, 0},
        {"nine in ten", {90, 10, 0, 0}, WhyFew::kNotFew, 90},
        {"just below", {899, 101, 0, 0}, WhyFew::kBusy, 89},
        {"none of 100", {0, 100, 0, 0}, WhyFew::kNeverArmed, 0},
        {"none of 100, 1 IOAPIC", {0, 100, 0, 1}, WhyFew::kBusy, 0},
        {"none of 101, 1 IOAPIC", {0, 101, 0, 1}, WhyFew::kNeverArmed, 0},
        {"none, all idle", {0, 0, 500, 0}, WhyFew::kIdle, 0},
        {"none, mostly idle", {0, 99, 500, 0}, WhyFew::kIdle, 0},
        {"one of many", {1, 1000, 0, 0}, WhyFew::kBusy, 0},
        {"half idle", {100, 50, 50, 0}, WhyFew::kIdle, 50},
        {"less than half idle", {100, 51, 49, 0}, WhyFew::kBusy, 50},
        {"half IOAPIC", {100, 50, 50, 50}, WhyFew::kIoapic, 50},
        {"all IOAPIC", {0, 1000, 0, 1000}, WhyFew::kIoapic, 0},
    };
    for (const Row& row : kRows) {
        const bool idle = row.why == WhyFew::kIdle;
        test.equal(row.name, why_few(row.counts, false), row.why);
        test.equal(row.name, why_few(row.counts, true), idle ? WhyFew::kWithdrawnInIdle : row.why);
        test.equal(row.name, row.counts.percent_elided(), row.percent);
    }
    test.equal("a line's interrupts", grown_by(7, 5), 2);
    test.equal("none", grown_by(5, 5), 0);
    test.equal("a line has gone", grown_by(4, 5), 0);
}

KVMPV_SUITE(pv_eoi);
