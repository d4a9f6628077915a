// SPDX-License-Identifier: GPL-2.0-only
// The command line of kvmpv: what was asked, and the exit status.
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "commands/doctor.hh"
#include "commands/set.hh"
#include "commands/status.hh"
#include "read/trouble.hh"

namespace kvmpv {
namespace {

constexpr const char* kExamples = R"(Examples:
  sudo kvmpv status                        one screen in words
  sudo kvmpv doctor                        what is wrong, and the command that repairs it
  sudo kvmpv doctor --json | jq '.rules[] | select(.severity != "OK")'
  sudo kvmpv set steal/attribution 1       charge stolen time to tasks; kvmpv set --list names the switches
  kvmpv --root /tmp/copy status            the same of a tree that was copied from another machine

Exit status: 0 all is well; 1 the kernel refused a switch; 2 wrong command line; 3 no module or no debugfs;
4 not permitted. doctor exits as Nagios plugins do: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.)";

struct Asked {
    std::string root;
    std::string since;
    double interval = 1;
    bool json = false;
    bool list = false;
    std::string file;
    std::string value;
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
    CLI::App* const status_command = app.add_subcommand(
        "status", "one screen in words: the clock, stolen time, interrupts, the last event");
    take_looks(status_command, asked);
    CLI::App* const doctor_command =
        app.add_subcommand("doctor", "what is wrong with this guest, and what to do about it");
    take_looks(doctor_command, asked);
    CLI::App* const set_command =
        app.add_subcommand("set", "write a switch, and say what the kernel answered");
    set_command->add_flag("--list", asked.list, "only name the switches");
    set_command->add_option("FILE", asked.file, "a switch: clock/release");
    set_command->add_option("VALUE", asked.value, "0 or 1");
    try {
        app.parse(count, words);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : static_cast<int>(Exit::kUsage);
    }
    if (status_command->parsed()) return status(asked);
    if (doctor_command->parsed()) return doctor(asked);
    return set_switch(asked);
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
