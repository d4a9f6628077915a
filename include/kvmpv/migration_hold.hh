// SPDX-License-Identifier: GPL-2.0-only
//
// MSR_KVM_MIGRATION_CONTROL: whether the host may move the guest to another host; what is written
// to the file `migration/control`; and when the guest's wish not to be moved, a hold, ends.

#pragma once

#include "kvmpv/std.hh"

namespace kvmpv {

// The only bit.
inline constexpr u64 kMigrationAllowed = 1;

// Whoever forgets that he holds the guest does so for ten minutes at most.
inline constexpr u32 kLongestHoldS = 600;

struct MigrationWrite {
    std::optional<u32> hold_s;  // nothing: the guest may be moved
};

// The text after `prefix`, or null if it begins otherwise.
constexpr const char* text_after(const char* prefix, const char* text) {
    while (*prefix)
        if (*prefix++ != *text++) return nullptr;
    return text;
}

// Parses `allow`, and `hold` with a number of seconds from 1 to kLongestHoldS after one blank. The
// number is decimal, of three digits at most, without a sign. Nothing else is accepted.
constexpr std::optional<MigrationWrite> parse_migration_write(const char* text) {
    if (const char* const rest = text_after("allow", text); rest && !*rest) return MigrationWrite{};
    const char* const number = text_after("hold ", text);
    if (!number) return std::nullopt;
    u32 seconds = 0;
    u32 digits = 0;
    while (number[digits] >= '0' && number[digits] <= '9' && digits < 3)
        seconds = seconds * 10 + static_cast<u32>(number[digits++] - '0');
    if (number[digits] || seconds < 1 || seconds > kLongestHoldS) return std::nullopt;
    return MigrationWrite{seconds};
}

// A hold belongs to the open file to which it was written, which is never null. It lasts until that
// file is closed, or until its time is up, whichever comes first. Times are of CLOCK_MONOTONIC, in
// ns; one may be read on another CPU than the one before, and be less.
class MigrationHold {
public:
    constexpr bool is_taken() const { return file_ != nullptr; }
    constexpr bool is_of(const void* file) const { return is_taken() && file_ == file; }

    // `file` may take the hold, anew if it has it already, or end it by `allow`. What one program
    // has asked for, another one does not undo.
    constexpr bool is_free_for(const void* file, u64 now_ns) const {
        return is_of(file) || !left_ns(now_ns);
    }

    constexpr void take(const void* file, u32 seconds, u64 now_ns) {
        file_ = file;
        since_ns_ = now_ns;
        length_ns_ = u64{seconds} * kNsPerS;
    }

    constexpr void end() { file_ = nullptr; }

    constexpr u64 until_ns() const { return since_ns_ + length_ns_; }

    // Never more than was asked for, even if time has gone back since.
    constexpr u64 left_ns(u64 now_ns) const {
        if (!is_taken()) return 0;
        if (now_ns < since_ns_) return length_ns_;
        const u64 passed_ns = now_ns - since_ns_;
        return passed_ns < length_ns_ ? length_ns_ - passed_ns : 0;
    }

    // Asked when a timer has run that was set to left_ns(), so at least a part of a second after
    // the beginning. If time is before the beginning, nobody knows how much is left, and a hold
    // must not last for ever.
    constexpr bool is_over_by_timer(u64 now_ns) const {
        return now_ns < since_ns_ || !left_ns(now_ns);
    }

private:
    static constexpr u64 kNsPerS = 1'000'000'000;

    const void* file_ = nullptr;
    u64 since_ns_ = 0;
    u64 length_ns_ = 0;
};

}  // namespace kvmpv
