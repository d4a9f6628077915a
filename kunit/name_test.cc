// SPDX-License-Identifier: GPL-2.0-only
//
// name.hh: whatever a name holds, tables keep their rows and columns, and it can be read back.

#include "kvmpv/name.hh"
#include "scripted_host.hh"
#include "test.hh"

using namespace kvmpv;
using namespace kvmpv::testing;

namespace {

constexpr u32 kMostBytes = 64;
constexpr u32 kSize = 8 * kMostBytes;
using Text = LineBuffer<kSize>;
using TextSink = LineSink<kSize>;

void write_name(Text& text, const char* name, u32 room) {
    Writer<TextSink> out(TextSink{&text});
    out << Name{name, room};
}

void expect_written(Test& test, const char* name, const char* expected) {
    Text text;
    write_name(text, name, kMostBytes);
    test.equal(name, text.text(), expected);
}

// What a reader makes of a value, by the words of docs/debugfs.md. Returns how many bytes.
u32 read_back(const char* value, u8* bytes) {
    u32 count = 0;
    if (same_text(value, "-")) return 0;
    while (*value) {
        u32 byte = static_cast<u8>(*value++);
        if (byte == '\\') {
            byte = 0;
            for (u32 digit = 0; digit < 3; ++digit)
                byte = byte * 8 + static_cast<u32>(*value++ - '0');
        }
        bytes[count++] = static_cast<u8>(byte);
    }
    return count;
}

// As awk counts them: rows end at newlines, columns at runs of blanks and tabs.
struct Shape {
    u32 rows = 0;
    u32 least_columns = ~0u;
    u32 most_columns = 0;

    explicit Shape(const char* text) {
        u32 columns = 0;
        bool in_value = false;
        for (; *text; ++text) {
            const bool is_blank = *text == ' ' || *text == '\t';
            if (*text != '\n') {
                if (!is_blank && !in_value) ++columns;
                in_value = !is_blank;
                continue;
            }
            ++rows;
            if (columns < least_columns) least_columns = columns;
            if (columns > most_columns) most_columns = columns;
            columns = 0;
            in_value = false;
        }
    }
};

constexpr Column kColumns[] = {{"what", 4}, {"name", 16}, {"ns", 8}};

}  // namespace

KVMPV_TEST(name, plain) {
    Test test(handle);
    expect_written(test, "kworker/0:1H-kblockd", "kworker/0:1H-kblockd");
    expect_written(test, "/system.slice/a@b.service", "/system.slice/a@b.service");
    expect_written(test, "a_b", "a_b");
    expect_written(test, "--", "--");
    expect_written(test, "/", "/");
}

KVMPV_TEST(name, every_byte) {
    Test test(handle);
    for (u32 byte = 1; byte < 256; ++byte) {
        const char name[2] = {static_cast<char>(byte), '\0'};
        Text text;
        write_name(text, name, sizeof(name));
        const bool plain = byte > 0x20 && byte < 0x7f && byte != '\\' && byte != '-';
        const char octal[5] = {'\\', static_cast<char>('0' + byte / 64),
                               static_cast<char>('0' + byte / 8 % 8),
                               static_cast<char>('0' + byte % 8), '\0'};
        if (!test.equal("written", text.text(), plain ? name : octal)) return;
    }
    expect_written(test, "a b\tc\nd", "a\\040b\\011c\\012d");
    expect_written(test, "\\040", "\\134040");
}

KVMPV_TEST(name, nothing_and_dash) {
    Test test(handle);
    expect_written(test, "", "-");
    expect_written(test, "-", "\\055");
    Text text;
    write_name(text, "room for none", 0);
    test.equal("no room", text.text(), "-");
    Text nowhere;
    write_name(nowhere, nullptr, 0);
    test.equal("no text", nowhere.text(), "-");
}

// A name may fill its room without a NUL.
KVMPV_TEST(name, whole) {
    Test test(handle);
    const char comm[4] = {'a', 'b', ' ', '\xff'};
    Text text;
    write_name(text, comm, sizeof(comm));
    test.equal("all of its room", text.text(), "ab\\040\\377");
}

KVMPV_TEST(name, tables_hold) {
    Test test(handle);
    Xorshift random(20261127);
    for (u32 round = 0; round < 20'000; ++round) {
        char name[kMostBytes];
        const u32 length = static_cast<u32>(random.next() % kMostBytes);
        // Half of them of what ends columns and rows, and of what begins an escape.
        constexpr char kEvil[] = " \t\n\r\v\f\\-0123";
        for (u32 at = 0; at < length; ++at)
            name[at] = random.next() % 2 ? kEvil[random.next() % (sizeof(kEvil) - 1)]
                                         : static_cast<char>(1 + random.next() % 255);
        name[length] = '\0';

        Text value;
        write_name(value, name, kMostBytes);
        u8 bytes[kMostBytes];
        const u32 count = read_back(value.text(), bytes);
        bool same = test.equal("bytes read back", count, length);
        for (u32 at = 0; same && at < length; ++at)
            same = test.equal("byte read back", bytes[at], static_cast<u8>(name[at]));
        if (!same) return;

        Text text;
        Writer<TextSink> out(TextSink{&text});
        Table table(out, kColumns);
        table.cell("a").cell(Name{name, kMostBytes}).cell(u32{1});
        table.cell("b").cell("-").cell(u32{2});
        const Shape shape(text.text());
        if (!test.equal("rows", shape.rows, u32{3}) ||
            !test.equal("least columns", shape.least_columns, u32{3}) ||
            !test.equal("most columns", shape.most_columns, u32{3}))
            return;
    }
}

KVMPV_SUITE(name);
