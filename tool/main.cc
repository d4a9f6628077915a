// SPDX-License-Identifier: GPL-2.0-only
// The command line of kvmpv: what was asked, and the exit status.
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <fstream>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "commands/doctor.hh"
#include "commands/record.hh"
#include "commands/report.hh"
#include "commands/set.hh"
#include "commands/status.hh"
#include "commands/top.hh"
#include "commands/watch.hh"
#include "read/trouble.hh"

namespace kvmpv {
namespace {

constexpr const char* kExamples = R"(Examples:
  sudo kvmpv status                        one screen in words
  sudo kvmpv doctor                        what is wrong, and the command that repairs it
  sudo kvmpv doctor --json | jq '.rules[] | select(.severity != "OK")'
  sudo kvmpv set steal/attribution 1       charge stolen time to tasks; kvmpv set --list names the switches
  sudo kvmpv top                           where the time of each CPU goes; q ends it
  sudo kvmpv watch --exec 'logger "$KVMPV_EVENT"'   each event as it comes
  sudo kvmpv record -o make.jsonl -- make -j2      what was stolen while a command ran
  sudo kvmpv report make.jsonl             ... by CPU and by task
  kvmpv --root /tmp/copy status            the same of a tree that was copied from another machine

Exit status: 0 all is well; 1 the kernel refused a switch, or a recording is damaged; 2 wrong command line;
3 no module or no debugfs, or a file cannot be read or written; 4 not permitted. doctor exits as Nagios plugins
do: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN. record exits with the exit status of its command.)";

struct Asked {
    std::string root;
    std::string since;
    double interval = 1;
    bool json = false;
    bool list = false;
    std::string file;
    std::string value;
    WatchOptions watch;
    TopOptions top;
    RecordOptions record;
    std::string recording = "kvmpv.jsonl";
    int (*run)(const Asked& asked) = nullptr;  // the command
};

bool is_root() { return ::geteuid() == 0; }

int fail(const Trouble& trouble) {
    fmt::print(stderr, "kvmpv: {}\n", trouble.words);
    return static_cast<int>(trouble.exit);
}

void wait(double seconds) { ::poll(nullptr, 0, static_cast<int>(std::lround(seconds * 1000))); }

// Two looks if time passes between them: at a running system, or at two copies.
Look look_at(const Directory& files, const Asked& asked) {
    Look look;
    if (!asked.since.empty()) {
        look.earlier = read_first_look(Directory(asked.since));
    } else if (!files.is_copy() && asked.interval > 0) {
        look.earlier = read_first_look(files);
        wait(asked.interval);
    }
    look.now = read_tree(files);
    for (const std::string& note : look.earlier.notes)
        look.now.notes.push_back("At the first reading " + note);
    return look;
}

// The module may go away while its files are read.
std::optional<Trouble> trouble_of(const Directory& files, const Look& look) {
    if (look.now.status) return std::nullopt;
    const std::optional<Trouble> trouble = find_trouble(files, is_root());
    return trouble
               ? trouble
               : Trouble{Exit::kNothingToRead, "This program does not understand the file status."};
}

int status(const Asked& asked) {
    const Directory files(asked.root);
    if (const auto trouble = find_trouble(files, is_root())) return fail(*trouble);
    const Look look = look_at(files, asked);
    if (const auto trouble = trouble_of(files, look)) return fail(*trouble);
    fmt::print("{}", asked.json ? status_json(look) : status_text(look, standard_output()));
    return 0;
}

// A monitoring system goes by the exit status, and reads one line of output.
int doctor_fails(const Asked& asked, const Trouble& trouble) {
    const Finding finding{Severity::kUnknown, trouble.words, {}, {}, {}};
    if (asked.json)
        fmt::print("{}", doctor_json({{{"files", finding}}, {}}));
    else
        fmt::print("kvmpv {}: {}\n", name_of(finding.severity), finding.title);
    return nagios_status(finding.severity);
}

int doctor(const Asked& asked) {
    const Directory files(asked.root);
    if (const auto trouble = find_trouble(files, is_root())) return doctor_fails(asked, *trouble);
    const Look look = look_at(files, asked);
    if (const auto trouble = trouble_of(files, look)) return doctor_fails(asked, *trouble);
    const Diagnosis diagnosis = examine(look);
    fmt::print("{}",
               asked.json ? doctor_json(diagnosis) : doctor_text(diagnosis, standard_output()));
    return nagios_status(diagnosis.worst());
}

int set_switch(const Asked& asked) {
    const Directory files(asked.root);
    if (asked.list) {
        for (const Switch& each : switches(files)) fmt::print("{}\n", each.file);
        return 0;
    }
    if (asked.file.empty() || asked.value.empty())
        return fail({Exit::kUsage, "set takes a FILE and a VALUE: kvmpv set clock/release 1"});
    const Answer answer = set(files, asked.file, asked.value, is_root());
    if (answer.exit != Exit::kOk) return fail({answer.exit, answer.words});
    fmt::print("{}\n", answer.words);
    return 0;
}

int show_top(const Asked& asked) {
    const Directory files(asked.root);
    if (const auto trouble = find_trouble(files, is_root())) return fail(*trouble);
    TopOptions options = asked.top;
    options.json = asked.json;
    const std::optional<Trouble> trouble = top(files, options, is_root());
    return trouble ? fail(*trouble) : 0;
}

int record_readings(const Asked& asked) {
    const Directory files(asked.root);
    if (const auto trouble = find_trouble(files, is_root())) return fail(*trouble);
    const Recorded recorded = record(files, asked.record);
    if (!recorded.words.empty()) fmt::print(stderr, "kvmpv: {}\n", recorded.words);
    if (!recorded.error.empty()) fmt::print(stderr, "kvmpv: {}\n", recorded.error);
    return recorded.exit_status;
}

int report(const Asked& asked) {
    std::ifstream file(asked.recording, std::ios::binary);
    if (!file)
        return fail(
            {Exit::kNothingToRead, asked.recording + " cannot be read: " + std::strerror(errno)});
    const Report read = read_report(file);
    if (read.trouble)
        return fail({read.trouble->exit, asked.recording + ": " + read.trouble->words});
    fmt::print("{}", asked.json ? report_json(read) : report_text(read, standard_output()));
    return read.damage.empty() ? 0 : static_cast<int>(Exit::kDamaged);
}

int watch_events(const Asked& asked) {
    const Directory files(asked.root);
    if (const auto trouble = find_trouble(files, is_root())) return fail(*trouble);
    WatchOptions options = asked.watch;
    options.json = asked.json;
    const std::optional<Trouble> trouble = watch(files, options);
    return trouble ? fail(*trouble) : 0;
}

// A command with its help. It runs after the whole command line has been read.
CLI::App* add(CLI::App& app, Asked& asked, const char* name, const char* help,
              int (*run)(const Asked&)) {
    CLI::App* const command = app.add_subcommand(name, help);
    command->callback([&asked, run] { asked.run = run; });
    return command;
}

void take_looks(CLI::App* command, Asked& asked) {
    command->add_flag("--json", asked.json, "for programs");
    command
        ->add_option("--interval", asked.interval,
                     "seconds between two readings; 0: one reading (1)")
        ->check(CLI::Range(0.0, 3600.0));
    command
        ->add_option("--since", asked.since,
                     "an earlier copy of this guest's tree, in place of a first reading")
        ->check(CLI::ExistingDirectory);
}

void take_top(CLI::App* command, Asked& asked) {
    command->add_flag("--json", asked.json, "for programs: an object a line");
    command->add_option("--interval", asked.top.interval, "seconds between two screens (1)")
        ->check(CLI::Range(0.1, 3600.0));
    command->add_option("--count", asked.top.count, "end after so many screens; otherwise at q")
        ->check(CLI::Range(std::int64_t{1}, std::int64_t{1'000'000'000}));
}

void take_watch(CLI::App* command, Asked& asked) {
    command->add_flag("--json", asked.json, "for programs: an object a line");
    command->add_flag("--all", asked.watch.all, "begin with the events that the module has kept");
    command->add_option("--count", asked.watch.count, "end after so many events")
        ->check(CLI::Range(std::int64_t{1}, std::int64_t{1'000'000'000}));
    command->add_option("--exec", asked.watch.command,
                        "a line for /bin/sh, run for each event: $KVMPV_EVENT, $KVMPV_VALUE, ...");
}

void take_record(CLI::App* command, Asked& asked) {
    RecordOptions& options = asked.record;
    command->add_option("-o,--output", options.output, "the file to write (kvmpv.jsonl)");
    command->add_option("--interval", options.interval, "seconds between two readings (1)")
        ->check(CLI::Range(0.1, 3600.0));
    CLI::Option* const seconds =
        command->add_option("--seconds", options.seconds, "end after so many; otherwise at Ctrl-C")
            ->check(CLI::Range(0.1, 1e9));
    command->add_option("--limit", options.limit_mb, "end before the file has so many MB (100)")
        ->check(CLI::Range(std::int64_t{1}, std::int64_t{1'000'000}));
    command
        ->add_option("COMMAND", options.command,
                     "run this, and end with it; after -- if it has options")
        ->excludes(seconds);
}

void take_set(CLI::App* command, Asked& asked) {
    command->add_flag("--list", asked.list, "only name the switches");
    command->add_option("FILE", asked.file, "a switch: clock/release");
    command->add_option("VALUE", asked.value, "0 or 1");
}

void take_commands(CLI::App& app, Asked& asked) {
    take_looks(
        add(app, asked, "status",
            "one screen in words: the clock, stolen time, interrupts, the last event", status),
        asked);
    take_looks(
        add(app, asked, "doctor", "what is wrong with this guest, and what to do about it", doctor),
        asked);
    take_top(add(app, asked, "top", "where the time of each CPU goes, again and again", show_top),
             asked);
    take_watch(add(app, asked, "watch", "each event of the clock and of steal time, as it comes",
                   watch_events),
               asked);
    take_record(
        add(app, asked, "record", "write what changes into a file, for report", record_readings),
        asked);
    CLI::App* const report_command =
        add(app, asked, "report", "what a recording says: where the time went", report);
    report_command->add_flag("--json", asked.json, "for programs");
    report_command->add_option("FILE", asked.recording, "what record has written (kvmpv.jsonl)");
    take_set(add(app, asked, "set", "write a switch, and say what the kernel answered", set_switch),
             asked);
}

int run(int count, char** words) {
    Asked asked;
    CLI::App app(
        "What the host does to this guest, in words. It reads what the module kvmpv shows.",
        "kvmpv");
    app.footer(kExamples);
    app.require_subcommand(1);
    app.set_version_flag("--version", "kvmpv " KVMPV_VERSION);
    app.add_option("--root", asked.root,
                   "a folder with a copied tree: DIR/sys/kernel/debug/kvmpv/...")
        ->check(CLI::ExistingDirectory)
        ->envname("KVMPV_ROOT");
    take_commands(app, asked);
    try {
        app.parse(count, words);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : static_cast<int>(Exit::kUsage);
    }
    return asked.run(asked);
}

// A full disk shows only when the buffered output is written.
int flushed(int exit_status) {
    if (std::fflush(stdout) == 0 && !std::ferror(stdout)) return exit_status;
    fmt::print(stderr, "kvmpv: the output could not be written: {}\n", std::strerror(errno));
    return static_cast<int>(Exit::kNothingToRead);
}

}  // namespace
}  // namespace kvmpv

int main(int count, char** words) {
    try {
        return kvmpv::flushed(kvmpv::run(count, words));
    } catch (const std::exception& error) {
        fmt::print(stderr, "kvmpv: {}\n", error.what());
        return static_cast<int>(kvmpv::Exit::kNothingToRead);
    }
}
