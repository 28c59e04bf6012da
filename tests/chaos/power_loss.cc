#include "tests/chaos/power_loss.h"

#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <filesystem>

namespace narthex::chaos {
namespace {

// The functions of the C library below have no other way to it.
SyncedSizes* watched = nullptr;

int Sync(int fd, long call) {
  if (watched == nullptr) return static_cast<int>(::syscall(call, fd));
  struct stat info {};
  if (::fstat(fd, &info) != 0) return -1;
  if (S_ISREG(info.st_mode)) {
    watched->Record(info.st_ino, static_cast<std::uint64_t>(info.st_size));
  }
  return 0;
}

}  // namespace

void SyncedSizes::Record(std::uint64_t inode, std::uint64_t bytes) {
  for (std::size_t i = 0; i < kSlots; ++i) {
    Slot& slot = slots[(inode + i) % kSlots];
    std::uint64_t none = 0;
    if (slot.inode.load() == inode ||
        slot.inode.compare_exchange_strong(none, inode) || none == inode) {
      slot.bytes.store(bytes);
      return;
    }
  }
}

std::uint64_t SyncedSizes::BytesOf(std::uint64_t inode) const {
  for (std::size_t i = 0; i < kSlots; ++i) {
    const Slot& slot = slots[(inode + i) % kSlots];
    if (slot.inode.load() == inode) return slot.bytes.load();
    if (slot.inode.load() == 0) return 0;
  }
  return 0;
}

void WatchSyncs(SyncedSizes* sizes) { watched = sizes; }

void LoseUnsynced(const std::string& directory, const SyncedSizes& sizes,
                  std::mt19937& random) {
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(directory)) {
    struct stat info {};
    if (!entry.is_regular_file() || ::stat(entry.path().c_str(), &info) != 0) {
      continue;
    }
    const auto size = static_cast<std::uint64_t>(info.st_size);
    const std::uint64_t synced = sizes.BytesOf(info.st_ino);
    if (size <= synced) continue;
    const std::uint64_t kept = synced + random() % (size - synced);
    std::filesystem::resize_file(entry.path(), kept);
    if (random() % 3 == 0) std::filesystem::resize_file(entry.path(), size);
  }
}

}  // namespace narthex::chaos

// In place of the C library's, for everything in this program.
extern "C" int fsync(int fd) { return narthex::chaos::Sync(fd, SYS_fsync); }
extern "C" int fdatasync(int fd) {
  return narthex::chaos::Sync(fd, SYS_fdatasync);
}
