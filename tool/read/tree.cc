// SPDX-License-Identifier: GPL-2.0-only
#include "read/tree.hh"

#include <time.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>

#include "read/table.hh"

namespace kvmpv {
namespace {

// Goes over the files one by one and keeps what is wrong with them.
class Reader {
public:
    explicit Reader(const Files& files) : files_(files) {}

    // Nothing if it could not be read, or its version is newer than this program.
    std::optional<Document> document(const std::string& name) {
        const Text text = files_.read(std::string(kModuleFolder) + "/" + name);
        if (!text.ok()) {
            note(name + " cannot be read: " + std::strerror(text.error));
            return std::nullopt;
        }
        Document document = parse(text.content);
        if (!document.version) {
            note(name + " does not begin with its version; it is left out");
            return std::nullopt;
        }
        if (!document.is_known()) {
            note(name + " has version " + std::to_string(*document.version) +
                 ", which is newer than this program; it is left out");
            return std::nullopt;
        }
        if (document.is_cut) note(name + " is cut off");
        return document;
    }

    Table table(const std::string& name, const Document& document,
                std::initializer_list<std::string_view> columns) {
        Table table = document.table(columns);
        if (table.cut_short() > 0)
            note(name + " has " + std::to_string(table.cut_short()) +
                 " lines with too few values; they are left out");
        return table;
    }

    std::string line(const std::string& path) {
        const Text text = files_.read(path);
        return printable(text.content.substr(0, text.content.find('\n')));
    }

    std::vector<std::string> take_notes() { return std::move(notes_); }

private:
    void note(const std::string& text) { notes_.push_back(text); }

