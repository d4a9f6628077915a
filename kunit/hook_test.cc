// SPDX-License-Identifier: GPL-2.0-only
//
// hook.hh: who may unhook, and when, at a scripted place.

#include "../src/slot/hook.hh"
#include "test.hh"

using namespace kvmpv;
using namespace kvmpv::testing;

namespace {

// The functions are never called, only compared.
constexpr u8 kFunctions[4]{};
constexpr const void* kNative = &kFunctions[0];
constexpr const void* kOurs = &kFunctions[1];
constexpr const void* kOther = &kFunctions[2];
constexpr const void* kAnother = &kFunctions[3];

struct Place {
    const void* target;
    int set_error;
    u32 sets;
    u32 waits;         // calls of wait_for_callers()
    u32 sets_at_wait;  // sets by the time of the last wait
    u32 reports;
    const void* reported;
    u32 pauses;
    const void* after_pause[4];  // what others have put there after each pause
};
constinit Place place{};

struct ScriptedSlot {
    static const void* target() { return place.target; }
    static int set(const void* target) {
        if (place.set_error) return place.set_error;
        ++place.sets;
        place.target = target;
        return 0;
    }
};

struct ScriptedHookKernel {
    static void wait_for_callers() {
        ++place.waits;
        place.sets_at_wait = place.sets;
    }
    static void report_above(const char*, const void* function) {
        ++place.reports;
        place.reported = function;
    }
    // After four pauses ours is on top, so that every wait ends.
    static void pause() {
        place.target = place.pauses < 4 ? place.after_pause[place.pauses] : kOurs;
        ++place.pauses;
    }
};

using ScriptedHook = Hook<ScriptedSlot, ScriptedHookKernel>;

// A counter, like the kernel's static keys.
struct Counted {
    int count;
    int start_error;
    const void* comes_at_start;  // who takes the place during start()
    const void* target_at_stop;
};
constinit Counted counted{};

struct ScriptedSwitch {
    static int start() {
        if (counted.comes_at_start) place.target = counted.comes_at_start;
        if (counted.start_error) return counted.start_error;
        ++counted.count;
        return 0;
    }
    static void stop() {
        --counted.count;
        counted.target_at_stop = place.target;
    }
};

using ScriptedSwitchedHook = SwitchedHook<ScriptedHook, ScriptedSwitch>;

void begin() {
    place = {};
    place.target = kNative;
    counted = {};
}

}  // namespace

KVMPV_TEST(hook, and_unhook) {
    Test test(handle);
    begin();
    ScriptedHook hook;
    test.is_false("hooked before", hook.hooked());
    test.is_true("hook", hook.hook(kOurs).ok());
    test.is_true("ours", place.target == kOurs);
    test.is_true("below", hook.below() == kNative);
    test.is_true("hooked", hook.hooked() && hook.on_top());
    test.is_true("unhook", hook.unhook().ok());
    test.is_true("native again", place.target == kNative);
    test.is_false("hooked after", hook.hooked() || hook.on_top());
    test.equal("changes", place.sets, 2);
    test.equal("waits", place.waits, 1);
    test.equal("waits after the last change", place.sets_at_wait, 2);
}

KVMPV_TEST(hook, place_unknown) {
    Test test(handle);
    begin();
    place.target = nullptr;
    ScriptedHook hook;
    test.equal("hook", hook.hook(kOurs).zero_or_negative_errno(), -kEnoent);
    test.equal("changes", place.sets, 0);
    test.is_false("hooked", hook.hooked());
}

KVMPV_TEST(hook, set_fails) {
    Test test(handle);
    begin();
    ScriptedHook hook;
    place.set_error = -kEnomem;
    test.equal("hook", hook.hook(kOurs).zero_or_negative_errno(), -kEnomem);
    test.is_false("hooked", hook.hooked());
    place.set_error = 0;
    test.is_true("hook again", hook.hook(kOurs).ok());
    place.set_error = -kEnomem;
    test.equal("unhook", hook.unhook().zero_or_negative_errno(), -kEnomem);
    test.is_true("still hooked", hook.hooked() && place.target == kOurs);
    test.equal("waits", place.waits, 0);
}

KVMPV_TEST(hook, never_hooked) {
    Test test(handle);
    begin();
    ScriptedHook hook;
    test.equal("unhook", hook.unhook().zero_or_negative_errno(), -kEbusy);
    test.equal("changes", place.sets, 0);
}

KVMPV_TEST(hook, refuses_below_another) {
    Test test(handle);
    begin();
    ScriptedHook hook;
    test.is_true("hook", hook.hook(kOurs).ok());
    place.target = kOther;
    test.is_true("hooked", hook.hooked());
    test.is_false("on top", hook.on_top());
    test.equal("unhook", hook.unhook().zero_or_negative_errno(), -kEbusy);
    test.is_true("other is still there", place.target == kOther);
    test.equal("waits", place.waits, 0);
    // Nor if somebody else has put back what was below: nobody knows who is above.
    place.target = kNative;
    test.equal("unhook under native", hook.unhook().zero_or_negative_errno(), -kEbusy);
    place.target = kOurs;
    test.is_true("unhook on top", hook.unhook().ok());
    test.is_true("native again", place.target == kNative);
}

