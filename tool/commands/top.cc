// SPDX-License-Identifier: GPL-2.0-only
#include "commands/top.hh"

#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>

#include <fmt/format.h>

#include "read/tree.hh"
#include "top/model.hh"
#include "top/screen.hh"
#include "wait/waker.hh"

namespace kvmpv {
namespace {

class Top {
public:
    Top(const Files& files, const TopOptions& options, bool is_root)
        : files_(files),
          options_(options),
          is_root_(is_root),
          interval_ns_(std::llround(options.interval * 1e9)),
          model_(interval_ns_),
          waker_({SIGINT, SIGTERM, SIGHUP, SIGWINCH}) {
        if (!options.json) screen_ = open_screen();
    }

    void run() {
        std::int64_t next = monotonic_ns();
        read();
        // One screen below the other begins with the first figures.
        if (screen_ && screen_->size().rows > 0) show();
        std::int64_t shown = 0;
        while (options_.count == 0 || shown < options_.count) {
            next = next_moment(next, interval_ns_, monotonic_ns());
            if (!wait(next)) return;
            if (model_.is_paused()) continue;
            read();
            if (!show()) return;
            ++shown;
        }
    }

private:
    // Until then. Not if somebody wants it to end.
    bool wait(std::int64_t until_ns) {
        for (;;) {
            switch (waker_.wait(until_ns, screen_ ? screen_->input() : std::nullopt)) {
                case Waker::Why::kMoment: return true;
                case Waker::Why::kSignal:
                    if (waker_.signal() != SIGWINCH) return false;
                    if (screen_) screen_->resize();
                    break;
                case Waker::Why::kInput:
                    for (Key key = screen_->key(); key != Key::kNone; key = screen_->key())
                        if (!model_.press(key)) return false;
                    break;
            }
            if (screen_ && !show()) return false;
        }
    }

    // The module may be unloaded, and loaded again.
    void read() {
        const Tree tree = read_changing(files_);
        if (tree.steal_cpus) {
            model_.take(tree);
            return;
        }
        const std::optional<Trouble> trouble = find_trouble(files_, is_root_);
        model_.miss(trouble ? trouble->words : "The file steal/cpus cannot be read.");
    }

    bool show() {
        if (screen_) {
            screen_->show(model_.screen(screen_->size()));
        } else {
            fmt::print("{}", model_.json());
            std::fflush(stdout);
        }
        return !std::ferror(stdout);
    }

    const Files& files_;
    const TopOptions& options_;
    bool is_root_;
    std::int64_t interval_ns_;
    TopModel model_;
    Waker waker_;
    std::unique_ptr<Screen> screen_;
};

}  // namespace

std::optional<Trouble> top(const Files& files, const TopOptions& options, bool is_root) {
    Top(files, options, is_root).run();
    if (!std::ferror(stdout)) return std::nullopt;
    return Trouble{Exit::kNothingToRead, "the output could not be written."};
}

}  // namespace kvmpv
