// SPDX-License-Identifier: GPL-2.0-only
// What a rule of the doctor says of a guest.
#pragma once

#include <string>
#include <vector>

#include "read/tree.hh"

namespace kvmpv {

// kNote is worth knowing, but nobody has to be woken up for it. kUnknown: a file that the rule
// needs could not be read.
enum class Severity { kFine, kNote, kUnknown, kWarning, kCritical };

struct Finding {
    Severity severity = Severity::kFine;
    std::string title;    // what is wrong, in a few words
    std::string number;   // that shows it, and its file
    std::string meaning;  // what it costs, and where it comes from
    std::string mend;     // a line for root's shell; empty if the guest cannot repair it
};

// What a rule judges: a guest, and the same guest at an earlier moment if it was read then.
struct Look {
    Tree now;
    Tree earlier;

    // Between the two, otherwise since boot. 0 if that is not known: in owned mode the records
    // begin when kvmpv is loaded.
    std::int64_t elapsed_ns() const;
    std::int64_t stolen_ns(const StealCpu& cpu) const;
    bool has_earlier() const { return earlier.steal_cpus.has_value(); }
};

struct Rule {
    const char* name;
    Finding (*judge)(const Look& look);
};

// All of them, in the order in which they are shown.
const std::vector<Rule>& rules();

const char* name_of(Severity severity);
// As Nagios plugins exit: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.
int nagios_status(Severity worst);

}  // namespace kvmpv
