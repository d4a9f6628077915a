// SPDX-License-Identifier: GPL-2.0-only
//
// Taking the place of a function that the kernel calls, and leaving it again, where others may do
// the same. Whoever comes remembers whom it found and may go on calling it, so a hook can be left
// by the one on top alone: an unhook from below would cut off those above, and they would go on
// calling code that is gone.
//
// Between the look at the place and the change of it another module may do the same; the kernel
// offers nothing that would do both at once. hook() and unhook() are called by one thread at a
// time.

#pragma once

#include "kvmpv/boundary.h"
#include "kvmpv/result.hh"
#include "kvmpv/text.hh"

namespace kvmpv {

// The place itself.
template <class T>
concept HookPlace = requires(const void* target) {
    // What the kernel calls now; null if the place cannot be found.
    { T::target() } -> std::same_as<const void*>;
    // 0, or a negative errno and no change.
    { T::set(target) } -> std::same_as<int>;
};

// The kernel, the live one or a scripted one.
template <class T>
concept HookKernel = requires(const char* what, const void* function) {
    // Returns when every call under way has returned.
    T::wait_for_callers();
    // Says that `function` sits on top of ours; `what` begins the line.
    T::report_above(what, function);
    // Between two looks at the place.
    T::pause();
};

// What can be switched on and off.
template <class T>
concept HookSwitch = requires {
    // 0, or a negative errno and it is off.
    { T::start() } -> std::same_as<int>;
    // Only what has been started.
    T::stop();
};

template <u32 kWhich>
struct StaticCallPlace {
    static const void* target() { return linux_static_call_target(kWhich); }
    static int set(const void* target) {
        linux_static_call_set(kWhich, target);
        return 0;
    }
};

struct LiveHookKernel {
    static void wait_for_callers() { linux_wait_for_callers(); }

    static void report_above(const char* what, const void* function) {
        char name[80];
        linux_symbol_name(function, name, sizeof(name));
        LineBuffer<220> line;
        Writer<LineSink<220>> out(LineSink<220>{&line});
        out << what << ": " << name
            << " sits on top of kvmpv, which can go only after it; waiting for that";
        linux_log_warn(line.text());
    }

    // Nothing tells us when the place changes.
    static void pause() { linux_msleep(20); }
};

template <HookPlace Place, HookKernel Kernel = LiveHookKernel>
class Hook {
public:
    // The kernel calls `ours` from now on. -ENOENT if the place cannot be found.
    Result<void> hook(const void* ours) {
        const void* found = Place::target();
        if (!found) return Error(-kEnoent);
        // Before the first call: what is called may ask for it.
        below_ = found;
        const Result<void> done = Result<void>::from_errno(Place::set(ours));
        if (done.ok()) ours_ = ours;
        return done;
    }

    // Puts back what was there before. When this returns 0 nobody calls ours or will. -EBUSY, and
    // nothing is changed, while somebody else sits on top.
    Result<void> unhook() {
        if (!on_top()) return Error(-kEbusy);
        if (const Result<void> done = Result<void>::from_errno(Place::set(below_)); !done.ok())
            return done;
        Kernel::wait_for_callers();
        ours_ = nullptr;
        return {};
    }

    // For those who cannot refuse to go, like a module's exit: returns when we are on top. `what`
    // begins the lines in the log, one for each that is found above.
    void wait_until_on_top(const char* what) const {
        const void* reported = nullptr;
        for (const void* above = Place::target(); above != ours_; above = Place::target()) {
            if (above != reported) Kernel::report_above(what, above);
            reported = above;
            Kernel::pause();
        }
    }

    bool hooked() const { return ours_; }
    bool on_top() const { return ours_ && Place::target() == ours_; }

    // Whom we found; stays after unhook().
    const void* below() const { return below_; }

private:
    const void* ours_ = nullptr;
    const void* below_ = nullptr;
};

// A Hook whose place is looked at only while something is switched on. It is on only while ours is
// called: what else the kernel would ask then knows less than ours.
template <class Base, HookSwitch Switch>
class SwitchedHook : public Base {
public:
    // On error nothing is on; but ours stays where somebody has come on top of it meanwhile.
    Result<void> hook_and_start(const void* ours) {
        if (const Result<void> hooked = Base::hook(ours); !hooked.ok()) return hooked;
        const Result<void> started = start();
        if (!started.ok()) static_cast<void>(Base::unhook());
        return started;
    }

    // On error it is as before, if it can be switched on again.
    Result<void> stop_and_unhook() {
        // First, because stopping cannot be taken back unseen.
        if (!Base::on_top()) return Error(-kEbusy);
        stop();
        const Result<void> unhooked = Base::unhook();
        if (!unhooked.ok()) static_cast<void>(start());
        return unhooked;
    }

private:
    Result<void> start() {
        const Result<void> started = Result<void>::from_errno(Switch::start());
        is_on_ = started.ok();
        return started;
    }

    void stop() {
        if (is_on_) Switch::stop();
        is_on_ = false;
    }

    bool is_on_ = false;
};

}  // namespace kvmpv
