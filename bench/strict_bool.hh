// SPDX-License-Identifier: GPL-2.0-only
//
// To look at a source with, by g++ -fsyntax-only -include: `bool` takes a bool and nothing else.
// C++ lets any number or pointer be passed as one, no option of g++ says so, and a parameter that
// changes its type from a time to a bool would take the time without a word.

#pragma once

// What is not ours, before the name changes.
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
