// SPDX-License-Identifier: GPL-2.0-only
//
// A record that is half written from one access of a reader to another: the version odd, the lower
// halves new, the upper halves old, which around 2^32 is 4.3 s off.

#pragma once

#include "scripted_host.hh"
#include "test.hh"

namespace kvmpv::testing {
namespace {

// From before any access up to `last_begin` to before any up to `last_end`. `expect` is given a
// host that starts at `start_ns`, and the script of what it does; false if a read went wrong.
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
