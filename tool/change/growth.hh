// SPDX-License-Identifier: GPL-2.0-only
// How a counter has moved between two readings of it.
#pragma once

#include <cstdint>

#include "read/tree.hh"

namespace kvmpv {

// Only kGrew has a figure. From a counter that went back nothing can be computed.
enum class Course {
    kUnknown,    // there at neither reading
    kGrew,       // by 0 or more
    kRestarted,  // it is less than it was
    kCame,       // only there at the second reading
    kGone        // only there at the first reading
};

struct Growth {
    Course course = Course::kUnknown;
    std::int64_t by = 0;

    bool is_known() const { return course == Course::kGrew; }
};

inline Growth growth(Number earlier, Number now) {
    if (!earlier && !now) return {};
    if (!earlier) return {Course::kCame, 0};
    if (!now) return {Course::kGone, 0};
    if (*now < *earlier) return {Course::kRestarted, 0};
    std::int64_t by;
    // A counter that grew by more than fits is not a counter of the module.
    if (__builtin_sub_overflow(*now, *earlier, &by)) return {};
    return {Course::kGrew, by};
}

// In place of the figure that there is not.
inline const char* word_for(Course course) {
    switch (course) {
        case Course::kGrew: return "";
        case Course::kRestarted: return "restarted";
        case Course::kCame: return "new";
        case Course::kGone: return "gone";
        case Course::kUnknown: break;
    }
    return "-";
}

}  // namespace kvmpv
