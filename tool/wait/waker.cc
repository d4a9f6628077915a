// SPDX-License-Identifier: GPL-2.0-only
#include "wait/waker.hh"

#include <poll.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>

namespace kvmpv {
namespace {

constexpr std::int64_t kS = 1'000'000'000;

}  // namespace

Waker::Waker(std::initializer_list<int> signals) {
    sigset_t awaited;
    ::sigemptyset(&awaited);
    for (const int each : signals) ::sigaddset(&awaited, each);
    ::sigprocmask(SIG_BLOCK, &awaited, &before_);
    file_ = ::signalfd(-1, &awaited, SFD_CLOEXEC | SFD_NONBLOCK);
    if (file_ < 0) throw std::system_error(errno, std::generic_category(), "signalfd");
}

Waker::~Waker() {
    ::close(file_);
    ::sigprocmask(SIG_SETMASK, &before_, nullptr);
}

Waker::Why Waker::wait(std::int64_t until_ns, std::optional<int> input) {
    for (;;) {
        const std::int64_t left = std::max<std::int64_t>(until_ns - monotonic_ns(), 0);
        const timespec timeout{left / kS, left % kS};
        std::array<pollfd, 2> files{{{file_, POLLIN, 0}, {input.value_or(-1), POLLIN, 0}}};
        if (::ppoll(files.data(), files.size(), &timeout, nullptr) < 0 && errno != EINTR)
            throw std::system_error(errno, std::generic_category(), "poll");
        signalfd_siginfo info{};
        if (::read(file_, &info, sizeof info) == sizeof info) {
            signal_ = static_cast<int>(info.ssi_signo);
            return Why::kSignal;
        }
        if (files[1].revents != 0) return Why::kInput;
        if (monotonic_ns() >= until_ns) return Why::kMoment;
    }
}

std::int64_t monotonic_ns() {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * kS + now.tv_nsec;
}

std::int64_t next_moment(std::int64_t last_ns, std::int64_t interval_ns, std::int64_t now_ns) {
    if (now_ns < last_ns + interval_ns) return last_ns + interval_ns;
    return now_ns + interval_ns - (now_ns - last_ns) % interval_ns;
}

}  // namespace kvmpv
