// SPDX-License-Identifier: GPL-2.0-only
//
// Text without printf: decimal and hexadecimal numbers, and tables with a header row. Nothing here
// allocates or sleeps; a sink may.

#pragma once

#include "kvmpv/std.hh"

namespace kvmpv {

// Where text goes. Takes `length` characters, which need not end with a NUL.
template <class T>
concept CharacterSink = requires(T& sink, const char* text, u32 length) {
    sink.write(text, length);
};

// Written in hexadecimal, with 0x and without leading zeros.
struct Hex {
    u64 value;
};

// Written with its sign. A type of its own, so that an int cannot be taken for an unsigned number.
struct Signed {
    s64 value;
};

// Writes to a sink, of which it keeps a copy, and knows at which column the line is.
template <CharacterSink Sink>
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
        // Negated in unsigned arithmetic, because the smallest s64 has no positive counterpart.
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

    // Writes blanks up to `column`, but at least one: a value that is wider than its column still
    // ends before the next one.
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
    // Not inlined. Views are cold, and a copy of this at every << makes them ten times as large.
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

// Writes the header row at once, then a row for every kNumColumns cells.
template <CharacterSink Sink, u32 kNumColumns>
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

// A line in memory, for the log. Holds kSize - 1 characters and the NUL; drops what does not fit.
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

// A sink that writes to a LineBuffer elsewhere, because a Writer keeps a copy of its sink.
template <u32 kSize>
struct LineSink {
    LineBuffer<kSize>* line;
    void write(const char* text, u32 length) { line->write(text, length); }
};

}  // namespace kvmpv