KVMPV_TEST(hook, above_another) {
    Test test(handle);
    begin();
    place.target = kOther;
    ScriptedHook hook;
    test.is_true("hook", hook.hook(kOurs).ok());
    test.is_true("below", hook.below() == kOther);
    test.is_true("unhook", hook.unhook().ok());
    test.is_true("other again", place.target == kOther);
}

// Whoever is found on top is reported once. Nothing is changed meanwhile.
KVMPV_TEST(hook, waits_until_on_top) {
    Test test(handle);
    begin();
    ScriptedHook hook;
    test.is_true("hook", hook.hook(kOurs).ok());
    place.target = kOther;
    place.after_pause[0] = kOther;
    place.after_pause[1] = kAnother;
    place.after_pause[2] = kAnother;
    place.after_pause[3] = kOurs;
    hook.wait_until_on_top("test");
    test.equal("pauses", place.pauses, 4);
    test.equal("reports", place.reports, 2);
    test.is_true("reported last", place.reported == kAnother);
    test.equal("changes", place.sets, 1);
    hook.wait_until_on_top("test");
    test.equal("no more pauses", place.pauses, 4);
    test.is_true("unhook", hook.unhook().ok());
}

KVMPV_TEST(hook, again_and_again) {
    Test test(handle);
    begin();
    ScriptedHook hook;
    for (u32 round = 1; round <= 10; ++round) {
        test.is_true("hook", hook.hook(kOurs).ok());
        test.is_true("unhook", hook.unhook().ok());
        test.equal("changes", place.sets, 2 * round);
        test.equal("waits", place.waits, round);
    }
}

// ---- With a switch ------------------------------------------------------------------------------

KVMPV_TEST(hook, switched) {
    Test test(handle);
    begin();
    ScriptedSwitchedHook hook;
    for (u32 round = 0; round < 3; ++round) {
        test.is_true("hook", hook.hook_and_start(kOurs).ok());
        test.is_true("ours", place.target == kOurs);
        test.equal("on", counted.count, 1);
        test.is_true("unhook", hook.stop_and_unhook().ok());
        test.is_true("native again", place.target == kNative);
        test.is_true("off while ours was asked", counted.target_at_stop == kOurs);
        test.equal("off", counted.count, 0);
    }
}

KVMPV_TEST(hook, switched_nowhere) {
    Test test(handle);
    begin();
    place.target = nullptr;
    ScriptedSwitchedHook hook;
    test.equal("hook", hook.hook_and_start(kOurs).zero_or_negative_errno(), -kEnoent);
    test.equal("off", counted.count, 0);
    test.equal("unhook", hook.stop_and_unhook().zero_or_negative_errno(), -kEbusy);
    test.equal("still off", counted.count, 0);
}

KVMPV_TEST(hook, start_fails) {
    Test test(handle);
    begin();
    counted.start_error = -kEnoent;
    ScriptedSwitchedHook hook;
    test.equal("hook", hook.hook_and_start(kOurs).zero_or_negative_errno(), -kEnoent);
    test.is_true("native again", place.target == kNative);
    test.is_false("hooked", hook.hooked());
    test.equal("off", counted.count, 0);
}

// A switch that was never started is not stopped, whatever happens to the place.
KVMPV_TEST(hook, start_fails_below_another) {
    Test test(handle);
    begin();
    counted.start_error = -kEnoent;
    counted.comes_at_start = kOther;
    ScriptedSwitchedHook hook;
    test.equal("hook", hook.hook_and_start(kOurs).zero_or_negative_errno(), -kEnoent);
    test.is_true("still there", hook.hooked());
    test.equal("unhook", hook.stop_and_unhook().zero_or_negative_errno(), -kEbusy);
    place.target = kOurs;
    test.is_true("unhook on top", hook.stop_and_unhook().ok());
    test.is_true("native again", place.target == kNative);
    test.equal("never on, never off", counted.count, 0);
}

KVMPV_TEST(hook, switched_unhook_fails) {
    Test test(handle);
    begin();
    ScriptedSwitchedHook hook;
    test.is_true("hook", hook.hook_and_start(kOurs).ok());
    place.target = kOther;
    test.equal("below another", hook.stop_and_unhook().zero_or_negative_errno(), -kEbusy);
    test.is_true("was never off", !counted.target_at_stop);
    place.target = kOurs;
    place.set_error = -kEnomem;
    test.equal("unhook", hook.stop_and_unhook().zero_or_negative_errno(), -kEnomem);
    test.equal("on again", counted.count, 1);
    // If it cannot be switched on again, it is not switched off twice.
    counted.start_error = -kEnoent;
    test.equal("unhook", hook.stop_and_unhook().zero_or_negative_errno(), -kEnomem);
    test.equal("off", counted.count, 0);
    place.set_error = 0;
    test.is_true("unhook at last", hook.stop_and_unhook().ok());
    test.equal("still off", counted.count, 0);
}

KVMPV_SUITE(hook);
