// SPDX-License-Identifier: GPL-2.0-only
//
// Runs the rules of scripts/lab/shim, and its filter, for tests/test_shim.py, which writes a SPEC
// as the argument and accesses on stdin:
//
//     read CPU MSR NAMES...          what is done, and the value that is served
//     write CPU MSR VALUE NAMES...   what is done; NAMES are switched on
//     filter N                       the ranges of KVM's filter, N of them QEMU's

#include <cstdio>

#include "../scripts/lab/shim/filter.hh"
#include "../scripts/lab/shim/rules.hh"

using namespace shim;

namespace {

const char* name_of(Action action) {
    switch (action) {
        case Action::kLet: return "let";
        case Action::kRefuse: return "refuse";
        case Action::kIgnore: return "ignore";
        case Action::kServe: return "serve";
    }
    return "?";
}

void access(Rules& rules, bool is_write, Words words) {
    Access one{is_write, 0, 0};
    one.cpu = static_cast<u32>(*number(words.next()));
    one.msr = static_cast<u32>(*number(words.next()));
    const u64 written = is_write ? *number(words.next()) : 0;
    const Rules::Verdict verdict = rules.judge(one, words.rest());
    std::printf("%s%s", rules.concerns(one) ? "" : "not ours, ", name_of(verdict.action));
    if (verdict.action == Action::kServe) {
        if (is_write) *verdict.value = written;
        std::printf(" %llu", *verdict.value);
    }
    std::printf("\n");
}

void filter(const Spec& spec, u32 of_qemu) {
    static u8 bitmap = 0;
    kvm_msr_filter asked{};
    for (u32 at = 0; at < of_qemu; ++at)
        asked.ranges[at] = {.flags = 3, .nmsrs = 8, .base = at, .bitmap = &bitmap};
    const bool done = add_rules(spec, asked);
    std::printf("%s", done ? "" : "no room, ");
    for (const kvm_msr_filter_range& range : asked.ranges)
        if (range.nmsrs) std::printf("%x+%u:%u ", range.base, range.nmsrs, range.flags);
    std::printf("\n");
}

}  // namespace

int main(int, char** arguments) {
    Spec spec;
    if (parse(arguments[1], spec).text) return 1;
    std::printf("added %x taken %x\n", spec.added, spec.taken);
    Rules rules(spec);
    char line[256];
    while (std::fgets(line, sizeof(line), stdin)) {
        std::string_view text(line);
        text.remove_suffix(1);
        Words words(text);
        if (words.take("filter"))
            filter(spec, static_cast<u32>(*number(words.next())));
        else
            access(rules, words.next() == "write", words);
    }
    return 0;
}
