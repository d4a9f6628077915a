// SPDX-License-Identifier: GPL-2.0-only
//
// What `scripts/guest --shim SPEC` asks for, and its parser. docs/guest.md has the grammar.

#pragma once

#include <string_view>

#include "kvmpv/std.hh"

namespace shim {

enum class Action : u8 {
    kLet,     // the host answers, as without the shim
    kRefuse,  // the guest gets #GP
    kIgnore,  // the write succeeds and nothing is written
    kServe,   // the shim has the MSR, with a value for each vCPU
};

struct Rule {
    Action action = Action::kLet;
    bool reads = true;
    bool writes = true;
    u32 msr = 0;
    u64 value = 0;  // for kServe, until the guest writes another
    std::optional<u32> cpu;
    // Of the accesses that match all else, which ones: `times` of them, from number `from` on.
    u64 from = 1;
    u64 times = ~u64{0};
    std::string_view when;  // only while the host script has switched this name on; empty: always
};

// KVM takes 16 ranges of MSRs, and each rule needs one. QEMU has some of its own.
constexpr u32 kMostRules = 12;

struct Spec {
    std::array<Rule, kMostRules> rules{};
    u32 num_rules = 0;
    u32 added = 0;  // bits of EAX of CPUID 0x40000001
    u32 taken = 0;

    std::span<const Rule> all() const { return {rules.data(), num_rules}; }
};

// Why a SPEC is wrong: 'word': text. Without a text it is right.
struct Problem {
    std::string_view word;
    const char* text = nullptr;
};

// The MSRs of x2APIC. KVM never applies its filter to them.
constexpr u32 kFirstX2apic = 0x800;
constexpr u32 kLastX2apic = 0x8ff;
constexpr u32 kMostCpus = 256;

// Words are separated by blanks.
class Words {
public:
    explicit Words(std::string_view text) : rest_(text) { skip_blanks(); }

    bool empty() const { return rest_.empty(); }
    std::string_view rest() const { return rest_; }

    // The next word; empty if there is none.
    std::string_view next() {
        u32 length = 0;
        while (length < rest_.size() && rest_[length] != ' ') ++length;
        const std::string_view word(rest_.data(), length);
        rest_.remove_prefix(length);
        skip_blanks();
        return word;
    }

    // Takes the next word if it is this one.
    bool take(std::string_view wanted) {
        Words after = *this;
        if (after.next() != wanted) return false;
        *this = after;
        return true;
    }

private:
    void skip_blanks() {
        while (!rest_.empty() && rest_.front() == ' ') rest_.remove_prefix(1);
    }

    std::string_view rest_;
};

// Decimal, or hexadecimal with 0x. Nothing for any other text, and if the number exceeds 64 bits.
inline std::optional<u64> number(std::string_view text) {
    const bool is_hex = text.size() > 2 && text[0] == '0' && text[1] == 'x';
    if (is_hex) text.remove_prefix(2);
    const u64 base = is_hex ? 16 : 10;
    if (text.empty()) return std::nullopt;
    u64 value = 0;
    for (const char digit : text) {
        u64 one = 16;
        if (digit >= '0' && digit <= '9') one = static_cast<u64>(digit - '0');
        if (digit >= 'a' && digit <= 'f') one = static_cast<u64>(digit - 'a') + 10;
        if (one >= base || value > (~u64{0} - one) / base) return std::nullopt;
        value = value * base + one;
    }
    return value;
}

namespace detail {

inline Problem parse_bit(std::string_view word, Spec& spec) {
    const std::optional<u64> bit = number({word.data() + 1, word.size() - 1});
    if (!bit || *bit > 31) return {word, "no bit of the feature word, which are 0 to 31"};
    const u32 mask = u32{1} << *bit;
    if ((spec.added | spec.taken) & mask) return {word, "this bit has been named before"};
    (word[0] == '+' ? spec.added : spec.taken) |= mask;
    return {};
}

inline Problem parse_msr(Words& words, Rule& rule) {
    const std::string_view word = words.next();
    const std::optional<u64> msr = number(word);
    if (!msr || *msr > ~u32{0}) return {word, "no number of an MSR"};
    if (*msr >= kFirstX2apic && *msr <= kLastX2apic)
        return {word, "an MSR of x2APIC, and KVM does not pass these on"};
    rule.msr = static_cast<u32>(*msr);
    return {};
}

inline Problem parse_action(Words& words, Rule& rule) {
    const std::string_view word = words.next();
    if (word == "ignore") {
        rule.action = Action::kIgnore;
        rule.reads = false;
        return {};
    }
    if (word == "serve") {
        rule.action = Action::kServe;
        return {};
    }
    if (word == "refuse")
        rule.action = Action::kRefuse;
    else if (word != "watch")
        return {word, "none of +BIT, -BIT, refuse, ignore, serve and watch"};
    if (words.take("read"))
        rule.writes = false;
    else if (words.take("write"))
        rule.reads = false;
    return {};
}

inline Problem parse_option(Words& words, Rule& rule) {
    const std::string_view name = words.next();
    const std::string_view word = words.next();
    if (name == "when") {
        if (word.empty()) return {name, "there is no name after it"};
        rule.when = word;
        return {};
    }
    const bool is_cpu = name == "cpu";
    if (!is_cpu && name != "from" && name != "times")
        return {name, "none of cpu, from, times and when"};
    const std::optional<u64> value = number(word);
    if (!value) return {name, "there is no number after it"};
    if (is_cpu) {
        if (*value >= kMostCpus) return {word, "no vCPU, which are 0 to 255"};
        rule.cpu = static_cast<u32>(*value);
        return {};
    }
    if (*value == 0) return {name, "the first is 1"};
    (name == "from" ? rule.from : rule.times) = *value;
    return {};
}

inline Problem parse_rule(Words words, Spec& spec) {
    if (spec.num_rules == kMostRules) return {words.next(), "one rule too many, 12 are possible"};
    Rule rule;
    if (const Problem wrong = parse_action(words, rule); wrong.text) return wrong;
    if (const Problem wrong = parse_msr(words, rule); wrong.text) return wrong;
    if (rule.action == Action::kServe) {
        const std::string_view word = words.next();
        const std::optional<u64> value = number(word);
        if (!value) return {word, "no value for the MSR to begin with"};
        rule.value = *value;
    }
    while (!words.empty())
        if (const Problem wrong = parse_option(words, rule); wrong.text) return wrong;
    spec.rules[spec.num_rules++] = rule;
    return {};
}

inline Problem parse_item(std::string_view text, Spec& spec) {
    Words words(text);
    if (words.empty()) return {text, "no bit and no rule"};
    Words one = words;
    const std::string_view first = one.next();
    if (first[0] != '+' && first[0] != '-') return parse_rule(words, spec);
    if (!one.empty()) return {one.next(), "a bit has no options"};
    return parse_bit(first, spec);
}

}  // namespace detail

// The text has to outlive the spec. After a problem the spec is of no use.
inline Problem parse(std::string_view text, Spec& spec) {
    while (true) {
        u32 length = 0;
        while (length < text.size() && text[length] != ';') ++length;
        if (const Problem wrong = detail::parse_item({text.data(), length}, spec); wrong.text)
            return wrong;
        if (length == text.size()) return {};
        text.remove_prefix(length + 1);
    }
}

}  // namespace shim
