// SPDX-License-Identifier: GPL-2.0-only
#include "say/events.hh"

#include <time.h>

#include <array>
#include <utility>

#include <fmt/format.h>

#include "say/numbers.hh"

namespace kvmpv {
namespace {

// The events of docs/debugfs.md.
constexpr std::pair<const char*, const char*> kMeanings[] = {
    {"rate_changed", "the host has changed the rate of the clock"},
    {"jump_forward", "the clock jumped ahead"},
    {"jump_backward", "the host set the clock back"},
    {"pause", "the clock stood still while the guest was stopped"},
    {"stable_lost", "the host no longer promises that all CPUs show the same time"},
    {"stable_gained", "the host promises again that all CPUs show the same time"},
    {"record_torn", "the host left a clock record half written"},
    {"record_refused", "after sleep the host took no clock record; the TSC goes on alone"},
    {"bad_shift", "the host wrote a clock record that makes no sense"},
    {"tsc_behind", "the host wrote a clock record from the future"},
    {"tsc_backward", "a CPU's TSC went back"},
    {"held_back", "a CPU's clock was behind another's, and kvmpv hid that"},
    {"stable_revoked", "CPUs disagree although the host promised that they do not"},
    {"guard_forced", "clock/force_unstable was switched on"},
    {"guard_released", "clock/force_unstable was switched off"},
    {"steal_backward", "the host's count of stolen time went back"},
    {"steal_forward", "the host's count of stolen time grew by more than the time that passed"},
};

}  // namespace

std::string words_for(const Event& event) {
    std::string text = event.name;
    if (event.value)
        text += " of " + (event.unit == "ns" ? duration(*event.value)
                                             : fmt::format("{} {}", *event.value, event.unit));
    if (event.cpu) text += fmt::format(" on CPU {}", *event.cpu);
    return text;
}

std::string meaning_of(const std::string& event) {
    for (const auto& [name, meaning] : kMeanings)
        if (event == name) return meaning;
    return {};
}

std::string date_and_time(std::int64_t realtime_ns) {
    constexpr std::int64_t kS = 1'000'000'000;
    constexpr std::int64_t kMs = 1'000'000;
    // Before 1970 there is no kvmpv. A recording may say anything.
    if (realtime_ns < 0) return "-";
    const time_t seconds = realtime_ns / kS;
    tm parts{};
    std::array<char, 32> text{};
    if (::localtime_r(&seconds, &parts) == nullptr) return "-";
    const std::size_t length = std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S", &parts);
    return fmt::format("{}.{:03}", std::string_view(text.data(), length), realtime_ns % kS / kMs);
}

}  // namespace kvmpv
