// SPDX-License-Identifier: GPL-2.0-only
//
// Text without printf: numbers, hexadecimal, and tables with a header row. Where the text goes is
// the Sink's business: `void write(const char* text, u32 length)`.

#pragma once

#include "kvmpv/std.hh"

namespace kvmpv {

struct Hex {
    u64 value;
};

// A one-word signed number; u64 and s64 are told apart by type, so plain int needs this too.
struct Signed {
    s64 value;
};

template <class Sink>
class Writer {
public:
    explicit Writer(Sink sink) : sink_(sink) {}

    Writer& operator<<(const char* text) {
        u32 length = 0;
        while (text[length]) ++length;
        put(text, length);
        return *this;
    }

    Writer& operator<<(u64 value) {
        digits(value, 10);
        return *this;
    }
    Writer& operator<<(u32 value) { return *this << u64{value}; }

    Writer& operator<<(Signed number) {
        if (number.value < 0) put("-", 1);
        // Negation in unsigned arithmetic: the smallest s64 has no positive counterpart.
        digits(number.value < 0 ? u64{0} - static_cast<u64>(number.value)
                                : static_cast<u64>(number.value),
               10);
        return *this;
    }

    Writer& operator<<(Hex number) {
        put("0x", 2);
        digits(number.value, 16);
        return *this;
    }

    // Blanks until `column`, at least one: a value wider than its column stays a value of its own.
    Writer& pad_to(u32 column) {
        do {
            put(" ", 1);
        } while (column_ < column);
        return *this;
    }

    Writer& end_line() {
        put("\n", 1);
        column_ = 0;
        return *this;
    }

    u32 column() const { return column_; }

private:
    // Not inlined: views are cold, and a copy of this at every << makes them ten times as large.
    [[gnu::noinline]] void put(const char* text, u32 length) {
        sink_.write(text, length);
        column_ += length;
    }

    [[gnu::noinline]] void digits(u64 value, u32 base) {
        char text[20];  // 2^64 - 1 has 20 decimal digits
        u32 at = sizeof(text);
        do {
            text[--at] = "0123456789abcdef"[value % base];
            value /= base;
        } while (value);
        put(text + at, static_cast<u32>(sizeof(text)) - at);
    }

    Sink sink_;
    u32 column_ = 0;
};

// A column of a table: its name in the header row, and how wide its values usually are.
struct Column {
    const char* name;
    u32 width;
};

// Rows below a header, one value a column, in the order of the columns.
template <class Sink, u32 kNumColumns>
class Table {
public:
    Table(Writer<Sink>& out, const Column (&columns)[kNumColumns]) : out_(out), columns_(columns) {
        for (const Column& column : columns_) cell(column.name);
    }

    template <class Value>
    Table& cell(Value value) {
        if (next_ > 0) out_.pad_to(start_);
        out_ << value;
        start_ += columns_[next_].width + 1;
        if (++next_ == kNumColumns) end_row();
        return *this;
    }

private:
    void end_row() {
        out_.end_line();
        next_ = 0;
        start_ = 0;
    }

    Writer<Sink>& out_;
    const Column (&columns_)[kNumColumns];
    u32 next_ = 0;
    u32 start_ = 0;
};

// A line in memory, for the log. What does not fit is cut off at the end.
template <u32 kSize>
class LineBuffer {
public:
    void write(const char* text, u32 length) {
        for (u32 i = 0; i < length && used_ + 1 < kSize; ++i) text_[used_++] = text[i];
        text_[used_] = '\0';
    }

    const char* text() const { return text_; }

private:
    char text_[kSize] = {};
    u32 used_ = 0;
};

// A sink that is passed by value and writes to a buffer elsewhere.
template <u32 kSize>
struct LineSink {
    LineBuffer<kSize>* line;
    void write(const char* text, u32 length) { line->write(text, length); }
};

}  // namespace kvmpv
