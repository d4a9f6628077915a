// SPDX-License-Identifier: GPL-2.0-only
#include "read/trouble.hh"

#include <cerrno>
#include <cstring>

#include "read/table.hh"
#include "read/tree.hh"

namespace kvmpv {
namespace {

bool module_is_loaded(const Files& files) { return files.exists("sys/module/kvmpv"); }

bool kernel_has_debugfs(const Files& files) {
    return files.read("proc/filesystems").content.find("\tdebugfs\n") != std::string::npos;
}

bool debugfs_is_mounted(const Files& files) {
    return files.read("proc/mounts").content.find(" /sys/kernel/debug debugfs ") !=
           std::string::npos;
}

Trouble no_permission(bool is_root) {
    if (!is_root)
        return {Exit::kNotPermitted,
                "Only root can read /sys/kernel/debug: run kvmpv as root, for example by sudo."};
    return {Exit::kNotPermitted,
            "The kernel is locked down and does not let even root read debugfs "
            "(cat /sys/kernel/security/lockdown). The switches still work: kvmpv set."};
}

Trouble no_file(const Files& files) {
    if (files.is_copy())
        return {Exit::kNothingToRead, "There is no sys/kernel/debug/kvmpv/status in that folder."};
    if (!module_is_loaded(files))
        return {Exit::kNothingToRead,
                "The module kvmpv is not loaded: sudo insmod build/$(uname -r)/kvmpv.ko, or sudo "
                "modprobe kvmpv where it is installed."};
    if (!kernel_has_debugfs(files))
        return {Exit::kNothingToRead,
                "The module is loaded, but this kernel has no debugfs, or it was switched off "
                "(debugfs=off or debugfs=no-mount in /proc/cmdline). The switches still work: "
                "kvmpv set."};
    if (!debugfs_is_mounted(files))
        return {Exit::kNothingToRead,
                "The module is loaded, but debugfs is not mounted: "
                "sudo mount -t debugfs debugfs /sys/kernel/debug"};
    return {Exit::kNothingToRead,
            "The module is loaded, but has no files in debugfs; the kernel log says why: "
            "sudo dmesg | grep kvmpv"};
}

}  // namespace

std::optional<Trouble> find_trouble(const Files& files, bool is_root) {
    const Text status = files.read(std::string(kModuleFolder) + "/status");
    if (status.ok()) {
        const Document document = parse(status.content);
        if (document.version && !document.is_known())
            return Trouble{Exit::kNothingToRead,
                           "The module is newer than this program: its files have version " +
                               std::to_string(*document.version) + ", and this program knows " +
                               std::to_string(kKnownVersion) + ". Build it again: make tool"};
        return std::nullopt;
    }
    // Anybody can see whether the module is loaded. This comes first, because without the module it
    // does not help to become root.
    if (!files.is_copy() && !module_is_loaded(files)) return no_file(files);
    switch (status.error) {
        case EACCES:
        case EPERM: return no_permission(is_root);
        case ENOENT:
        case ENOTDIR: return no_file(files);
        default:
            return Trouble{Exit::kNothingToRead,
                           std::string("/sys/kernel/debug/kvmpv/status cannot be read: ") +
                               std::strerror(status.error)};
    }
}

}  // namespace kvmpv
