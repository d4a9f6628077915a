// SPDX-License-Identifier: GPL-2.0-only
// A recording is a file of JSON Lines: a heading, readings, and an end. docs/tool.md describes it.
// Whoever reads one may have any file: what is damaged is left out and named.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

#include "read/tree.hh"
#include "read/trouble.hh"

namespace kvmpv {

constexpr int kRecordingVersion = 1;

struct Heading {
    std::string module;  // its version
    std::string kernel;
    std::int64_t interval_ns = 0;
    Number realtime_ns;  // when it began
    std::vector<std::string> command;
};

struct Ending {
    std::string why;  // in words
    std::int64_t readings = 0;
    Number exit_status;  // of the command
};

// Each is one line, with its end.
std::string heading_line(const Heading& heading);
// Of the events only those after number `last_event`. The charges have a row for each task, so not
// every reading has them.
std::string reading_line(const Tree& reading, std::int64_t last_event, bool with_charges);
std::string ending_line(const Ending& ending);

class Recording {
public:
    explicit Recording(std::istream& lines) : lines_(lines) {}

    // Reads the heading. Nothing more can be read if it is not one.
    std::optional<Trouble> begin();
    // The next reading, without those that are damaged. Nothing at the end.
    std::optional<Tree> next();

    const Heading& heading() const { return heading_; }
    const std::optional<Ending>& ending() const { return ending_; }
    // After the last reading: what is wrong with the file, in sentences.
    std::vector<std::string> damage() const;

private:
    bool next_line(std::string& line);
    void note(const std::string& sentence);

    std::istream& lines_;
    Heading heading_;
    std::optional<Ending> ending_;
    std::vector<std::string> damage_;
    std::int64_t line_ = 0;
    std::int64_t readings_ = 0;
    std::int64_t damaged_ = 0;
};

}  // namespace kvmpv
