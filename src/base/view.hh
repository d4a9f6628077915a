// SPDX-License-Identifier: GPL-2.0-only
//
// What all files below /sys/kernel/debug/kvmpv/ are written with.

#pragma once

#include "boundary.h"
#include "kvmpv/name.hh"
#include "kvmpv/result.hh"
#include "kvmpv/text.hh"

namespace kvmpv {

struct SeqSink {
    void* seq;
    void write(const char* text, u32 length) { linux_seq_write(seq, text, length); }
};

using Out = Writer<SeqSink>;

// Writes the first line of every file.
inline Out begin_view(void* seq) {
    Out out(SeqSink{seq});
    out << "version 1";
    out.end_line();
    return out;
}

// The last member of a kvmpv_file that shows the events.
inline constexpr bool kIsAwaited = true;

inline const char* yes_no(bool value) { return value ? "yes" : "no"; }

// Parses what was written to a switch: 0 or 1, and nothing else.
inline std::optional<bool> parse_switch(const char* text) {
    if ((text[0] != '0' && text[0] != '1') || text[1] != '\0') return std::nullopt;
    return text[0] == '1';
}

// Returns 0 or a negative errno: that of set(on), or -EINVAL if `text` is neither 0 nor 1.
template <class Set>
int store_switch(const char* text, Set&& set) {
    const std::optional<bool> wanted = parse_switch(text);
    return wanted ? set(*wanted).zero_or_negative_errno() : -kEinval;
}

inline Name task_name(const kvmpv_task& task) { return {task.comm, sizeof(task.comm)}; }

// The columns of a file that lists single values.
inline constexpr Column kFieldColumns[] = {{"field", 24}, {"value", 20}};
using FieldTable = Table<SeqSink, 2>;

}  // namespace kvmpv
