// SPDX-License-Identifier: GPL-2.0-only
#include "record/format.hh"

#include <algorithm>
#include <istream>
#include <limits>

#include "change/change.hh"
#include "read/table.hh"
#include "say/json.hh"
#include "say/numbers.hh"

namespace kvmpv {
namespace {

using nlohmann::json;

// No line of record's is a tenth of this.
constexpr std::size_t kLongestLine = 64 << 20;
// So many lines are named, and the rest are counted.
constexpr std::int64_t kMostNamed = 5;

json charges_json(const Charges& charges) {
    json rows = json::array();
    for (const Charge& row : charges.rows)
        rows.push_back({row.what, json_of(row.id), row.steal_ns, row.name});
    return {
        {"on", charges.is_on}, {"since_reset_ns", json_of(charges.since_reset_ns)}, {"rows", rows}};
}

json steal_json(const std::vector<StealCpu>& cpus) {
    json rows = json::array();
    for (const StealCpu& cpu : cpus)
        rows.push_back({{"cpu", cpu.cpu},
                        {"steal_ns", cpu.steal_ns},
                        {"bursts", json_of(cpu.bursts)},
                        {"longest_ns", json_of(cpu.longest_ns)},
                        {"longest_comm", cpu.longest_comm}});
    return rows;
}

json times_json(const std::vector<CpuTimes>& cpus) {
    json rows = json::array();
    for (const CpuTimes& cpu : cpus)
        rows.push_back({{"cpu", cpu.cpu}, {"run_ns", cpu.run_ns}, {"idle_ns", cpu.idle_ns}});
    return rows;
}

json eoi_json(const std::vector<EoiCpu>& cpus) {
    json rows = json::array();
    for (const EoiCpu& cpu : cpus)
        rows.push_back({{"cpu", cpu.cpu}, {"elided", cpu.elided}, {"written", cpu.written}});
    return rows;
}

json events_json(const Events& events, std::int64_t last_event) {
    json rows = json::array();
    for (const Event& event : news(last_event, events).events) rows.push_back(json_of(event));
    return {{"count", events.count}, {"new", rows}};
}

// What a damaged file has of another kind than it should is taken as missing.
const json& member(const json& object, const char* name) {
    static const json missing;
    if (!object.is_object()) return missing;
    const auto found = object.find(name);
    return found == object.end() ? missing : *found;
}

Number number_of(const json& value) {
    if (value.is_number_unsigned() &&
        value.get<std::uint64_t>() >
            static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
        return std::nullopt;
    return value.is_number_integer() ? Number(value.get<std::int64_t>()) : std::nullopt;
}

// It is shown on terminals.
std::string text_of(const json& value) {
    return value.is_string() ? printable(value.get_ref<const std::string&>()) : std::string();
}

template <typename Row, typename Make>
std::optional<std::vector<Row>> rows_of(const json& rows, Make make) {
    if (!rows.is_array()) return std::nullopt;
    std::vector<Row> made;
    for (const json& row : rows)
        if (std::optional<Row> one = make(row)) made.push_back(std::move(*one));
    return made;
}

std::optional<StealCpu> steal_of(const json& row) {
    const Number cpu = number_of(member(row, "cpu"));
    const Number steal = number_of(member(row, "steal_ns"));
    if (!cpu || !steal) return std::nullopt;
    StealCpu made;
    made.cpu = *cpu;
    made.steal_ns = *steal;
    made.bursts = number_of(member(row, "bursts"));
    made.longest_ns = number_of(member(row, "longest_ns"));
    made.longest_comm = text_of(member(row, "longest_comm"));
    return made;
}

std::optional<CpuTimes> times_of(const json& row) {
    const Number cpu = number_of(member(row, "cpu"));
    const Number run = number_of(member(row, "run_ns"));
    const Number idle = number_of(member(row, "idle_ns"));
    if (!cpu || !run || !idle) return std::nullopt;
    return CpuTimes{*cpu, *run, *idle};
}

std::optional<EoiCpu> eoi_of(const json& row) {
    const Number cpu = number_of(member(row, "cpu"));
    const Number elided = number_of(member(row, "elided"));
    const Number written = number_of(member(row, "written"));
    if (!cpu || !elided || !written) return std::nullopt;
    return EoiCpu{*cpu, *elided, *written, {}};
}

std::optional<Event> event_of(const json& row) {
    const Number seq = number_of(member(row, "seq"));
    const Number time = number_of(member(row, "time_ns"));
    if (!seq || !time) return std::nullopt;
    return Event{*seq,
                 *time,
                 number_of(member(row, "cpu")),
                 text_of(member(row, "event")),
                 number_of(member(row, "value")),
                 text_of(member(row, "unit"))};
}

std::optional<Charge> charge_of(const json& row) {
    if (!row.is_array() || row.size() != 4) return std::nullopt;
    const Number steal = number_of(row[2]);
    if (!steal) return std::nullopt;
    return Charge{text_of(row[0]), number_of(row[1]), *steal, text_of(row[3])};
}

std::optional<Charges> charges_of(const json& object) {
    std::optional<std::vector<Charge>> rows = rows_of<Charge>(member(object, "rows"), charge_of);
    if (!rows) return std::nullopt;
    return Charges{member(object, "on") == json(true), number_of(member(object, "since_reset_ns")),
                   std::move(*rows)};
}

std::vector<std::string> texts_of(const json& array) {
    std::vector<std::string> texts;
    if (array.is_array())
        for (const json& one : array) texts.push_back(text_of(one));
    return texts;
}

Tree reading_of(const json& line) {
    Tree reading;
    reading.monotonic_ns = number_of(member(line, "monotonic_ns"));
    reading.uptime_ns = number_of(member(line, "uptime_ns"));
    reading.loading = text_of(member(line, "loading"));
    reading.steal_cpus = rows_of<StealCpu>(member(line, "steal"), steal_of);
    reading.cpu_times = rows_of<CpuTimes>(member(line, "times"), times_of);
    reading.eoi_cpus = rows_of<EoiCpu>(member(line, "eoi"), eoi_of);
    if (const Number reset = number_of(member(line, "reset_time_ns")))
        reading.steal = Fields({{"reset_time_ns", std::to_string(*reset)}});
    if (const json& events = member(line, "events"); events.is_object())
        reading.events =
            Events{number_of(member(events, "count")).value_or(0),
                   rows_of<Event>(member(events, "new"), event_of).value_or(std::vector<Event>())};
    reading.tasks = charges_of(member(line, "tasks"));
    reading.cgroups = charges_of(member(line, "cgroups"));
    reading.notes = texts_of(member(line, "notes"));
    return reading;
}

}  // namespace

std::string heading_line(const Heading& heading) {
    return json{{"kind", "kvmpv recording"},
                {"version", kRecordingVersion},
                {"program", KVMPV_VERSION},
                {"module", heading.module},
                {"kernel", heading.kernel},
                {"interval_ns", heading.interval_ns},
                {"realtime_ns", json_of(heading.realtime_ns)},
                {"command", heading.command}}
               .dump(-1, ' ', false, json::error_handler_t::replace) +
           '\n';
}

std::string reading_line(const Tree& reading, std::int64_t last_event, bool with_charges) {
    json line{{"kind", "reading"},
              {"monotonic_ns", json_of(reading.monotonic_ns)},
              {"uptime_ns", json_of(reading.uptime_ns)},
              {"loading", reading.loading}};
    if (reading.steal_cpus) line["steal"] = steal_json(*reading.steal_cpus);
    if (reading.cpu_times) line["times"] = times_json(*reading.cpu_times);
    if (reading.eoi_cpus) line["eoi"] = eoi_json(*reading.eoi_cpus);
    if (reading.steal) line["reset_time_ns"] = json_of(reading.steal->number("reset_time_ns"));
    if (reading.events) line["events"] = events_json(*reading.events, last_event);
    if (with_charges && reading.tasks) line["tasks"] = charges_json(*reading.tasks);
    if (with_charges && reading.cgroups) line["cgroups"] = charges_json(*reading.cgroups);
    if (!reading.notes.empty()) line["notes"] = reading.notes;
    return line.dump() + '\n';
}

std::string ending_line(const Ending& ending) {
    return json{{"kind", "end"},
                {"why", ending.why},
                {"readings", ending.readings},
                {"exit_status", json_of(ending.exit_status)}}
               .dump() +
           '\n';
}

bool Recording::next_line(std::string& line) {
    line.clear();
    std::streambuf& source = *lines_.rdbuf();
    for (int letter = source.sbumpc(); letter != std::istream::traits_type::eof();
         letter = source.sbumpc()) {
        if (letter == '\n') {
            ++line_;
            return true;
        }
        if (line.size() < kLongestLine) line += static_cast<char>(letter);
    }
    if (!line.empty()) note("The last line is cut off, and was left out.");
    return false;
}

void Recording::note(const std::string& sentence) { damage_.push_back(sentence); }

std::optional<Trouble> Recording::begin() {
    std::string text;
    const bool has_line = next_line(text);
    const json line = json::parse(text, nullptr, false);
    if (!has_line && text.empty()) return Trouble{Exit::kNothingToRead, "The file is empty."};
    if (member(line, "kind") != json("kvmpv recording"))
        return Trouble{Exit::kNothingToRead,
                       "This is not a recording of kvmpv, or its first line is damaged."};
    const Number version = number_of(member(line, "version"));
    if (!version || *version > kRecordingVersion)
        return Trouble{Exit::kNothingToRead,
                       "The recording is newer than this program: it has version " +
                           (version ? std::to_string(*version) : "?") +
                           ", and this program knows " + std::to_string(kRecordingVersion) +
                           ". Build it again: make tool"};
    heading_.module = text_of(member(line, "module"));
    heading_.kernel = text_of(member(line, "kernel"));
    heading_.interval_ns = number_of(member(line, "interval_ns")).value_or(0);
    heading_.realtime_ns = number_of(member(line, "realtime_ns"));
    heading_.command = texts_of(member(line, "command"));
    return std::nullopt;
}

std::optional<Tree> Recording::next() {
    std::string text;
    while (next_line(text)) {
        const json line = json::parse(text, nullptr, false);
        const json& kind = member(line, "kind");
        if (kind == json("reading")) {
            ++readings_;
            return reading_of(line);
        }
        if (kind == json("end")) {
            ending_ = Ending{text_of(member(line, "why")),
                             number_of(member(line, "readings")).value_or(0),
                             number_of(member(line, "exit_status"))};
        } else if (!kind.is_string()) {  // a later version may have other kinds
            ++damaged_;
            if (damaged_ <= kMostNamed)
                note("Line " + std::to_string(line_) + " is damaged, and was left out.");
        }
    }
    return std::nullopt;
}

std::vector<std::string> Recording::damage() const {
    std::vector<std::string> sentences = damage_;
    if (damaged_ > kMostNamed)
        sentences.push_back(count(damaged_ - kMostNamed, "more line") + " were damaged.");
    if (!ending_)
        sentences.push_back("The recording has no end: record was killed, or the file is cut off.");
    else if (ending_->readings != readings_)
        sentences.push_back("Of " + count(ending_->readings, "reading") + " there are " +
                            std::to_string(readings_) + " in the file.");
    return sentences;
}

}  // namespace kvmpv
