// SPDX-License-Identifier: GPL-2.0-only
//
// The libstdc++ headers allowed in this project, and the integer names used everywhere. All of
// them are usable without a C++ runtime; anything else (<atomic>, <string_view>, <memory>, ...)
// pulls in hosted code. scripts/check-border rejects every other <...> include.

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

// The kernel's own names. `unsigned long long` for 64 bits, as in the kernel's <linux/types.h>, so
// that both sides of boundary.h agree on the type and not only on the size.
using u8 = unsigned char;
using u16 = unsigned short;
using u32 = unsigned int;
using u64 = unsigned long long;
using s8 = signed char;
using s32 = int;
using s64 = long long;
using u128 = unsigned __int128;

static_assert(sizeof(u32) == 4 && sizeof(u64) == 8 && sizeof(u128) == 16);
