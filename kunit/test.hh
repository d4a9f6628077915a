// SPDX-License-Identifier: GPL-2.0-only
//
// How a test case is written, and how it reports a failure: where, what, expected, actual.
//
// The headers of the tests keep everything in an unnamed namespace, so that each object file has
// its own copy. If two objects shared a function, the linker would drop one copy and then fail,
// because ftrace's list in the dropped object still refers to it.

#pragma once

#include "kunit_boundary.h"
#include "kvmpv/text.hh"

// Defines a case that kunit_boundary.h lists. The static_assert does not compile if it lists none.
#define KVMPV_TEST(suite, name)                                                               \
    static_assert(std::is_same_v<decltype(kvmpv_test_##suite##_##name), void(struct kunit*)>, \
                  "kunit_boundary.h lists the cases");                                        \
    extern "C" void kvmpv_test_##suite##_##name(struct kunit* handle)

namespace kvmpv::testing {
namespace {

using Line = LineBuffer<240>;

struct LineEnd {
    Line* line;
    void write(const char* text, u32 length) { line->write(text, length); }
};

using LineWriter = Writer<LineEnd>;

// A place in the source. As a default argument here() is the place of the caller.
struct Place {
    const char* file;
    u32 line;

    static constexpr Place here(const char* file = __builtin_FILE(), u32 line = __builtin_LINE()) {
        return {file, line};
    }

    // Without the folders, which differ from machine to machine.
    constexpr const char* file_name() const {
        const char* name = file;
        for (const char* at = file; *at; ++at)
            if (*at == '/') name = at + 1;
        return name;
    }
};

constexpr bool same_text(const char* a, const char* b) {
    while (*a && *a == *b) ++a, ++b;
    return *a == *b;
}

// Writes a value of any type that the cases compare.
template <class Value>
void write_value(LineWriter& out, const Value& value) {
    if constexpr (std::is_same_v<Value, bool>)
        out << (value ? "true" : "false");
    else if constexpr (std::is_enum_v<Value>)
        out << Signed{static_cast<s64>(value)};
    else if constexpr (std::is_convertible_v<Value, const char*>)
        out << "\"" << value << "\"";
    else if constexpr (std::is_signed_v<Value>)
        out << Signed{value};
    else
        out << u64{value} << " (" << Hex{value} << ")";
}

class Test {
public:
    explicit Test(kunit* handle) : handle_(handle) {}

    // Returns whether they are equal, and reports a failure if not. `what` names the value, or the
    // row of a table.
    template <class Value>
    bool equal(const char* what, const Value& actual, const std::type_identity_t<Value>& expected,
               Place place = Place::here()) {
        if (are_equal(actual, expected)) return true;
        fail(place, what, [&](LineWriter& out) {
            out << "expected ";
            write_value(out, expected);
            out << ", actual ";
            write_value(out, actual);
        });
        return false;
    }

    bool is_true(const char* what, bool actual, Place place = Place::here()) {
        return equal(what, actual, true, place);
    }
    bool is_false(const char* what, bool actual, Place place = Place::here()) {
        return equal(what, actual, false, place);
    }

    // low <= actual <= high
    bool between(const char* what, u64 actual, u64 low, u64 high, Place place = Place::here()) {
        if (low <= actual && actual <= high) return true;
        fail(place, what, [&](LineWriter& out) {
            out << "expected " << low << " to " << high << ", actual " << actual;
        });
        return false;
    }

    bool at_least(const char* what, u64 actual, u64 low, Place place = Place::here()) {
        return between(what, actual, low, std::numeric_limits<u64>::max(), place);
    }

    // Logs what was being tried when an assertion failed: note([&](LineWriter& out) { out << … }).
    template <class Say>
    void note(Say&& say) {
        Line line;
        LineWriter out(LineEnd{&line});
        say(out);
        linux_test_log(handle_, line.text());
    }

    void skip(const char* reason) { linux_test_skip(handle_, reason); }

private:
    template <class Value>
    static bool are_equal(const Value& a, const Value& b) {
        if constexpr (std::is_convertible_v<Value, const char*>)
            return same_text(a, b);
        else
            return a == b;
    }

    // Cold and not inlined, so that a case with a hundred assertions has this code once.
    template <class Say>
    [[gnu::noinline, gnu::cold]] void fail(Place place, const char* what, Say&& say) {
        Line line;
        LineWriter out(LineEnd{&line});
        out << "kunit/" << place.file_name() << ":" << place.line << ": " << what << ": ";
        say(out);
        linux_test_fail(handle_, line.text());
    }

    kunit* handle_;
};

}  // namespace
}  // namespace kvmpv::testing
