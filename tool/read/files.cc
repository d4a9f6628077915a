// SPDX-License-Identifier: GPL-2.0-only
#include "read/files.hh"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>

namespace kvmpv {
namespace {

// No table of the module is a hundredth of this. What is larger is not its.
constexpr std::size_t kLongest = 16 << 20;

}  // namespace

Text read_all(int file) {
    Text text;
    std::array<char, 1 << 16> part;
    for (;;) {
        const ssize_t count = ::read(file, part.data(), part.size());
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return {{}, errno};
        if (count == 0) return text;
        text.content.append(part.data(), static_cast<std::size_t>(count));
        if (text.content.size() > kLongest) return {{}, EFBIG};
    }
}

std::string Directory::below(std::string_view path) const {
    return root_ + "/" + std::string(path);
}

Text Directory::read(std::string_view path) const {
    // A copied tree may hold a pipe, which would be waited for.
    const int file = ::open(below(path).c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0) return {{}, errno};
    Text text = read_all(file);
    ::close(file);
    return text;
}

bool Directory::exists(std::string_view path) const {
    struct stat found;
    return ::stat(below(path).c_str(), &found) == 0;
}

std::string Directory::identity(std::string_view path) const {
    struct stat found;
    // Whoever copies a tree makes each of its files anew.
    if (is_copy() || ::stat(below(path).c_str(), &found) != 0) return {};
    return std::to_string(found.st_ino) + " " + std::to_string(found.st_mtim.tv_sec) + " " +
           std::to_string(found.st_mtim.tv_nsec);
}

std::vector<std::string> Directory::writable(std::string_view folder) const {
    namespace fs = std::filesystem;
    std::vector<std::string> found;
    std::error_code error;
    const fs::path top = below(folder);
    fs::recursive_directory_iterator at(top, error);
    for (; !error && at != fs::recursive_directory_iterator(); at.increment(error)) {
        std::error_code unreadable;
        const fs::perms perms = at->status(unreadable).permissions();
        if (!unreadable && at->is_regular_file(unreadable) &&
            (perms & fs::perms::owner_write) != fs::perms::none)
            found.push_back(at->path().lexically_relative(top).string());
    }
    std::sort(found.begin(), found.end());
    return found;
}

}  // namespace kvmpv
