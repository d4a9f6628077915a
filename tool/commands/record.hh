// SPDX-License-Identifier: GPL-2.0-only
// `kvmpv record`: readings at an interval, or for as long as a command runs, into a file.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "read/files.hh"
#include "read/trouble.hh"

namespace kvmpv {

struct RecordOptions {
    std::string output = "kvmpv.jsonl";
    double interval = 1;               // seconds between two readings
    double seconds = 0;                // 0: until a signal, or the command's end
    std::int64_t limit_mb = 100;       // of the file
    std::vector<std::string> command;  // may be empty
};

struct Recorded {
    int exit_status = 0;  // that of the command, unless something else went wrong
    std::string error;    // that, in words
    std::string words;    // what was recorded
};

Recorded record(const Files& files, const RecordOptions& options);

// A file that stays below its limit.
class LimitedFile {
public:
    enum class Outcome { kWritten, kFull, kFailed };

    LimitedFile(int file, std::size_t limit) : file_(file), limit_(limit) {}

    // Only if `spare` bytes remain afterwards.
    Outcome add(const std::string& line, std::size_t spare);
    std::size_t size() const { return size_; }
    int error() const { return error_; }  // the errno of kFailed

private:
    int file_;
    std::size_t limit_;
    std::size_t size_ = 0;
    int error_ = 0;
};

}  // namespace kvmpv
