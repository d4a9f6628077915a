// SPDX-License-Identifier: GPL-2.0-only
//
// The slots of a feature in owned mode, and the memory that the host writes to through them: a
// place for each possible CPU.

#pragma once

#include "base/cpus.hh"
#include "base/log.hh"
#include "slot/registration.hh"

namespace kvmpv {

template <class T>
concept OwnedSlotLayout = SlotLayout<T> && requires {
    // From one CPU's place to the next one's, in bytes.
    { T::kStride } -> std::convertible_to<u32>;
    // The others' places begin on another page.
    { T::kCpu0HasAPageOfItsOwn } -> std::convertible_to<bool>;
};

// The machine, the live one or a scripted one.
template <class T>
concept OwnedSlotMachine = requires(u32 size, linux_area* area, const void* page, const char* text,
                                    u32 cpu, Error error) {
    { T::last_possible_cpu() } -> std::same_as<u32>;
    // As linux_area_*() of boundary.h.
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
    // `feature` begins the lines in the log.
    explicit constexpr OwnedSlots(const char* feature) : feature_(feature) {}

    // Whole pages, because guest memory is decrypted by the page. destroy() after an error, too.
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

    // No slot may be ours any more.
    void destroy() {
        if (!is_kept_) {
            if (cpu0_.address && !cpu0_is_kept_) Machine::area_destroy(&cpu0_);
            if (area_.address) Machine::area_destroy(&area_);
        }
        cpu0_ = {};
        area_ = {};
    }

    // Before create(): CPU 0's page is this one, which an earlier load has left behind.
    void adopt_cpu0(const void* page) {
        Machine::area_adopt(page, &cpu0_);
        cpu0_is_kept_ = true;
    }
    // From now on others than the host may use CPU 0's page: it is never given back.
    void keep_cpu0() { cpu0_is_kept_ = true; }
    bool cpu0_is_kept() const { return cpu0_is_kept_; }
    const void* cpu0_page() const { return cpu0_.address; }

    void* address_of(u32 cpu) const {
        return static_cast<u8*>(area_of(cpu).address) + offset_of(cpu);
    }
    u64 physical_of(u32 cpu) const { return area_of(cpu).physical + offset_of(cpu); }

    // Takes the slot of `cpu`, on that CPU and bound to it. An error is logged, and the slot has to
    // be put back all the same.
    Result<void> take(u32 cpu) {
        const Result<void> taken = registration_->take(cpu, physical_of(cpu));
        if (!taken.ok())
            Machine::log_cpu_error(feature_, "the slot could not be taken", cpu, taken.error());
        return taken;
    }

    // Gives it up for good, on that CPU.
    void put_back(u32 cpu) {
        const Result<void> gone = registration_->put_back(cpu);
        if (!gone.ok()) keep(cpu, gone.error());
    }

    // The slot could not be cleared: the host may still write to the memory, so it is never given
    // back.
    void keep(u32 cpu, Error error) {
        is_kept_ = true;
        Machine::log_cpu_error(feature_, "the slot could not be given up, its memory stays", cpu,
                               error);
    }

    // Around suspend, on that CPU.
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

    // Before a restart, on each CPU: the host writes nowhere any more. Nobody could act on an
    // error.
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
    linux_area cpu0_{};  // only where CPU 0 has a page of its own
    linux_area area_{};
    bool cpu0_is_kept_ = false;
    bool is_kept_ = false;
};

}  // namespace kvmpv
