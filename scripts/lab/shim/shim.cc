// SPDX-License-Identifier: GPL-2.0-only
//
// A library that is preloaded into the guest's QEMU (--shim). It plays a KVM host that offers other
// features, and that refuses, ignores or serves MSRs. KVM passes the accesses that SPEC names on to
// user space. The shim answers them around KVM_RUN, before QEMU sees them, because QEMU ends at an
// access for which it has no handler.
//
// The filter is enough even for MSRs that KVM does not have: KVM asks it before it looks an MSR up.

#include <cstdarg>
#include <cstdlib>

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "filter.hh"
#include "kvmpv/text.hh"
#include "rules.hh"

namespace shim {

namespace {

constexpr u32 kFeatureLeaf = 0x40000001;

using Line = kvmpv::LineSink<256>;

int kernel(int fd, unsigned long request, void* argument) {
    return static_cast<int>(syscall(SYS_ioctl, fd, request, argument));
}

void print(int fd, std::string_view text) {
    // There is nowhere to report an error.
    if (write(fd, text.data(), text.size()) < 0) return;
}

[[noreturn]] void give_up(const char* why) {
    print(STDERR_FILENO, "shim: ");
    print(STDERR_FILENO, why);
    print(STDERR_FILENO, "\n");
    _exit(1);
}

// struct kvm_msrs and struct kvm_cpuid2 begin with this, and their entries follow. The structs of
// the header cannot be used: they have an empty struct before the entries, whose size is 0 in C and
// 1 in C++. Nor can the header's requests, whose numbers contain these sizes.
struct TableHead {
    u32 count;
    u32 pad;
};
constexpr u32 kGetMsrs = _IOWR(KVMIO, 0x88, TableHead);
constexpr u32 kSetMsrs = _IOW(KVMIO, 0x89, TableHead);
constexpr u32 kSetCpuid2 = _IOW(KVMIO, 0x90, TableHead);

// ---- What was asked for -------------------------------------------------------------------------

const Spec& spec() {
    static const Spec asked = [] {
        Spec parsed;
        const char* const text = getenv("KVMPV_SHIM");
        if (!text || parse(text, parsed).text) give_up("$KVMPV_SHIM is not a SPEC");
        return parsed;
    }();
    return asked;
}

Rules& rules() {
    static Rules all(spec());
    return all;
}

// The names that the host script has switched on. The script replaces the file at any time, so each
// access reads it.
std::string_view names_that_are_on(std::span<char> room) {
    const int file = open(getenv("KVMPV_SHIM_ON"), O_RDONLY | O_CLOEXEC);
    if (file < 0) return {};
    const ssize_t length = read(file, room.data(), room.size());
    close(file);
    return {room.data(), length > 0 ? static_cast<size_t>(length) : 0};
}

// ---- vCPUs --------------------------------------------------------------------------------------

struct Vcpu {
    int fd;
    u32 number;
    kvm_run* run;
};

int kvm_fd = -1;
int log_file = -1;
bool is_filtered;
Vcpu vcpus[kMostCpus];
u32 num_vcpus;

// Called before there is a second thread that could use any of this.
int create_vm(int fd, void* argument) {
    kvm_fd = fd;
    log_file = open(getenv("KVMPV_SHIM_LOG"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log_file < 0) give_up("the log cannot be written");
    rules();
    return kernel(fd, KVM_CREATE_VM, argument);
}

const Vcpu* find_vcpu(int fd) {
    const u32 known = __atomic_load_n(&num_vcpus, __ATOMIC_ACQUIRE);
    for (u32 at = 0; at < known; ++at)
        if (vcpus[at].fd == fd) return &vcpus[at];
    return nullptr;
}

// QEMU creates one at a time, under its own lock.
void remember_vcpu(int fd, u32 number) {
    const int size = kernel(kvm_fd, KVM_GET_VCPU_MMAP_SIZE, nullptr);
    if (size <= 0 || num_vcpus == kMostCpus) give_up("a vCPU cannot be watched");
    void* const run =
        mmap(nullptr, static_cast<size_t>(size), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (run == MAP_FAILED) give_up("a vCPU's page cannot be mapped");
    vcpus[num_vcpus] = {fd, number, static_cast<kvm_run*>(run)};
    __atomic_store_n(&num_vcpus, num_vcpus + 1, __ATOMIC_RELEASE);
}

// ---- MSRs ---------------------------------------------------------------------------------------

struct OneMsr {
    TableHead head;
    kvm_msr_entry entry;
};
static_assert(sizeof(OneMsr) == 24);

// An access as the host makes it: KVM does not apply the filter to that.
bool host_access(int fd, u32 request, u32 msr, u64& value) {
    OneMsr one{{1, 0}, {}};
    one.entry.index = msr;
    one.entry.data = value;
    const bool done = kernel(fd, request, &one) == 1;
    value = one.entry.data;
    return done;
}

// Whether the access succeeds, and the word for it in the log.
struct Answer {
    bool ok;
    const char* said;
};

Answer answer(const Vcpu& vcpu, const Access& access, u64& data) {
    char room[256];
    const Rules::Verdict verdict = rules().judge(access, names_that_are_on(room));
    switch (verdict.action) {
        case Action::kRefuse: return {false, "refused"};
        case Action::kIgnore: return {true, "ignored"};
        case Action::kServe:
            (access.is_write ? *verdict.value : data) = access.is_write ? data : *verdict.value;
            return {true, "served"};
        case Action::kLet: break;
    }
    const u32 request = access.is_write ? kSetMsrs : kGetMsrs;
    const bool done = host_access(vcpu.fd, request, access.msr, data);
    return {done, done ? "let" : "failed"};
}

// One write of a whole line, so that lines of several vCPUs do not mix.
void log(const Access& access, u64 data, const char* said) {
    kvmpv::LineBuffer<256> line;
    kvmpv::Writer<Line> out(Line{&line});
    out << (access.is_write ? "write " : "read ") << access.cpu << " " << kvmpv::Hex{access.msr}
        << " " << kvmpv::Hex{data} << " " << said << "\n";
    print(log_file, line.text());
}

// Returns true if the exit was for us; then it is answered.
bool serve(const Vcpu& vcpu) {
    kvm_run& run = *vcpu.run;
    const bool is_write = run.exit_reason == KVM_EXIT_X86_WRMSR;
    if (!is_write && run.exit_reason != KVM_EXIT_X86_RDMSR) return false;
    const Access access{is_write, vcpu.number, run.msr.index};
    if (!rules().concerns(access)) return false;
    u64 data = is_write ? u64{run.msr.data} : 0;
    const Answer given = answer(vcpu, access, data);
    log(access, data, given.said);
    run.msr.error = !given.ok;
    run.msr.data = data;
    return true;
}

// If a signal arrives meanwhile, QEMU sets immediate_exit. KVM_RUN then completes the access and
// returns at once.
int run_vcpu(int fd) {
    const Vcpu* const vcpu = find_vcpu(fd);
    int result = kernel(fd, KVM_RUN, nullptr);
    while (result == 0 && vcpu && serve(*vcpu)) result = kernel(fd, KVM_RUN, nullptr);
    return result;
}

int set_filter(int vm, const kvm_msr_filter& asked) {
    kvm_msr_filter filter = asked;
    if (!add_rules(spec(), filter)) give_up("there is no room for all rules in KVM's filter");
    const int result = kernel(vm, KVM_X86_SET_MSR_FILTER, &filter);
    is_filtered |= result == 0;
    return result;
}

int enable_capability(int fd, const kvm_enable_cap& asked) {
    kvm_enable_cap wanted = asked;
    if (wanted.cap == KVM_CAP_X86_USER_SPACE_MSR) wanted.args[0] |= KVM_MSR_EXIT_REASON_FILTER;
    return kernel(fd, KVM_ENABLE_CAP, &wanted);
}

// If QEMU sets a filter of its own, it has done so before it creates the first vCPU.
int create_vcpu(int vm, void* number) {
    if (spec().num_rules && !is_filtered) {
        kvm_enable_cap capability{};
        capability.cap = KVM_CAP_X86_USER_SPACE_MSR;
        if (enable_capability(vm, capability) || set_filter(vm, {}))
            give_up("KVM does not leave MSRs to user space");
    }
    const int vcpu = kernel(vm, KVM_CREATE_VCPU, number);
    if (vcpu >= 0) remember_vcpu(vcpu, static_cast<u32>(reinterpret_cast<uintptr_t>(number)));
    return vcpu;
}

// ---- CPUID --------------------------------------------------------------------------------------

// Changes a copy: QEMU's own table stays as it is.
int set_cpuid(int fd, const TableHead& asked) {
    const size_t size = sizeof(TableHead) + asked.count * sizeof(kvm_cpuid_entry2);
    auto* const changed = static_cast<TableHead*>(malloc(size));
    if (!changed) give_up("no memory");
    __builtin_memcpy(changed, &asked, size);
    auto* const entries = reinterpret_cast<kvm_cpuid_entry2*>(changed + 1);
    for (kvm_cpuid_entry2& entry : std::span(entries, changed->count))
        if (entry.function == kFeatureLeaf) entry.eax = (entry.eax | spec().added) & ~spec().taken;
    const int result = kernel(fd, kSetCpuid2, changed);
    free(changed);
    return result;
}

}  // namespace

}  // namespace shim

// For scripts/guest: writes to `said` what is wrong with this SPEC, a sentence without its full
// stop, or an empty string if nothing is.
extern "C" [[gnu::visibility("default")]] void kvmpv_shim_problem(const char* text, char* said,
                                                                  u32 room) {
    shim::Spec spec;
    const shim::Problem wrong = shim::parse(text, spec);
    kvmpv::LineBuffer<256> line;
    kvmpv::Writer<shim::Line> out(shim::Line{&line});
    if (wrong.text) {
        out << "'";
        line.write(wrong.word.data(), static_cast<u32>(wrong.word.size()));
        out << (wrong.word.empty() ? "': something is missing: " : "': ") << wrong.text;
    }
    u32 at = 0;
    for (; at + 1 < room && line.text()[at]; ++at) said[at] = line.text()[at];
    said[at] = '\0';
}

// QEMU passes requests as int, so those with the highest bit set arrive sign-extended.
extern "C" [[gnu::visibility("default")]] int ioctl(int fd, unsigned long request, ...) noexcept {
    va_list arguments;
    va_start(arguments, request);
    void* const argument = va_arg(arguments, void*);
    va_end(arguments);

    switch (static_cast<u32>(request)) {
        case KVM_RUN: return shim::run_vcpu(fd);
        case KVM_CREATE_VM: return shim::create_vm(fd, argument);
        case KVM_CREATE_VCPU: return shim::create_vcpu(fd, argument);
        case KVM_ENABLE_CAP:
            return shim::enable_capability(fd, *static_cast<const kvm_enable_cap*>(argument));
        case KVM_X86_SET_MSR_FILTER:
            return shim::set_filter(fd, *static_cast<const kvm_msr_filter*>(argument));
        case shim::kSetCpuid2:
            return shim::set_cpuid(fd, *static_cast<const shim::TableHead*>(argument));
        default: break;
    }
    return shim::kernel(fd, request, argument);
}
