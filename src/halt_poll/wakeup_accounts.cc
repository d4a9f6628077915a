// SPDX-License-Identifier: GPL-2.0-only

#include "halt_poll/wakeup_accounts.hh"

#include "base/cpus.hh"
#include "base/irqs.hh"
#include "x86.hh"

namespace kvmpv::wakeup_accounts {

namespace {

constinit bool on = false;

Wakeups* of_cpu(u32 cpu) {
    return static_cast<Wakeups*>(__atomic_load_n(&linux_cpu(cpu)->wakeups, __ATOMIC_ACQUIRE));
}

bool make_account(u32 cpu) {
    if (of_cpu(cpu)) return true;
    void* const memory = linux_memory_create(sizeof(Wakeups));
    // Probes may be running already. They find memory of zeros, which is an empty account.
    __atomic_store_n(&linux_cpu(cpu)->wakeups, memory, __ATOMIC_RELEASE);
    return memory;
}

bool make_accounts() {
    const CpusLock lock;
    for (const u32 cpu : online_cpus())
        if (!make_account(cpu)) return false;
    forget_all();
    return true;
}

// Calls function(account) for this CPU, if it has one. Interrupts are off, because a timer or an
// IPI may come while the CPU reports that it leaves idle.
template <std::invocable<Wakeups&> Function>
void count_here(Function&& function) {
    const IrqsOff irqs_off;
    if (void* const account = x86::this_cpu_load<&kvmpv_cpu.wakeups>())
        function(*static_cast<Wakeups*>(account));
}

}  // namespace

Result<void> set_on(bool wanted) {
    if (wanted == on) return {};
    if (!wanted) {
        linux_wakeups_disable();
        on = false;
        return {};
    }
    if (!make_accounts()) return Error(-kEnomem);
    const Result<void> enabled = Result<void>::from_errno(linux_wakeups_enable());
    on = enabled.ok();
    return enabled;
}

bool is_on() { return on; }

bool ipis_are_timed() { return linux_wakeups_see_ipis_sent(); }

void destroy() {
    for (const u32 cpu : possible_cpus()) {
        linux_memory_destroy(of_cpu(cpu));
        linux_cpu(cpu)->wakeups = nullptr;
    }
}

void forget_all() {
    on_or_for_each_cpu([](u32 cpu) {
        if (Wakeups* const account = of_cpu(cpu)) account->forget();
    });
}

Result<void> online_cpu(u32 cpu) {
    if (on && !make_account(cpu)) return Error(-kEnomem);
    return {};
}

std::optional<Wakeups::Counts> counts_of(u32 cpu) {
    const Wakeups* const account = of_cpu(cpu);
    if (!account) return std::nullopt;
    return account->counts();
}

}  // namespace kvmpv::wakeup_accounts

using namespace kvmpv;

extern "C" void kvmpv_idle_begins() {
    wakeup_accounts::count_here([](Wakeups& account) { account.idle_begins(); });
}

extern "C" void kvmpv_idle_ends() {
    wakeup_accounts::count_here([](Wakeups& account) { account.idle_ends(); });
}

extern "C" void kvmpv_timer_expires(s64 late_ns) {
    wakeup_accounts::count_here([=](Wakeups& account) { account.timer(late_ns); });
}

extern "C" void kvmpv_ipi_arrives() {
    wakeup_accounts::count_here(
        [](Wakeups& account) { account.ipi_arrived(linux_monotonic_ns()); });
}

extern "C" void kvmpv_ipi_sent(u32 cpu) {
    if (Wakeups* const account = wakeup_accounts::of_cpu(cpu))
        account->ipi_sent(linux_monotonic_ns());
}
