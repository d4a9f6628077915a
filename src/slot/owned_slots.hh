// SPDX-License-Identifier: GPL-2.0-only
//
// The slots of one feature in owned mode, and the memory that the host writes through them: a place
// for each possible CPU.

#pragma once

#include "base/cpus.hh"
#include "base/log.hh"
#include "slot/registration.hh"

namespace kvmpv {

template <class T>
concept OwnedSlotLayout = SlotLayout<T> && requires {
    // Bytes from one CPU's place to the next.
    { T::kStride } -> std::convertible_to<u32>;
    // CPU 0's place has a page to itself; the other CPUs' places begin on another page.
    { T::kCpu0HasAPageOfItsOwn } -> std::convertible_to<bool>;
};

// The machine, live or scripted.
template <class T>
concept OwnedSlotMachine = requires(u32 size, linux_area* area, const void* page, const char* text,
                                    u32 cpu, Error error) {
    { T::last_possible_cpu() } -> std::same_as<u32>;
    // See linux_area_*() in boundary.h.
    { T::area_create(size, area) } -> std::same_as<int>;
    { T::area_adopt(page, area) } -> std::same_as<void>;
    { T::area_destroy(area) } -> std::same_as<void>;
    { T::log_cpu_error(text, text, cpu, error) } -> std::same_as<void>;
};

struct LiveMachine {
    static u32 last_possible_cpu() { return kvmpv::last_possible_cpu(); }
    static int area_create(u32 size, linux_area* area) { return linux_area_create(size, area); }
    static void area_adopt(const void* page, linux_area* area) { linux_area_adopt(page, area); }
    static void area_destroy(linux_area* area) { linux_area_destroy(area); }
    static void log_cpu_error(const char* feature, const char* what, u32 cpu, Error error) {
        kvmpv::log_cpu_error(feature, what, cpu, error);
    }
};

template <OwnedSlotLayout Layout, SlotKernel Kernel = LiveKernel,
          OwnedSlotMachine Machine = LiveMachine>
class OwnedSlots {
    using Slot = Registration<Layout, Kernel>;

public:
    // `feature` starts each log line.
    explicit constexpr OwnedSlots(const char* feature) : feature_(feature) {}

    // Allocates the memory, in whole pages, because guest memory is decrypted by the page. Returns
    // the error of linux_area_create(). The caller calls destroy() after an error, too. May sleep.
    Result<void> create(Slot& registration) {
        registration_ = &registration;
        if constexpr (Layout::kCpu0HasAPageOfItsOwn)
            if (!cpu0_.address)
                if (const int error = Machine::area_create(Layout::kStride, &cpu0_))
                    return Error(error);
        const u32 places = Machine::last_possible_cpu() + (Layout::kCpu0HasAPageOfItsOwn ? 0 : 1);
        if (places == 0) return {};
        return Result<void>::from_errno(Machine::area_create(places * Layout::kStride, &area_));
    }

    // Frees the memory, except what keep() and keep_cpu0() have retained. Every other slot must
    // have been put back. May sleep.
    void destroy() {
        if (!is_kept_) {
            if (cpu0_.address && !cpu0_is_kept_) Machine::area_destroy(&cpu0_);
            if (area_.address) Machine::area_destroy(&area_);
        }
        cpu0_ = {};
        area_ = {};
    }

    // Before create(): makes `page`, which an earlier load of the module has left behind, CPU 0's
    // page. It is never freed.
    void adopt_cpu0(const void* page) {
        Machine::area_adopt(page, &cpu0_);
        cpu0_is_kept_ = true;
    }
    // CPU 0's page is never freed: others than the host, such as user space, may use it from now
    // on.
    void keep_cpu0() { cpu0_is_kept_ = true; }
    bool cpu0_is_kept() const { return cpu0_is_kept_; }
    const void* cpu0_page() const { return cpu0_.address; }

    // The place of `cpu`, a possible CPU, and its guest-physical address. After create(); any
    // context.
    void* address_of(u32 cpu) const {
        return static_cast<u8*>(area_of(cpu).address) + offset_of(cpu);
    }
    u64 physical_of(u32 cpu) const { return area_of(cpu).physical + offset_of(cpu); }

    // Takes the slot of `cpu`. Runs on that CPU, bound to it. Logs an error, after which the caller
    // still has to put the slot back: the MSR may have been written.
    Result<void> take(u32 cpu) {
        const Result<void> taken = registration_->take(cpu, physical_of(cpu));
        if (!taken.ok())
            Machine::log_cpu_error(feature_, "the slot could not be taken", cpu, taken.error());
        return taken;
    }

    // Gives up the slot of `cpu` for good. Runs on that CPU. If the slot cannot be cleared, the
    // memory is kept.
    void put_back(u32 cpu) {
        const Result<void> gone = registration_->put_back(cpu);
        if (!gone.ok()) keep(cpu, gone.error());
    }

    // The slot of `cpu` could not be cleared. The host may still write to the memory, so destroy()
    // frees none of it. Logs `error`.
    void keep(u32 cpu, Error error) {
        is_kept_ = true;
        Machine::log_cpu_error(feature_, "the slot could not be given up, its memory stays", cpu,
                               error);
    }

    // Clear the slot before suspend and take it again afterwards. On that CPU; interrupts may be
    // off. Errors are logged.
    void suspend(u32 cpu) {
        if (const Result<void> off = registration_->disarm(); !off.ok())
            Machine::log_cpu_error(feature_, "the slot could not be cleared before suspend", cpu,
                                   off.error());
    }
    Result<void> resume(u32 cpu) {
        const Result<void> on = registration_->arm(physical_of(cpu));
        if (!on.ok())
            Machine::log_cpu_error(feature_, "the slot could not be taken again after suspend", cpu,
                                   on.error());
        return on;
    }

    // Before a restart, on each CPU; interrupts may be off. Clears the slot, so that the host no
    // longer writes to guest memory. An error is dropped, because nobody could do anything about
    // it.
    void disarm() { static_cast<void>(registration_->disarm()); }

private:
    static constexpr bool has_cpu0_page(u32 cpu) {
        return Layout::kCpu0HasAPageOfItsOwn && cpu == 0;
    }
    static constexpr u64 offset_of(u32 cpu) {
        if (has_cpu0_page(cpu)) return 0;
        return u64{cpu - (Layout::kCpu0HasAPageOfItsOwn ? 1 : 0)} * Layout::kStride;
    }
    const linux_area& area_of(u32 cpu) const { return has_cpu0_page(cpu) ? cpu0_ : area_; }

    const char* feature_;
    Slot* registration_ = nullptr;
    linux_area cpu0_{};  // used only if CPU 0 has a page of its own
    linux_area area_{};
    bool cpu0_is_kept_ = false;
    bool is_kept_ = false;
};

}  // namespace kvmpv
