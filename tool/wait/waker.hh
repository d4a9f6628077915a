// SPDX-License-Identifier: GPL-2.0-only
// Waits for whichever comes first: a moment, a signal, a key.
#pragma once

#include <signal.h>

#include <cstdint>
#include <initializer_list>
#include <optional>

namespace kvmpv {

class Waker {
public:
    enum class Why { kMoment, kSignal, kInput };

    // While it exists these signals have no effect, and `wait` tells of them.
    explicit Waker(std::initializer_list<int> signals);
    ~Waker();
    Waker(const Waker&) = delete;
    Waker& operator=(const Waker&) = delete;

    // Until CLOCK_MONOTONIC shows `until_ns`, there is a signal, or `input` can be read.
    Why wait(std::int64_t until_ns, std::optional<int> input = {});
    int signal() const { return signal_; }  // the last one
    // What a program that is started here should have.
    const sigset_t& mask_before() const { return before_; }

private:
    sigset_t before_{};
    int file_;
    int signal_ = 0;
};

std::int64_t monotonic_ns();

// The next moment of a series that is `interval_ns` apart. Those that have passed are left out, so
// that a guest that was stopped does not catch up.
std::int64_t next_moment(std::int64_t last_ns, std::int64_t interval_ns, std::int64_t now_ns);

}  // namespace kvmpv
