// SPDX-License-Identifier: GPL-2.0-only
//
// text.hh: what is written, character by character.

#include "kvmpv/text.hh"
#include "test.hh"

using namespace kvmpv;
using namespace kvmpv::testing;

namespace {

constexpr u32 kSize = 160;
using Text = LineBuffer<kSize>;

struct TextSink {
    Text* text;
    void write(const char* piece, u32 length) { text->write(piece, length); }
};

using TextWriter = Writer<TextSink>;

template <class Value>
void expect_written(Test& test, Value value, const char* expected) {
    Text text;
    TextWriter out(TextSink{&text});
    out << value;
    test.equal("written", text.text(), expected);
    u32 length = 0;
    while (expected[length]) ++length;
    test.equal("column", out.column(), length);
}

}  // namespace

KVMPV_TEST(text, numbers) {
    Test test(handle);
    expect_written(test, u64{0}, "0");
    expect_written(test, u64{9}, "9");
    expect_written(test, u64{10}, "10");
    expect_written(test, u64{1234567890}, "1234567890");
    expect_written(test, u64{10'000'000'000'000'000'000ull}, "10000000000000000000");
    expect_written(test, u64{0xffff'ffff'ffff'ffff}, "18446744073709551615");
    expect_written(test, u32{0xffff'ffff}, "4294967295");
}

KVMPV_TEST(text, signed_numbers) {
    Test test(handle);
    expect_written(test, Signed{0}, "0");
    expect_written(test, Signed{1}, "1");
    expect_written(test, Signed{-1}, "-1");
    expect_written(test, Signed{-128}, "-128");
    expect_written(test, Signed{std::numeric_limits<s64>::max()}, "9223372036854775807");
    expect_written(test, Signed{std::numeric_limits<s64>::min()}, "-9223372036854775808");
}

KVMPV_TEST(text, hexadecimal) {
    Test test(handle);
    expect_written(test, Hex{0}, "0x0");
    expect_written(test, Hex{0xf}, "0xf");
    expect_written(test, Hex{0x10}, "0x10");
    expect_written(test, Hex{0x4b56'4d01}, "0x4b564d01");
    expect_written(test, Hex{0x0123'4567'89ab'cdef}, "0x123456789abcdef");
    expect_written(test, Hex{~u64{0}}, "0xffffffffffffffff");
}

KVMPV_TEST(text, columns) {
    Test test(handle);
    Text text;
    TextWriter out(TextSink{&text});
    out << "ab";
    out.pad_to(5) << u64{7};
    test.equal("column", out.column(), 6);
    out.end_line();
    test.equal("column of a new line", out.column(), 0);
    out << "c";
    out.pad_to(3) << ""
                  << "d";
    test.equal("text", text.text(), "ab   7\nc  d");
}

KVMPV_TEST(text, pad_past_the_column) {
    Test test(handle);
    Text text;
    TextWriter out(TextSink{&text});
    out << "abcdef";
    out.pad_to(3) << "g";
    out.pad_to(8) << "h";
    // One blank if the line is past the column or exactly at it.
    test.equal("text", text.text(), "abcdef g h");
}

namespace {

constexpr Column kColumns[] = {{"cpu", 3}, {"value", 8}, {"on", 3}};

}  // namespace

KVMPV_TEST(text, table) {
    Test test(handle);
    Text text;
    TextWriter out(TextSink{&text});
    Table table(out, kColumns);
    table.cell(u32{0}).cell(Hex{0xabc}).cell("yes");
    table.cell(u32{11}).cell(Signed{-5}).cell("no");
    test.equal("text", text.text(),
               "cpu value    on\n"
               "0   0xabc    yes\n"
               "11  -5       no\n");
}

KVMPV_TEST(text, table_with_wide_values) {
    Test test(handle);
    Text text;
    TextWriter out(TextSink{&text});
    Table table(out, kColumns);
    // A wide value pushes the rest of its row to the right. A later column that has room is in its
    // place again, and so is the next row.
    table.cell(u64{12345}).cell(u64{1}).cell("yes");
    table.cell(u32{1}).cell("a_very_wide_value").cell("no");
    table.cell(u32{2}).cell("b").cell("no");
    test.equal("text", text.text(),
               "cpu value    on\n"
               "12345 1      yes\n"
               "1   a_very_wide_value no\n"
               "2   b        no\n");
}

KVMPV_TEST(text, line_exact_fit) {
    Test test(handle);
    LineBuffer<6> line;
    test.equal("at first", line.text(), "");
    line.write("abc", 3);
    line.write("", 0);
    line.write("de", 2);
    test.equal("five characters and the end", line.text(), "abcde");
}

KVMPV_TEST(text, line_cut_off) {
    Test test(handle);
    LineBuffer<6> line;
    line.write("abcdefgh", 8);
    test.equal("cut off at the end", line.text(), "abcde");
    line.write("x", 1);
    test.equal("full", line.text(), "abcde");

    LineBuffer<1> nothing;
    nothing.write("a", 1);
    test.equal("room for nothing", nothing.text(), "");

    LineBuffer<8> short_line;
    Writer<LineSink<8>> out(LineSink<8>{&short_line});
    out << "no " << ~u64{0};
    test.equal("cut off within a number", short_line.text(), "no 1844");
}

KVMPV_SUITE(text);
