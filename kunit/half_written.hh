// SPDX-License-Identifier: GPL-2.0-only
//
// A record that is half written between two accesses of a reader: the version is odd, the lower
// halves are new and the upper halves old. When a number passes 2^32, such a record is 4.3 s off.

#pragma once

#include "scripted_host.hh"
#include "test.hh"

namespace kvmpv::testing {
namespace {

// Tries every span that begins before an access up to `last_begin` and ends before one up to
// `last_end`. expect(host, script) gets a host that starts at `start_ns`, and the script that plays
// it. It returns false if a read went wrong.
template <class Expect>
void half_written(Test& test, u64 start_ns, u64 forward_ticks, u32 last_begin, u32 last_end,
                  Expect&& expect) {
    for (u32 begin = 0; begin <= last_begin; ++begin) {
        for (u32 end = begin; end <= last_end; ++end) {
            ScriptedHost host(start_ns);
            const bool right = expect(host, [&](u32 access) {
                if (access == begin) {
                    host.pass(forward_ticks);
                    host.begin_rewrite(0);
                }
                if (access == end) host.end_rewrite();
            });
            if (right) continue;
            return test.note([&](LineWriter& out) {
                out << "half written from before access " << begin << " to before " << end;
            });
        }
    }
}

}  // namespace
}  // namespace kvmpv::testing
