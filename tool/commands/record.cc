// SPDX-License-Identifier: GPL-2.0-only
#include "commands/record.hh"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <limits>
#include <optional>

#include <fmt/format.h>

#include "read/tree.hh"
#include "record/format.hh"
#include "say/numbers.hh"
#include "wait/waker.hh"

namespace kvmpv {
namespace {

constexpr std::int64_t kS = 1'000'000'000;
// Between two readings that have a row for each task.
constexpr std::int64_t kChargesNs = 60 * kS;
// For the last line, which says why the recording ended.
constexpr std::size_t kEndSize = 4096;
// As shells say it.
constexpr int kCannotStart = 127;
constexpr int kBySignal = 128;

std::int64_t to_ns(double seconds) { return std::llround(seconds * 1e9); }

Number realtime_ns() {
    timespec now{};
    if (::clock_gettime(CLOCK_REALTIME, &now) != 0) return std::nullopt;
    return now.tv_sec * kS + now.tv_nsec;
}

// A command that is run while its time is recorded.
class Command {
public:
    // 0 or an errno.
    int start(std::vector<std::string> words, const sigset_t& mask) {
        std::vector<char*> pointers;
        for (std::string& word : words) pointers.push_back(word.data());
        pointers.push_back(nullptr);
        posix_spawnattr_t attributes;
        ::posix_spawnattr_init(&attributes);
        ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
        ::posix_spawnattr_setsigmask(&attributes, &mask);
        const int error =
            ::posix_spawnp(&child_, pointers[0], nullptr, &attributes, pointers.data(), ::environ);
        ::posix_spawnattr_destroy(&attributes);
        is_running_ = error == 0;
        return error;
    }

    bool is_running() const { return is_running_; }

    // Whether it has ended.
    bool has_ended() {
        int status = 0;
        if (!is_running_ || ::waitpid(child_, &status, WNOHANG) != child_) return false;
        is_running_ = false;
        exit_status_ = WIFEXITED(status) ? WEXITSTATUS(status) : kBySignal + WTERMSIG(status);
        return true;
    }

    void send(int signal) const { ::kill(child_, signal); }
    Number exit_status() const { return exit_status_; }

private:
    pid_t child_ = 0;
    bool is_running_ = false;
    Number exit_status_;
};

class Recorder {
public:
    Recorder(const Files& files, const RecordOptions& options, int file)
        : files_(files),
          options_(options),
          file_(file, static_cast<std::size_t>(options.limit_mb) * 1'000'000),
          waker_({SIGINT, SIGTERM, SIGHUP, SIGCHLD}) {}

    Recorded run() {
        begin();
        Recorded recorded;
        if (!options_.command.empty() && !has_failed_) {
            const int error = command_.start(options_.command, waker_.mask_before());
            if (error != 0) {
                recorded.error = fmt::format("{} cannot be started: {}", options_.command[0],
                                             std::strerror(error));
                recorded.exit_status = kCannotStart;
                why_ = "the command could not be started";
            }
        }
        while (why_.empty()) wait_and_read();
        end();
        // What was asked for is its result, even if nothing more can be written.
        while (command_.is_running()) {
            waker_.wait(std::numeric_limits<std::int64_t>::max());
            if (!command_.has_ended()) pass_on_signal();
        }
        finish(recorded);
        return recorded;
    }

private:
    void begin() {
        const Tree tree = read_tree(files_);
        began_ns_ = monotonic_ns();
        next_ns_ = began_ns_;
        Heading heading;
        heading.module = tree.status ? tree.status->version : "";
        heading.kernel = tree.release;
        heading.interval_ns = to_ns(options_.interval);
        heading.realtime_ns = realtime_ns();
        heading.command = options_.command;
        add(heading_line(heading), kEndSize);
        read(true);
    }

    void wait_and_read() {
        const std::int64_t interval = to_ns(options_.interval);
        next_ns_ = next_moment(next_ns_, interval, monotonic_ns());
        std::int64_t until = next_ns_;
        const std::int64_t last =
            options_.seconds > 0 ? began_ns_ + to_ns(options_.seconds) : until + 1;
        until = std::min(until, last);
        while (why_.empty()) {
            if (waker_.wait(until) == Waker::Why::kMoment) {
                if (until == last)
                    why_ = "the time was over";
                else
                    read(until - charges_ns_ >= kChargesNs);
                return;
            }
            if (command_.has_ended())
                why_ = "the command ended";
            else if (waker_.signal() != SIGCHLD && !command_.is_running())
                why_ = "it was interrupted";
            else
                pass_on_signal();
        }
    }

