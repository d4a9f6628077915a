// SPDX-License-Identifier: GPL-2.0-only
#include "commands/set.hh"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fmt/format.h>

#include "read/table.hh"
#include "read/tree.hh"

namespace kvmpv {
namespace {

// For users who cannot read debugfs: the names that docs/debugfs.md has. `sampler` is only a
// parameter.
const std::vector<Switch>& known_switches() {
    static const std::vector<Switch> known = {
        {"async_pf/accounting", "async_pf_accounting"},
        {"clock/force_unstable", "clock_force_unstable"},
        {"clock/release", "clock_release"},
        {"clock/vdso", "vdso"},
        {"eoi/hook", "eoi_hook"},
        {"halt_poll/accounting", "halt_poll_accounting"},
        {"halt_poll/control", "halt_poll"},
        {"ipi/count", "ipi_count"},
        {"sampler", "sampler"},
        {"steal/attribution", "steal_attribution"},
        {"steal/hook", "steal_hook"},
        {"steal/reset", ""},
    };
    return known;
}

std::string path_of(const Switch& which) { return std::string(kModuleFolder) + "/" + which.file; }

std::string path_of_parameter(const Switch& which) {
    return std::string(kParameterFolder) + "/" + which.parameter;
}

// A parameter is named by the folder and the file, or by the file alone.
std::string parameter_of(const std::string& file, const Files& files) {
    std::string whole = file;
    std::replace(whole.begin(), whole.end(), '/', '_');
    const std::string bare = file.substr(file.rfind('/') + 1);
    for (const std::string& name : {whole, bare})
        if (files.exists(std::string(kParameterFolder) + "/" + name)) return name;
    return {};
}

std::string first_line(const Text& text) {
    return printable(text.content.substr(0, text.content.find('\n')));
}

// 0, or an errno.
int write_to(const std::string& path, const std::string& value) {
    const int file = ::open(("/" + path).c_str(), O_WRONLY | O_CLOEXEC);
    if (file < 0) return errno;
    const std::string line = value + '\n';
    const ssize_t written = ::write(file, line.data(), line.size());
    const int error = written < 0 ? errno : 0;
    ::close(file);
    return error;
}

// Where debugfs refuses or is not there, the parameter does the same.
int write_switch(const Switch& which, const std::string& value) {
    const int error = write_to(path_of(which), value);
    const bool is_refused = error == EPERM || error == EACCES || error == ENOENT;
    if (is_refused && !which.parameter.empty()) return write_to(path_of_parameter(which), value);
    return error;
}

std::string other_clock(const Files& files) {
    const Text available =
        files.read("sys/devices/system/clocksource/clocksource0/available_clocksource");
    for (const std::string& name : words(first_line(available)))
        if (name != "kvmpv") return name;
    return {};
}

std::string why_busy(const Switch& which, const Files& files) {
    if (which.file == "clock/release") {
        const std::string other = other_clock(files);
        if (other.empty()) return "the kernel has no other clock that it could use.";
        return "the kernel stays on kvmpv. Either somebody has written kvmpv to "
               "current_clocksource, "
               "which overrides all ratings, or no other clock will do. Try: echo " +
               other + " > /sys/devices/system/clocksource/clocksource0/current_clocksource";
    }
    if (which.file == "clock/force_unstable")
        return "the guard has to stay on: the host broke its promise (stable_revoked), or a CPU's "
               "clock is behind what was shown. See /sys/kernel/debug/kvmpv/clock/state; in the "
               "second case try again later.";
    if (which.file == "steal/hook" || which.file == "eoi/hook")
        return "another module has put its own function on top of kvmpv's. Unload that one first; "
               "target in steal/state and above in eoi/state name it.";
    if (which.file == "halt_poll/control")
        return "the kernel's driver haltpoll polls in the guest and sets this itself.";
    return "something else uses it; the kernel log may say what: dmesg | grep kvmpv";
}

std::string why_invalid(const Switch& which, const std::string& value) {
    if (which.file == "halt_poll/control" && value != "0" && value != "1")
        return "it takes 0 or 1, or a CPU's number, a blank and one of these (in quotes).";
    if (value != "0" && value != "1") return "a switch takes 0 or 1.";
    if (which.file == "steal/reset") return "it takes 1 only.";
    if (which.file == "clock/vdso")
        return "a condition is not met; the line vdso: of /sys/kernel/debug/kvmpv/status says "
               "which.";
    return "the feature is off, or the clocksource is not registered; "
           "/sys/kernel/debug/kvmpv/status says why.";
}

std::string how_to_undo(const Switch& which, const std::string& before, const std::string& value) {
    if (which.parameter.empty()) return "That cannot be undone.";
    // It was never written, or only for some CPUs.
    if (before != "0" && before != "1") return "It was not set before; rmmod undoes it.";
    if (before == value) return "It had that value before.";
    return "To undo: kvmpv set " + which.file + " " + before;
}

}  // namespace

std::vector<Switch> switches(const Files& files) {
    std::vector<Switch> all = known_switches();
    for (const std::string& file : files.writable(kModuleFolder)) {
        // A hold ends when its file is closed, and this program ends at once.
        if (file == "migration/control") continue;
        const bool is_known = std::any_of(all.begin(), all.end(),
                                          [&](const Switch& each) { return each.file == file; });
        if (!is_known) all.push_back({file, parameter_of(file, files)});
    }
    std::sort(all.begin(), all.end(),
              [](const Switch& left, const Switch& right) { return left.file < right.file; });
    return all;
}

Answer explain(const Switch& which, const std::string& value, int error, const Files& files) {
    const std::string said = fmt::format("{} was not set to {}: ", which.file, value);
    switch (error) {
        case EBUSY: return {Exit::kRefused, said + why_busy(which, files)};
        case EINVAL: return {Exit::kRefused, said + why_invalid(which, value)};
        case ENODEV:
            return {Exit::kRefused, said +
                                        "the kernel has no such CPU online, or lacks the "
                                        "tracepoint that this needs (since Linux 6.4)."};
        case ENOMEM: return {Exit::kRefused, said + "there is no memory for it."};
        case EACCES:
            return {Exit::kNotPermitted,
                    said + "only root may do that: run kvmpv as root, for example by sudo."};
        case EPERM:
        case EROFS:
            return {Exit::kNotPermitted,
                    said +
                        "the kernel is locked down, or /sys is mounted read-only (a container?). "
                        "Then not even root can do that."};
        case ENOENT:
            if (!files.exists("sys/module/kvmpv"))
                return {Exit::kNothingToRead, said + "the module kvmpv is not loaded."};
            if (files.exists(path_of(which)))
                return {Exit::kRefused, said + "the kernel lacks what it needs for that."};
            return {Exit::kNothingToRead, said +
                                              "there is no such file; debugfs may not be mounted "
                                              "(mount -t debugfs debugfs /sys/kernel/debug)."};
        default: return {Exit::kRefused, said + std::strerror(error) + "."};
    }
}

Answer set(const Files& files, const std::string& file, const std::string& value, bool is_root) {
    if (files.is_copy()) return {Exit::kUsage, "A copied tree has no switches. Leave out --root."};
    if (!files.exists("sys/module/kvmpv"))
        return {Exit::kNothingToRead, "The module kvmpv is not loaded."};
    const std::vector<Switch> all = switches(files);
    const auto which = std::find_if(all.begin(), all.end(), [&](const Switch& each) {
        return each.file == file || each.parameter == file;
    });
    if (which == all.end() || file.empty()) {
        std::string names;
        for (const Switch& each : all) names += " " + each.file;
        return {Exit::kUsage,
                "There is no switch " + printable(file) + ". The switches are:" + names};
    }
    const std::string before =
        which->parameter.empty() ? "" : first_line(files.read(path_of_parameter(*which)));
    const int error = write_switch(*which, value);
    if (error != 0)
        return explain(*which, printable(value), error == EPERM && !is_root ? EACCES : error,
                       files);
    return {Exit::kOk,
            which->file + " is " + value + " now. " + how_to_undo(*which, before, value)};
}

}  // namespace kvmpv
