// SPDX-License-Identifier: GPL-2.0-only
//
// Checks a source by g++ -fsyntax-only -include: `bool` accepts a bool and nothing else. C++
// converts any number or pointer to bool, and no option of g++ warns about that. So a parameter
// whose type changes from a time to a bool would silently accept a time.

#pragma once

// Headers that are not ours, before `bool` is redefined.
#include <benchmark/benchmark.h>
#include <sched.h>

#include <cstdio>
#include <cstdlib>

#include "kvmpv/std.hh"

struct StrictBool {
    bool value;

    constexpr StrictBool() = default;
    template <std::same_as<bool> Bool>
    constexpr StrictBool(Bool is) : value(is) {}
    constexpr operator bool() const { return value; }
};

#define bool StrictBool