    const Files& files_;
    std::vector<std::string> notes_;
};

std::optional<Fields> read_fields(Reader& reader, const std::string& name) {
    const std::optional<Document> document = reader.document(name);
    if (!document) return std::nullopt;
    const Table table = reader.table(name, *document, {"field", "value"});
    std::map<std::string, std::string> values;
    for (const Row& row : table.rows()) values[row.text("field")] = row.text("value");
    return Fields(std::move(values));
}

std::optional<Status> read_status(Reader& reader) {
    const std::optional<Document> document = reader.document("status");
    if (!document) return std::nullopt;
    Status status;
    const std::string version = document->line("kvmpv ");
    status.version = version.substr(0, version.find(','));
    // Its last column is named by words: `reason at load; what holds now`.
    for (const std::string& line : document->lines) {
        const std::vector<std::string> word = words(line);
        const bool is_mode =
            word.size() > 1 && (word[1] == "shared" || word[1] == "owned" || word[1] == "off");
        if (!is_mode) continue;
        const std::size_t mode = line.find(" " + word[1]) + 1;
        const std::size_t reason = line.find_first_not_of(' ', mode + word[1].size());
        status.features.push_back(
            {word[0], word[1], reason == std::string::npos ? "" : line.substr(reason)});
    }
    status.vdso = document->line("vdso: ");
    status.sampler = document->line("sampler: ");
    return status;
}

std::optional<std::vector<StealCpu>> read_steal_cpus(Reader& reader) {
    const std::optional<Document> document = reader.document("steal/cpus");
    if (!document) return std::nullopt;
    const Table table = reader.table("steal/cpus", *document, {"cpu", "steal_ns"});
    std::vector<StealCpu> cpus;
    for (const Row& row : table.rows()) {
        const Number cpu = row.number("cpu");
        const Number steal = row.number("steal_ns");
        if (!cpu || !steal) continue;
        cpus.push_back({*cpu, *steal, row.number("backward_steps"), row.number("backward_ns"),
                        row.number("forward_steps"), row.number("dropped_ns"),
                        row.number("longest_ns"), row.text("longest_comm"), row.number("bursts")});
    }
    return cpus;
}

std::optional<std::vector<EoiCpu>> read_eoi_cpus(Reader& reader) {
    const std::optional<Document> document = reader.document("eoi/cpus");
    if (!document) return std::nullopt;
    const Table table = reader.table("eoi/cpus", *document, {"cpu", "elided", "written"});
    std::vector<EoiCpu> cpus;
    for (const Row& row : table.rows()) {
        const Number cpu = row.number("cpu");
        const Number elided = row.number("elided");
        const Number written = row.number("written");
        if (cpu && elided && written) cpus.push_back({*cpu, *elided, *written, row.text("reason")});
    }
    return cpus;
}

std::optional<std::vector<OtherClock>> read_drift(Reader& reader) {
    const std::optional<Document> document = reader.document("clock/drift");
    if (!document) return std::nullopt;
    const Table table = reader.table("clock/drift", *document, {"clock", "present"});
    std::vector<OtherClock> clocks;
    for (const Row& row : table.rows())
        clocks.push_back({row.text("clock"), row.text("present") == "yes", row.number("offset_ns"),
                          row.number("rate_ppb"), row.number("error_ppb"), row.number("read_ns")});
    return clocks;
}

std::optional<Events> read_events(Reader& reader) {
    const std::optional<Document> document = reader.document("events");
    if (!document) return std::nullopt;
    reader.table("events", *document, {"seq", "time_ns", "event"});
    return events_of(*document);
}

// `key` and `name` are the columns of what was charged.
std::optional<Charges> read_charges(Reader& reader, const std::string& file, const char* key,
                                    const char* name) {
    const std::optional<Document> document = reader.document(file);
    if (!document) return std::nullopt;
    Charges charges;
    // attribution on since_reset_ns 22279525582
    const std::vector<std::string> head = words(document->line("attribution "));
    if (head.size() == 3) {
        charges.is_on = head[0] == "on";
        charges.since_reset_ns = to_number(head[2]);
    }
    const Table table = reader.table(file, *document, {"what", "steal_ns", key, name});
    for (const Row& row : table.rows())
        if (const Number steal = row.number("steal_ns"))
            charges.rows.push_back({row.text("what"), row.number(key), *steal, row.text(name)});
    return charges;
}

// cpu0 user nice system idle iowait irq softirq steal guest guest_nice, in ticks of 10 ms. The
// last two are in the first two as well.
std::optional<std::vector<CpuTimes>> read_cpu_times(const Files& files) {
    constexpr std::int64_t kTickNs = 10'000'000;
    constexpr std::int64_t kMostTicks = std::numeric_limits<std::int64_t>::max() / kTickNs / 8;
    const Text text = files.read("proc/stat");
    if (!text.ok()) return std::nullopt;
    std::vector<CpuTimes> cpus;
    for (const std::string& line : parse(text.content).lines) {
        const std::vector<std::string> word = words(line);
        if (word.size() < 8 || !word[0].starts_with("cpu")) continue;
        const Number cpu = to_number(std::string_view(word[0]).substr(3));
        std::array<std::int64_t, 7> ticks{};
        bool is_whole = cpu.has_value();
        for (std::size_t at = 0; at < ticks.size(); ++at) {
            ticks[at] = to_number(word[at + 1]).value_or(-1);
            is_whole = is_whole && ticks[at] >= 0 && ticks[at] <= kMostTicks;
        }
        if (!is_whole) continue;
        const auto [user, nice, system, idle, iowait, irq, softirq] = ticks;
        cpus.push_back(
            {*cpu, (user + nice + system + irq + softirq) * kTickNs, (idle + iowait) * kTickNs});
    }
    return cpus;
}

std::optional<Clocksources> read_clocksources(Reader& reader) {
    const std::string folder = "sys/devices/system/clocksource/clocksource0/";
    Clocksources found;
    found.current = reader.line(folder + "current_clocksource");
    found.available = words(reader.line(folder + "available_clocksource"));
    if (found.current.empty()) return std::nullopt;
    return found;
}

Number read_uptime(Reader& reader) {
    constexpr double kMost = 1e9;  // seconds: thirty years
    const std::string line = reader.line("proc/uptime");
    const double seconds = std::strtod(line.c_str(), nullptr);
    if (!std::isfinite(seconds) || seconds <= 0 || seconds > kMost) return std::nullopt;
    return std::llround(seconds * 1e9);
}

Number read_monotonic() {
    timespec now;
    if (::clock_gettime(CLOCK_MONOTONIC, &now) != 0) return std::nullopt;
    return now.tv_sec * std::int64_t{1'000'000'000} + now.tv_nsec;
}

// Close together, because the one is divided by the other.
void read_steal_and_moment(const Files& files, Reader& reader, Tree& tree) {
    tree.steal_cpus = read_steal_cpus(reader);
    tree.uptime_ns = read_uptime(reader);
    if (!files.is_copy()) tree.monotonic_ns = read_monotonic();
}

}  // namespace

std::string Fields::text(const std::string& name) const {
    const auto found = values_.find(name);
    return found == values_.end() ? std::string() : found->second;
}

Number Fields::number(const std::string& name) const { return to_number(text(name)); }

const Feature* Status::feature(std::string_view name) const {
    const auto found = std::find_if(features.begin(), features.end(),
                                    [&](const Feature& each) { return each.name == name; });
    return found == features.end() ? nullptr : &*found;
}

bool Clocksources::offers(std::string_view name) const {
    return std::find(available.begin(), available.end(), name) != available.end();
}

Tree read_first_look(const Files& files) {
    Reader reader(files);
    Tree tree;
    read_steal_and_moment(files, reader, tree);
    return tree;
}

Events events_of(const Document& document) {
    Events events;
    const std::vector<std::string> counts = words(document.line("events "));
    if (!counts.empty()) events.count = to_number(counts.front()).value_or(0);
    const Table table = document.table({"seq", "time_ns", "event"});
    for (const Row& row : table.rows()) {
        const Number seq = row.number("seq");
        const Number time = row.number("time_ns");
        if (seq && time)
            events.kept.push_back({*seq, *time, row.number("cpu"), row.text("event"),
                                   row.number("value"), row.text("unit")});
    }
    return events;
}

Tree read_changing(const Files& files) {
    Reader reader(files);
    Tree tree;
    tree.loading = files.identity(std::string(kModuleFolder) + "/status");
    tree.cpu_times = read_cpu_times(files);
    read_steal_and_moment(files, reader, tree);
    tree.eoi_cpus = read_eoi_cpus(reader);
    tree.clock = read_fields(reader, "clock/state");
    tree.steal = read_fields(reader, "steal/state");
    tree.events = read_events(reader);
    tree.tasks = read_charges(reader, "steal/tasks", "pid", "comm");
    tree.cgroups = read_charges(reader, "steal/cgroups", "id", "path");
    tree.clocksources = read_clocksources(reader);
    tree.notes = reader.take_notes();
    return tree;
}

Tree read_tree(const Files& files) {
    Reader reader(files);
    Tree tree;
    read_steal_and_moment(files, reader, tree);
    tree.status = read_status(reader);
    tree.clock = read_fields(reader, "clock/state");
    tree.wall_clock = read_fields(reader, "clock/wall_clock");
    tree.drift = read_drift(reader);
    tree.steal = read_fields(reader, "steal/state");
    tree.eoi_cpus = read_eoi_cpus(reader);
    tree.eoi = read_fields(reader, "eoi/state");
    tree.events = read_events(reader);
    tree.clocksources = read_clocksources(reader);
    tree.release = reader.line("proc/sys/kernel/osrelease");
    tree.notes = reader.take_notes();
    return tree;
}

}  // namespace kvmpv
