// SPDX-License-Identifier: GPL-2.0-only
//
// MSR_KVM_POLL_CONTROL: whether the host may poll for a while before it takes a halted vCPU off its
// CPU; and what is written to the file `halt_poll/control`.

#pragma once

#include "kvmpv/std.hh"

namespace kvmpv {

// The only bit. All others are reserved, and a write of them faults.
inline constexpr u64 kPollControlAllowed = 1;

struct PollControlWrite {
    std::optional<u32> cpu;  // nothing: all CPUs
    bool allowed;
};

// Parses `0` and `1`, or the same after the number of a CPU and one blank. The number is decimal
// and without a sign. Nothing else is accepted.
constexpr std::optional<PollControlWrite> parse_poll_control(const char* text) {
    PollControlWrite parsed{};
    u32 digits = 0;
    u64 number = 0;
    // Nine digits fit, and are more than any machine has CPUs.
    while (text[digits] >= '0' && text[digits] <= '9' && digits < 9)
        number = number * 10 + static_cast<u64>(text[digits++] - '0');
    if (text[digits] == ' ' && digits) {
        parsed.cpu = static_cast<u32>(number);
        text += digits + 1;
    }
    if ((text[0] != '0' && text[0] != '1') || text[1] != '\0') return std::nullopt;
    parsed.allowed = text[0] == '1';
    return parsed;
}

}  // namespace kvmpv
