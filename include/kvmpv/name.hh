// SPDX-License-Identifier: GPL-2.0-only
//
// A name that somebody else chose: a task's, a cgroup's path. It may hold any byte, and a blank in
// a table ends a column, a newline a row. So it is written as /proc/self/mounts writes paths, the
// same on every kernel, and can be read back.

#pragma once

#include "kvmpv/text.hh"

namespace kvmpv {

// Ends at a NUL, and after `room` bytes at the latest. Blanks, control characters, backslashes and
// all beyond ASCII are written as \ooo, three octal digits. Without a byte it is `-`, and the name
// `-` is \055, so that the two differ.
struct Name {
    const char* text;
    u32 room;

    // char has a sign on one kernel and none on another.
    static constexpr bool is_plain(u8 byte) { return byte > 0x20 && byte < 0x7f && byte != '\\'; }

    constexpr u32 length() const {
        u32 length = 0;
        while (length < room && text[length]) ++length;
        return length;
    }
};

template <CharacterSink Sink>
Writer<Sink>& operator<<(Writer<Sink>& out, const Name& name) {
    const u32 length = name.length();
    if (!length) return out << "-";
    const bool is_dash = length == 1 && name.text[0] == '-';
    for (u32 at = 0; at < length; ++at) {
        const u8 byte = static_cast<u8>(name.text[at]);
        char piece[5] = {static_cast<char>(byte)};
        if (!Name::is_plain(byte) || is_dash) {
            piece[0] = '\\';
            piece[1] = static_cast<char>('0' + (byte >> 6));
            piece[2] = static_cast<char>('0' + (byte >> 3 & 7));
            piece[3] = static_cast<char>('0' + (byte & 7));
        }
        out << &piece[0];
    }
    return out;
}

}  // namespace kvmpv
