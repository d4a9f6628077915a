// SPDX-License-Identifier: GPL-2.0-only
//
// poll_control.hh: what is accepted in `halt_poll/control`.

#include "kvmpv/poll_control.hh"
#include "scripted_host.hh"
#include "test.hh"

using namespace kvmpv;
using namespace kvmpv::testing;

namespace {

constexpr s64 kAllCpus = -1;

void expect_accepted(Test& test, const char* text, s64 cpu, bool allowed) {
    const std::optional<PollControlWrite> parsed = parse_poll_control(text);
    if (!test.is_true(text, parsed.has_value())) return;
    test.equal(text, parsed->cpu ? s64{*parsed->cpu} : kAllCpus, cpu);
    test.equal(text, parsed->allowed, allowed);
}

// Whether it is what is accepted, said another way: /^(\d{1,9} )?[01]$/.
bool is_well_formed(const char* text, u32 length) {
    if (!length || (text[length - 1] != '0' && text[length - 1] != '1')) return false;
    if (length == 1) return true;
    if (length < 3 || length > 11 || text[length - 2] != ' ') return false;
    for (u32 at = 0; at < length - 2; ++at)
        if (text[at] < '0' || text[at] > '9') return false;
    return true;
}

}  // namespace

KVMPV_TEST(poll_control, accepts) {
    Test test(handle);
    expect_accepted(test, "0", kAllCpus, false);
    expect_accepted(test, "1", kAllCpus, true);
    expect_accepted(test, "0 1", 0, true);
    expect_accepted(test, "1 0", 1, false);
    expect_accepted(test, "17 1", 17, true);
    expect_accepted(test, "007 0", 7, false);
    expect_accepted(test, "999999999 1", 999'999'999, true);
}

KVMPV_TEST(poll_control, refuses) {
    Test test(handle);
    for (const char* text : {"",
                             " ",
                             "2",
                             "-1",
                             "00",
                             "01",
                             "10",
                             "11",
                             "0 ",
                             " 0",
                             "0 2",
                             "0  1",
                             "0\t1",
                             "0 1 ",
                             "0 10",
                             "0 1 1",
                             "-1 0",
                             "+1 0",
                             "0x1 0",
                             "1,0",
                             "a",
                             "a 0",
                             "0 a",
                             "1000000000 1",
                             "4294967296 0",
                             "18446744073709551616 1",
                             "0\n1",
                             "y",
                             "on"})
        test.is_false(text, parse_poll_control(text).has_value());
}

// Texts of all lengths that a file accepts, mostly of the bytes that matter.
KVMPV_TEST(poll_control, random_texts) {
    Test test(handle);
    Xorshift random(20261127);
    u32 accepted = 0;
    for (u32 round = 0; round < 200'000; ++round) {
        char text[64] = {};
        const u32 length = static_cast<u32>(random.next() % (round % 2 ? 5 : sizeof(text)));
        for (u32 at = 0; at < length; ++at) {
            const u64 dice = random.next();
            text[at] = dice % 16 ? "01 9"[dice / 16 % 4] : static_cast<char>(1 + dice / 16 % 255);
        }
        const bool is_accepted = parse_poll_control(text).has_value();
        accepted += is_accepted;
        if (!test.equal(text, is_accepted, is_well_formed(text, length))) return;
    }
    test.between("accepted", accepted, 1'000, 199'000);
}

KVMPV_SUITE(poll_control);
