// SPDX-License-Identifier: GPL-2.0-only
#include "top/screen.hh"

#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string_view>

// Its macros have the names of functions of the standard library.
#define NCURSES_NOMACROS 1
#include <curses.h>

#include <fmt/format.h>

namespace kvmpv {
namespace {

Key key_of(int letter) {
    switch (letter) {
        case 'q':
        case 'Q': return Key::kQuit;
        case 's': return Key::kSort;
        case 'c': return Key::kCharges;
        case 't': return Key::kSince;
        case 'r': return Key::kAnew;
        case 'p':
        case ' ': return Key::kPause;
        case 'k':
        case KEY_UP: return Key::kUp;
        case 'j':
        case KEY_DOWN: return Key::kDown;
        default: return Key::kNone;
    }
}

// The terminal is gone, and it would be ready to be read for ever.
bool is_hung_up(int file) {
    pollfd state{file, POLLIN, 0};
    return ::poll(&state, 1, 0) == 1 && (state.revents & (POLLHUP | POLLERR | POLLNVAL)) != 0;
}

// A serial line says that it has no size.
Size size_of_terminal() {
    Size size{80, 24};
    winsize found{};
    if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &found) == 0 && found.ws_col > 0 && found.ws_row > 0)
        size = {found.ws_col, found.ws_row};
    return size;
}

class FullScreen final : public Screen {
public:
    explicit FullScreen(SCREEN* screen) : screen_(screen) {
        ::cbreak();
        ::noecho();
        ::nodelay(::stdscr, TRUE);
        ::keypad(::stdscr, TRUE);
        ::set_escdelay(25);
        ::curs_set(0);
        has_colours_ = standard_output().has_colours && ::has_colors();
        if (!has_colours_) return;
        ::start_color();
        ::use_default_colors();
        ::init_pair(static_cast<short>(Colour::kGreen), COLOR_GREEN, -1);
        ::init_pair(static_cast<short>(Colour::kYellow), COLOR_YELLOW, -1);
        ::init_pair(static_cast<short>(Colour::kRed), COLOR_RED, -1);
    }

    ~FullScreen() override {
        ::endwin();
        ::delscreen(screen_);
    }

    Size size() const override {
        return {static_cast<std::size_t>(::getmaxx(::stdscr)),
                static_cast<std::size_t>(::getmaxy(::stdscr))};
    }

    void resize() override {
        const Size size = size_of_terminal();
        ::resizeterm(static_cast<int>(size.rows), static_cast<int>(size.columns));
        ::clearok(::stdscr, TRUE);
    }

    void show(const std::vector<Line>& lines) override {
        ::werase(::stdscr);
        int row = 0;
        for (const Line& line : lines) {
            ::wmove(::stdscr, row++, 0);
            for (const Span& span : line) {
                set_attributes(span);
                ::waddnstr(::stdscr, span.text.data(), static_cast<int>(span.text.size()));
            }
        }
        ::wattrset(::stdscr, A_NORMAL);
        ::wrefresh(::stdscr);
    }

    std::optional<int> input() const override { return STDIN_FILENO; }

    Key key() override {
        for (;;) {
            const int letter = ::wgetch(::stdscr);
            if (letter == ERR) return is_hung_up(STDIN_FILENO) ? Key::kQuit : Key::kNone;
            const Key key = key_of(letter);
            if (key != Key::kNone) return key;
        }
    }

private:
    void set_attributes(const Span& span) const {
        int attributes = A_NORMAL;
        if (has_colours_ && span.colour != Colour::kNone)
            attributes |= COLOR_PAIR(static_cast<int>(span.colour)) | A_BOLD;
        if (span.is_reversed) attributes |= A_REVERSE;
        ::wattrset(::stdscr, attributes);
    }

    SCREEN* screen_;
    bool has_colours_ = false;
};

class PlainScreen final : public Screen {
public:
    PlainScreen() : terminal_(standard_output()) {
        is_terminal_ = ::isatty(STDOUT_FILENO) == 1;
        has_keys_ = ::isatty(STDIN_FILENO) == 1 && ::tcgetattr(STDIN_FILENO, &before_) == 0;
        if (!has_keys_) return;
        // A key counts without Enter, and is not shown.
        termios now = before_;
        now.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
        ::tcsetattr(STDIN_FILENO, TCSANOW, &now);
    }

    ~PlainScreen() override {
        if (has_keys_) ::tcsetattr(STDIN_FILENO, TCSANOW, &before_);
    }

    Size size() const override { return is_terminal_ ? size_of_terminal() : Size{}; }
    void resize() override {}

    void show(const std::vector<Line>& lines) override {
        std::string text;
        for (const Line& line : lines) {
            for (const Span& span : line) text += coloured(terminal_, span.colour, span.text);
            text.erase(text.find_last_not_of(' ') + 1);
            text += '\n';
        }
        // On a terminal each screen fills it, and otherwise an empty line is between two.
        fmt::print("{}{}", text, is_terminal_ ? "" : "\n");
        std::fflush(stdout);
    }

    std::optional<int> input() const override {
        return has_keys_ ? std::optional<int>(STDIN_FILENO) : std::nullopt;
    }

    Key key() override {
        for (;;) {
            pollfd state{STDIN_FILENO, POLLIN, 0};
            if (!has_keys_ || ::poll(&state, 1, 0) != 1) return Key::kNone;
            unsigned char letter = 0;
            if (::read(STDIN_FILENO, &letter, 1) != 1) return Key::kQuit;
            const Key key = key_of(letter);
            if (key != Key::kNone) return key;
        }
    }

private:
    Terminal terminal_;
    bool is_terminal_ = false;
    bool has_keys_ = false;
    termios before_{};
};

// Null if the terminal cannot be drawn on.
SCREEN* start_ncurses() {
    const char* const type = std::getenv("TERM");
    if (!::isatty(STDIN_FILENO) || !::isatty(STDOUT_FILENO)) return nullptr;
    if (type == nullptr || !*type || std::string_view(type) == "dumb") return nullptr;
    SCREEN* const screen = ::newterm(nullptr, stdout, stdin);
    if (screen == nullptr || ::tigetstr("cup") != nullptr) return screen;
    ::endwin();
    ::delscreen(screen);
    return nullptr;
}

}  // namespace

std::unique_ptr<Screen> open_screen() {
    SCREEN* const screen = start_ncurses();
    if (screen != nullptr) return std::make_unique<FullScreen>(screen);
    return std::make_unique<PlainScreen>();
}

}  // namespace kvmpv