    // Ctrl-C reaches the command without that. Its end is waited for.
    void pass_on_signal() {
        if (waker_.signal() == SIGTERM || waker_.signal() == SIGHUP) command_.send(waker_.signal());
    }

    void read(bool with_charges) {
        const Tree tree = read_changing(files_);
        const std::string line = reading_line(tree, last_event_, with_charges);
        // The last reading has the charges again, so there has to be room for them.
        if (with_charges) {
            charges_ns_ = monotonic_ns();
            charges_size_ = std::max(charges_size_, line.size());
        }
        if (!add(line, kEndSize + 2 * charges_size_)) return;
        ++readings_;
        if (tree.events) last_event_ = tree.events->count;
    }

    bool add(const std::string& line, std::size_t spare) {
        const LimitedFile::Outcome outcome = file_.add(line, spare);
        if (outcome == LimitedFile::Outcome::kFull)
            why_ = fmt::format("the limit of {} MB was reached", options_.limit_mb);
        if (outcome == LimitedFile::Outcome::kFailed) {
            has_failed_ = true;
            why_ = "the file could not be written";
        }
        return outcome == LimitedFile::Outcome::kWritten;
    }

    void end() {
        if (has_failed_) return;
        const Tree tree = read_changing(files_);
        for (const bool with_charges : {true, false}) {
            const std::string line = reading_line(tree, last_event_, with_charges);
            const LimitedFile::Outcome outcome = file_.add(line, kEndSize);
            if (outcome == LimitedFile::Outcome::kFull) continue;
            readings_ += outcome == LimitedFile::Outcome::kWritten;
            has_failed_ = outcome == LimitedFile::Outcome::kFailed;
            break;
        }
        if (!has_failed_)
            has_failed_ = file_.add(ending_line({why_, readings_, command_.exit_status()}), 0) !=
                          LimitedFile::Outcome::kWritten;
    }

    void finish(Recorded& recorded) const {
        if (recorded.error.empty())
            recorded.exit_status = static_cast<int>(command_.exit_status().value_or(0));
        recorded.words =
            fmt::format("{}: {} in {}, {} bytes; {}. kvmpv report {}", options_.output,
                        count(readings_, "reading"), duration(monotonic_ns() - began_ns_),
                        file_.size(), why_, options_.output);
        if (has_failed_) {
            recorded.exit_status = static_cast<int>(Exit::kNothingToRead);
            recorded.error = fmt::format(
                "{} could not be written beyond {} bytes: {}. kvmpv report reads what there is.",
                options_.output, file_.size(), std::strerror(file_.error()));
        }
    }

    const Files& files_;
    const RecordOptions& options_;
    LimitedFile file_;
    Waker waker_;
    Command command_;
    std::string why_;  // it ends; empty while it goes on
    bool has_failed_ = false;
    std::int64_t began_ns_ = 0;
    std::int64_t next_ns_ = 0;
    std::int64_t charges_ns_ = 0;   // when they were last written
    std::size_t charges_size_ = 0;  // how long such a line was at most
    std::int64_t readings_ = 0;
    std::int64_t last_event_ = 0;
};

}  // namespace

LimitedFile::Outcome LimitedFile::add(const std::string& line, std::size_t spare) {
    if (size_ + line.size() + spare > limit_) return Outcome::kFull;
    std::size_t written = 0;
    while (written < line.size()) {
        const ssize_t now = ::write(file_, line.data() + written, line.size() - written);
        if (now < 0 && errno == EINTR) continue;
        if (now < 0) {
            error_ = errno;
            return Outcome::kFailed;
        }
        written += static_cast<std::size_t>(now);
        size_ += static_cast<std::size_t>(now);
    }
    return Outcome::kWritten;
}

Recorded record(const Files& files, const RecordOptions& options) {
    // As root, and perhaps in /tmp: what is there is neither overwritten nor followed.
    constexpr int kFlags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW;
    constexpr mode_t kMode = 0600;
    const int file = ::open(options.output.c_str(), kFlags, kMode);
    if (file < 0) {
        const bool is_there = errno == EEXIST;
        return {static_cast<int>(is_there ? Exit::kUsage : Exit::kNothingToRead),
                is_there ? options.output + " is there already: remove it, or name another by -o."
                         : options.output + " cannot be made: " + std::strerror(errno),
                {}};
    }
    const Recorded recorded = Recorder(files, options, file).run();
    ::close(file);
    return recorded;
}

}  // namespace kvmpv
