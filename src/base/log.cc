// SPDX-License-Identifier: GPL-2.0-only

#include "base/log.hh"

#include "kvmpv/text.hh"

namespace kvmpv {

namespace {

// Longer than any text that is passed. What does not fit is cut off.
constexpr u32 kLength = 170;

}  // namespace

void log_error(const char* what, Error error) {
    LineBuffer<kLength> line;
    Writer<LineSink<kLength>> out(LineSink<kLength>{&line});
    out << what << ": error " << Signed{error.negative_errno()};
    linux_log_err(line.text());
}

void log_cpu_error(const char* feature, const char* what, u32 cpu, Error error) {
    LineBuffer<kLength> line;
    Writer<LineSink<kLength>> out(LineSink<kLength>{&line});
    out << feature << ": " << what << " on CPU " << cpu << ": error "
        << Signed{error.negative_errno()};
    linux_log_err(line.text());
}

}  // namespace kvmpv
