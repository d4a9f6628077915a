// SPDX-License-Identifier: GPL-2.0-only
// Numbers as people say them.
#pragma once

#include <cstdint>
#include <string>

namespace kvmpv {

// "0 ns", "640 ns", "21.3 us", "48.0 ms", "2.50 s", "3 min 12 s", "5 h 3 min", "12 d 4 h".
std::string duration(std::int64_t ns);
// "0 %", "0.3 %", "31.2 %", "100 %".
std::string percent(double value);
// 0 if the whole is 0.
double share(std::int64_t part, std::int64_t whole);
// "1 event", "2 events".
std::string count(std::int64_t number, const std::string& what);

}  // namespace kvmpv
