// SPDX-License-Identifier: GPL-2.0-only
//
// Result<T>: a value or an errno. Every C++ function that can fail returns one. At the border to C
// (boundary.h) it becomes a negative errno. Any context.

#pragma once

#include "kvmpv/std.hh"

namespace kvmpv {

// The Linux errno values that this project produces itself
// (include/uapi/asm-generic/errno-base.h). Errors that the kernel returns are passed on unchanged.
inline constexpr int kEnoent = 2;
inline constexpr int kEio = 5;
inline constexpr int kEnomem = 12;
inline constexpr int kEbusy = 16;
inline constexpr int kEnodev = 19;
inline constexpr int kEinval = 22;
inline constexpr int kEnametoolong = 36;

// A negative errno, as the kernel writes it. Zero and positive values are not errors.
class [[nodiscard]] Error {
public:
    explicit constexpr Error(int negative_errno) : negative_errno_(negative_errno) {}
    constexpr int negative_errno() const { return negative_errno_; }

private:
    int negative_errno_;
};

template <class T>
class [[nodiscard]] Result {
    static_assert(std::is_trivially_copyable_v<T>, "a Result is passed in registers");

public:
    constexpr Result(T value) : value_(value) {}
    constexpr Result(Error error) : negative_errno_(error.negative_errno()) {}

    constexpr bool ok() const { return negative_errno_ == 0; }
    constexpr const T& value() const { return value_; }
    constexpr Error error() const { return Error(negative_errno_); }

private:
    T value_{};
    int negative_errno_ = 0;
};

// Success or an errno, for calls that return no value.
template <>
class [[nodiscard]] Result<void> {
public:
    constexpr Result() = default;
    constexpr Result(Error error) : negative_errno_(error.negative_errno()) {}

    // From what a linux_* call returned: 0 or a negative errno. A positive value is success.
    static constexpr Result from_errno(int zero_or_negative) {
        return zero_or_negative < 0 ? Result(Error(zero_or_negative)) : Result();
    }

    constexpr bool ok() const { return negative_errno_ == 0; }
    constexpr Error error() const { return Error(negative_errno_); }
    constexpr int zero_or_negative_errno() const { return negative_errno_; }

private:
    int negative_errno_ = 0;
};

}  // namespace kvmpv
