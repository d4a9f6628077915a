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

// Defines a case. This is the only place that names the case. Cases run in the order in which they
// are defined. The last line of a suite's file is KVMPV_SUITE(suite).
#define KVMPV_TEST(suite, name)                                                                  \
    static void kvmpv_test_##suite##_##name(struct kunit* handle);                               \
    template <>                                                                                  \
    constexpr kvmpv_test_case kvmpv::testing::case_number<__COUNTER__ - kvmpv::testing::kFirst>{ \
        #name, kvmpv_test_##suite##_##name};                                                     \
    static void kvmpv_test_##suite##_##name(struct kunit* handle)

// The table of the cases that are defined above it. A case below it would be missing from the
// table, so it does not compile: the table ends with the number that the next case would have.
#define KVMPV_SUITE(suite)                                                           \
    static constexpr kvmpv::testing::CaseTable<__COUNTER__ - kvmpv::testing::kFirst> \
        suite##_table{};                                                             \
    constexpr decltype(kvmpv_test_##suite) kvmpv_test_##suite {                      \
        suite##_table.cases, suite##_table.kCount                                    \
    }

namespace kvmpv::testing {

// The cases of a file by their number. Not in the unnamed namespace, because g++ does not let the
// macro specialise it there.
template <u32 kNumber>
static constexpr kvmpv_test_case case_number{};

namespace {

constexpr u32 kFirst = __COUNTER__ + 1;

template <u32 kCases>
struct CaseTable {
    static constexpr u32 kCount = kCases;
    static_assert(kCount > 0 && kCount <= KVMPV_TEST_MOST_CASES);

    kvmpv_test_case cases[kCount];

    constexpr CaseTable() : CaseTable(std::make_integer_sequence<u32, kCount>{}) {}

private:
    template <u32... kNumbers>
    explicit constexpr CaseTable(std::integer_sequence<u32, kNumbers...>)
        : cases{case_number<kNumbers>...} {
        static_assert((case_number<kNumbers>.run && ...), "something else has used __COUNTER__");
        static_assert(!case_number<kCount + 1>.run);
    }
};

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
