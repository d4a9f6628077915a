// SPDX-License-Identifier: GPL-2.0-only
#include "read/awaited.hh"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>

namespace kvmpv {

AwaitedFile::AwaitedFile(const std::string& path)
    : file_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    if (file_ < 0) error_ = errno;
}

AwaitedFile::~AwaitedFile() {
    if (file_ >= 0) ::close(file_);
}

Text AwaitedFile::read() {
    if (error_ != 0) return {{}, error_};
    if (::lseek(file_, 0, SEEK_SET) < 0) return {{}, errno};
    return read_all(file_);
}

int AwaitedFile::wait() const {
    // The file can always be read, so POLLIN would not wait.
    pollfd awaited{file_, POLLPRI, 0};
    while (::poll(&awaited, 1, -1) < 0)
        if (errno != EINTR) return errno;
    return awaited.revents & (POLLNVAL | POLLHUP) ? ENODEV : 0;
}

}  // namespace kvmpv
