// SPDX-License-Identifier: GPL-2.0-only
//
// Runs the scripted suites in user space, from the same files as in the kernel: under sanitizers,
// and in seconds without a guest. Prints KTAP. Exits with 1 if a case failed.

#include "kunit_boundary.h"

// The handle of a case.
struct kunit {
    const char* name;
    bool failed;
};

void linux_test_log(kunit* test, const char* text) {
    __builtin_printf("    # %s: %s\n", test->name, text);
}

void linux_test_fail(kunit* test, const char* text) {
    test->failed = true;
    linux_test_log(test, text);
}

// A scripted case needs nothing that could be missing, so it has no reason to skip.
void linux_test_skip(kunit* test, const char* reason) { linux_test_fail(test, reason); }

namespace {

bool run_case(const kvmpv_test_case& one, u32 number) {
    kunit test{one.name, false};
    one.run(&test);
    __builtin_printf("    %s %u %s\n", test.failed ? "not ok" : "ok", number, one.name);
    return !test.failed;
}

bool run_suite(const char* name, const kvmpv_test_suite& suite, u32 number) {
    const std::span cases(suite.cases, suite.count);
    __builtin_printf("    KTAP version 1\n    # Subtest: %s\n    1..%u\n", name, suite.count);
    bool ok = true;
    u32 case_number = 0;
    for (const kvmpv_test_case& one : cases) ok &= run_case(one, ++case_number);
    __builtin_printf("%s %u %s\n", ok ? "ok" : "not ok", number, name);
    return ok;
}

}  // namespace

#define COUNT(suite) ++suites
#define RUN(suite) ok &= run_suite("kvmpv_" #suite, kvmpv_test_##suite, ++number)

int main() {
    u32 suites = 0;
    KVMPV_SCRIPTED_SUITES(COUNT);
    __builtin_printf("KTAP version 1\n1..%u\n", suites);

    bool ok = true;
    u32 number = 0;
    KVMPV_SCRIPTED_SUITES(RUN);
    return ok ? 0 : 1;
}
