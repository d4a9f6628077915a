// SPDX-License-Identifier: GPL-2.0-only
//
// Decides by the rules of a SPEC what happens to one access of the guest to an MSR. Any thread.

#pragma once

#include "spec.hh"

namespace shim {

struct Access {
    bool is_write;
    u32 cpu;
    u32 msr;
};

class Rules {
public:
    // A vCPU that is reset keeps its values, because the shim does not learn of a reset.
    explicit Rules(const Spec& spec) : spec_(spec) {
        for (u32 at = 0; at < spec.num_rules; ++at)
            for (u64& value : values_[at]) value = spec.rules[at].value;
    }

    struct Verdict {
        Action action = Action::kLet;
        u64* value = nullptr;  // for kServe: the vCPU's own, which only its thread uses
    };

    // The first rule that holds decides. `names`: what the host script has switched on, separated
    // by blanks. This rule and those before it count the access if all but the number matches.
    Verdict judge(const Access& access, std::string_view names) {
        for (u32 at = 0; at < spec_.num_rules; ++at) {
            const Rule& rule = spec_.rules[at];
            if (!fits(rule, access) || !is_on(rule.when, names)) continue;
            const u64 number = __atomic_add_fetch(&counts_[at], 1, __ATOMIC_RELAXED);
            if (number < rule.from || number - rule.from >= rule.times) continue;
            u64* const value = access.cpu < kMostCpus ? &values_[at][access.cpu] : nullptr;
            return {rule.action, value};
        }
        return {};
    }

    // Whether a rule names this access. Then only our filter can have caused its exit.
    bool concerns(const Access& access) const {
        for (const Rule& rule : spec_.all())
            if (rule.msr == access.msr && (access.is_write ? rule.writes : rule.reads)) return true;
        return false;
    }

private:
    static bool fits(const Rule& rule, const Access& access) {
        return rule.msr == access.msr && (access.is_write ? rule.writes : rule.reads) &&
               (!rule.cpu || *rule.cpu == access.cpu);
    }

    static bool is_on(std::string_view wanted, std::string_view names) {
        if (wanted.empty()) return true;
        for (Words words(names); !words.empty();)
            if (words.next() == wanted) return true;
        return false;
    }

    const Spec& spec_;
    u64 counts_[kMostRules] = {};
    u64 values_[kMostRules][kMostCpus];
};

}  // namespace shim
