// SPDX-License-Identifier: GPL-2.0-only
//
// Replaces a function that the kernel calls, and restores it later, although other modules may
// replace the same function. Each hook remembers the function that it found and may still call it.
// So only the hook on top can be removed: removing one below would also cut off those above, and
// they would go on calling code that is gone.
//
// Another module may replace the function between our read of the place and our write to it. The
// kernel has no operation that does both at once. Callers serialise hook() and unhook().

#pragma once

#include "boundary.h"
#include "kvmpv/result.hh"
#include "kvmpv/text.hh"

namespace kvmpv {

// The place that is hooked: where the kernel keeps the address of the function.
template <class T>
concept HookPlace = requires(const void* target) {
    // What the kernel calls now, or null if the place cannot be found.
    { T::target() } -> std::same_as<const void*>;
    // 0, or a negative errno, and then nothing has changed.
    { T::set(target) } -> std::same_as<int>;
};

// The kernel, live or scripted.
template <class T>
concept HookKernel = requires(const char* what, const void* function) {
    // Waits for in-flight calls: returns when every call that was under way has returned.
    T::wait_for_callers();
    // Logs that `function` sits on top of ours. `what` starts the line.
    T::report_above(what, function);
    // Called between two looks at the place.
    T::pause();
};

// Something that can be switched on and off.
template <class T>
concept HookSwitch = requires {
    // 0, or a negative errno, and then it is off.
    { T::start() } -> std::same_as<int>;
    // Called only after start() has returned 0.
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
            << " sits on top of kvmpv and has to be unloaded first; waiting for that";
        linux_log_warn(line.text());
    }

    // There is no notification when the place changes, so it is polled.
    static void pause() { linux_msleep(20); }
};

template <HookPlace Place, HookKernel Kernel = LiveHookKernel>
class Hook {
public:
    // From now on the kernel calls `ours`. -ENOENT if the place cannot be found, or the error of
    // Place::set(); then nothing has changed. May sleep.
    Result<void> hook(const void* ours) {
        const void* found = Place::target();
        if (!found) return Error(-kEnoent);
        // Before Place::set(): the first call of `ours` may come at once, and may ask for below().
        below_ = found;
        const Result<void> done = Result<void>::from_errno(Place::set(ours));
        if (done.ok()) ours_ = ours;
        return done;
    }

    // Restores the function that hook() found. After success no call of ours is in flight and none
    // will come. On error nothing has changed: -EBUSY while another hook is on top, or the error of
    // Place::set(). May sleep.
    Result<void> unhook() {
        if (!on_top()) return Error(-kEbusy);
        if (const Result<void> done = Result<void>::from_errno(Place::set(below_)); !done.ok())
            return done;
        Kernel::wait_for_callers();
        ours_ = nullptr;
        return {};
    }

    // For callers that cannot fail, such as module exit: sleeps until our hook is on top. Logs a
    // line for each function that it finds there instead; `what` starts the line.
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

    // The function that hook() found, also after unhook().
    const void* below() const { return below_; }

private:
    const void* ours_ = nullptr;
    const void* below_ = nullptr;
};

// A Hook whose place the kernel calls only while something is switched on. The switch is on only
// while our function is hooked: whatever else the kernel would call then knows less than ours.
template <class Base, HookSwitch Switch>
class SwitchedHook : public Base {
public:
    // On error the switch is off and our function is unhooked, unless another hook has come on top
    // of it in the meantime: then ours stays.
    Result<void> hook_and_start(const void* ours) {
        if (const Result<void> hooked = Base::hook(ours); !hooked.ok()) return hooked;
        const Result<void> started = start();
        if (!started.ok()) static_cast<void>(Base::unhook());
        return started;
    }

    // On error everything is as before, if the switch could be turned on again.
    Result<void> stop_and_unhook() {
        // Checked first, because stopping cannot be undone unnoticed.
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
