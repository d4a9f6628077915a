// SPDX-License-Identifier: GPL-2.0-only
// What the program knows of a guest at one moment: the module's files as types, and the other files
// that it reads.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "read/files.hh"

namespace kvmpv {

using Number = std::optional<std::int64_t>;

// A table of `field value`.
class Fields {
public:
    Fields() = default;
    explicit Fields(std::map<std::string, std::string> values) : values_(std::move(values)) {}

    bool has(const std::string& name) const { return values_.contains(name); }
    std::string text(const std::string& name) const;
    Number number(const std::string& name) const;
    bool yes(const std::string& name) const { return text(name) == "yes"; }

private:
    std::map<std::string, std::string> values_;
};

struct Feature {
    std::string name;
    std::string mode;
    std::string reason;
};

struct Status {
    std::string version;  // of the module
    std::vector<Feature> features;
    std::string vdso;
    std::string sampler;

    const Feature* feature(std::string_view name) const;
};

struct StealCpu {
    std::int64_t cpu = 0;
    std::int64_t steal_ns = 0;
    Number backward_steps;
    Number backward_ns;
    Number forward_steps;
    Number dropped_ns;
    Number longest_ns;
    std::string longest_comm;
};

struct EoiCpu {
    std::int64_t cpu = 0;
    std::int64_t elided = 0;
    std::int64_t written = 0;
    std::string reason;
};

struct OtherClock {
    std::string name;
    bool is_present = false;
    Number offset_ns;
    Number rate_ppb;
    Number error_ppb;
    Number read_ns;
};

struct Event {
    std::int64_t seq = 0;
    std::int64_t time_ns = 0;
    Number cpu;
    std::string name;
    Number value;
    std::string unit;
};

struct Events {
    std::int64_t count = 0;
    std::vector<Event> kept;  // the oldest first
};

struct Clocksources {
    std::string current;
    std::vector<std::string> available;

    bool offers(std::string_view name) const;
};

// A part is missing if its file could not be read or is of a newer version.
struct Tree {
    std::optional<Status> status;
    std::optional<Fields> clock;       // clock/state
    std::optional<Fields> wall_clock;  // clock/wall_clock
    std::optional<std::vector<OtherClock>> drift;
    std::optional<Fields> steal;  // steal/state
    std::optional<std::vector<StealCpu>> steal_cpus;
    std::optional<std::vector<EoiCpu>> eoi_cpus;
    std::optional<Fields> eoi;  // eoi/state
    std::optional<Events> events;
    std::optional<Clocksources> clocksources;
    std::string release;             // of the kernel
    Number uptime_ns;                // includes the time in suspend
    Number monotonic_ns;             // CLOCK_MONOTONIC: only of the running system
    std::vector<std::string> notes;  // what is missing, and why, in words
};

inline constexpr const char* kModuleFolder = "sys/kernel/debug/kvmpv";
inline constexpr const char* kParameterFolder = "sys/module/kvmpv/parameters";

Tree read_tree(const Files& files);
// Only what a later look is compared with: steal time, and when it was read.
Tree read_first_look(const Files& files);

}  // namespace kvmpv
