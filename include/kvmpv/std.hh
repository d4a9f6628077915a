// SPDX-License-Identifier: GPL-2.0-only
//
// The libstdc++ headers that this project may use, and the names of its integer types. All of these
// headers work with -ffreestanding and need no C++ runtime. Others (<string>, <memory>, ...) pull
// in code that does. tests/test_border.py rejects a <...> include in any other C++ file of
// include/, src/ and kunit/.

#pragma once

#include <array>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <type_traits>
#include <utility>

// The kernel's names for its integer types. u64 is `unsigned long long`, as in <linux/types.h>, so
// that both sides of boundary.h agree on the type and not only on its size.
using u8 = unsigned char;
using u16 = unsigned short;
using u32 = unsigned int;
using u64 = unsigned long long;
using s8 = signed char;
using s32 = int;
using s64 = long long;
using u128 = unsigned __int128;

static_assert(sizeof(u32) == 4 && sizeof(u64) == 8 && sizeof(u128) == 16);
