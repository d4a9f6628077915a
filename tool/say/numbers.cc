// SPDX-License-Identifier: GPL-2.0-only
#include "say/numbers.hh"

#include <cmath>

#include <fmt/format.h>

namespace kvmpv {
namespace {

constexpr double kUs = 1e3;
constexpr double kMs = 1e6;
constexpr double kS = 1e9;
constexpr double kMin = 60 * kS;
constexpr double kH = 60 * kMin;
constexpr double kDay = 24 * kH;

// Three digits. What rounds up to the next unit has been given that by the caller.
std::string in_unit(double value, const char* unit) {
    const int digits = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
    return fmt::format("{:.{}f} {}", value, digits, unit);
}

std::string in_two_units(double value, double one, const char* one_name, double other,
                         const char* other_name) {
    const double whole = std::floor(value / one);
    return fmt::format("{:.0f} {} {:.0f} {}", whole, one_name,
                       std::floor((value - whole * one) / other), other_name);
}

}  // namespace

std::string duration(std::int64_t ns) {
    // As floating point, because the smallest number has no positive counterpart.
    const double value = std::abs(static_cast<double>(ns));
    const std::string sign = ns < 0 ? "-" : "";
    if (value < 1e3) return sign + fmt::format("{:.0f} ns", value);
    if (value < 999.5 * kUs) return sign + in_unit(value / kUs, "us");
    if (value < 999.5 * kMs) return sign + in_unit(value / kMs, "ms");
    if (value < 59.95 * kS) return sign + in_unit(value / kS, "s");
    if (value < kH) return sign + in_two_units(value, kMin, "min", kS, "s");
    if (value < kDay) return sign + in_two_units(value, kH, "h", kMin, "min");
    return sign + in_two_units(value, kDay, "d", kH, "h");
}

std::string percent(double value) {
    if (value == 0) return "0 %";
    if (value > 0 && value < 0.05) return "< 0.1 %";
    const int digits = value < 99.95 ? 1 : 0;
    return fmt::format("{:.{}f} %", value, digits);
}

double share(std::int64_t part, std::int64_t whole) {
    if (whole <= 0) return 0;
    return static_cast<double>(part) / static_cast<double>(whole);
}

std::string count(std::int64_t number, const std::string& what) {
    return fmt::format("{} {}{}", number, what, number == 1 ? "" : "s");
}

}  // namespace kvmpv
