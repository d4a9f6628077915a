// SPDX-License-Identifier: GPL-2.0-only
#include "commands/watch.hh"

#include <spawn.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include <fmt/format.h>

#include "change/change.hh"
#include "read/awaited.hh"
#include "read/sum.hh"
#include "say/events.hh"
#include "say/json.hh"
#include "say/numbers.hh"

namespace kvmpv {
namespace {

std::string text_of(const Number& number) { return number ? std::to_string(*number) : ""; }

std::int64_t nanoseconds(clockid_t clock) {
    timespec now{};
    ::clock_gettime(clock, &now);
    return now.tv_sec * std::int64_t{1'000'000'000} + now.tv_nsec;
}

std::int64_t to_realtime_ns() { return nanoseconds(CLOCK_REALTIME) - nanoseconds(CLOCK_MONOTONIC); }

// Waits for the command's end, so that the commands of two events do not run at once.
void run_command(const std::string& command, const Event& event) {
    std::vector<std::string> own = environment_of(event);
    std::vector<char*> environment;
    for (char** entry = ::environ; *entry != nullptr; ++entry)
        // Where a name is twice, a shell takes the last one, but other programs the first.
        if (!std::string_view(*entry).starts_with("KVMPV_")) environment.push_back(*entry);
    for (std::string& entry : own) environment.push_back(entry.data());
    environment.push_back(nullptr);
    std::string shell = "sh", option = "-c", line = command;
    char* const words[] = {shell.data(), option.data(), line.data(), nullptr};
    pid_t child = 0;
    const int error = ::posix_spawn(&child, "/bin/sh", nullptr, nullptr, words, environment.data());
    if (error != 0) {
        fmt::print(stderr, "kvmpv: /bin/sh cannot be started: {}\n", std::strerror(error));
        return;
    }
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) != 0)
        fmt::print(stderr, "kvmpv: the command failed with exit status {}\n", WEXITSTATUS(status));
    if (WIFSIGNALED(status))
        fmt::print(stderr, "kvmpv: the command was ended by signal {}\n", WTERMSIG(status));
}

// Each line at once, because somebody may wait for it.
std::optional<Trouble> print(const std::string& line) {
    fmt::print("{}", line);
    if (std::fflush(stdout) == 0) return std::nullopt;
    return Trouble{Exit::kNothingToRead,
                   std::string("the output could not be written: ") + std::strerror(errno)};
}

Trouble unreadable(int error) {
    return {Exit::kNothingToRead,
            std::string("/sys/kernel/debug/kvmpv/events cannot be read: ") + std::strerror(error)};
}

// Reads the file, and says what is new in it.
class Watch {
public:
    Watch(const Files& files, const WatchOptions& options) : files_(files), options_(options) {
        if (!files.is_copy()) awaited_.emplace("/" + path());
    }

    std::optional<Trouble> run() {
        std::optional<Events> events = read();
        if (!events) return trouble_;
        last_ = options_.all ? sum(events->count, -static_cast<std::int64_t>(events->kept.size()))
                             : events->count;
        if (awaited_)
            fmt::print(stderr,
                       "kvmpv: waiting for the next event; so far there have been {}. "
                       "Until this ends, the module cannot be unloaded.\n",
                       events->count);
        for (;;) {
            trouble_ = tell(*events);
            if (trouble_ || is_done() || !awaited_) return trouble_;
            if (const int error = awaited_->wait(); error != 0) return unreadable(error);
            events = read();
            if (!events) return trouble_;
        }
    }

private:
    static std::string path() { return std::string(kModuleFolder) + "/events"; }

    bool is_done() const { return options_.count > 0 && told_ >= options_.count; }

    std::optional<Events> read() {
        const Text text = awaited_ ? awaited_->read() : files_.read(path());
        const Document document = parse(text.content);
        if (!text.ok())
            trouble_ = unreadable(text.error);
        else if (!document.is_known())
            trouble_ = Trouble{Exit::kNothingToRead,
                               "events has a version that this program does not know."};
        else
            return events_of(document);
        return std::nullopt;
    }

    std::optional<Trouble> tell(const Events& events) {
        const News since = news(last_, events);
        last_ = events.count;
        if (since.missed > 0)
            if (const auto trouble =
                    print(options_.json ? missed_json(since.missed) : missed_text(since.missed)))
                return trouble;
        for (const Event& event : since.events) {
            if (is_done()) break;
            const std::int64_t offset = to_realtime_ns();
            if (const auto trouble =
                    print(options_.json ? watch_json(event, offset) : watch_text(event, offset)))
                return trouble;
            if (!options_.command.empty()) run_command(options_.command, event);
            ++told_;
        }
        return std::nullopt;
    }

    const Files& files_;
    const WatchOptions& options_;
    std::optional<AwaitedFile> awaited_;  // none of a copy
    std::optional<Trouble> trouble_;
    std::int64_t last_ = 0;  // the number of the last entry that was seen
    std::int64_t told_ = 0;
};

}  // namespace

std::string watch_text(const Event& event, std::int64_t to_realtime_ns) {
    const std::string meaning = meaning_of(event.name);
    return fmt::format("{}  {} (number {}){}{}\n",
                       date_and_time(sum(event.time_ns, to_realtime_ns)), words_for(event),
                       event.seq, meaning.empty() ? "" : ": ", meaning);
}

std::string watch_json(const Event& event, std::int64_t to_realtime_ns) {
    nlohmann::json line = json_of(event);
    line["version"] = 1;
    line["realtime_ns"] = sum(event.time_ns, to_realtime_ns);
    return line.dump() + '\n';
}

std::string missed_text(std::int64_t missed) {
    return count(missed, "event") +
           " came too quickly, and had been overwritten before kvmpv could "
           "read them.\n";
}

std::string missed_json(std::int64_t missed) {
    return nlohmann::json{{"version", 1}, {"missed", missed}}.dump() + '\n';
}

std::vector<std::string> environment_of(const Event& event) {
    return {
        "KVMPV_SEQ=" + std::to_string(event.seq), "KVMPV_TIME_NS=" + std::to_string(event.time_ns),
        "KVMPV_CPU=" + text_of(event.cpu),        "KVMPV_EVENT=" + event.name,
        "KVMPV_VALUE=" + text_of(event.value),    "KVMPV_UNIT=" + event.unit};
}

std::optional<Trouble> watch(const Files& files, const WatchOptions& options) {
    if (files.is_copy() && !options.all)
        return Trouble{Exit::kUsage,
                       "A copied tree does not change. Its events are printed with --all."};
    return Watch(files, options).run();
}

}  // namespace kvmpv
