#pragma once

#include <atomic>
#include <cstdint>
#include <random>
#include <string>

namespace narthex::chaos {

/// How much of every file was fsynced, by inode: a table in shared memory,
/// written by a process that may be killed.
struct SyncedSizes {
  static constexpr std::size_t kSlots = 1 << 16;
  struct Slot {
    std::atomic<std::uint64_t> inode{0};
    std::atomic<std::uint64_t> bytes{0};
  };
  Slot slots[kSlots];

  void Record(std::uint64_t inode, std::uint64_t bytes);
  std::uint64_t BytesOf(std::uint64_t inode) const;
};

/// From now on fsync and fdatasync of this process note sizes in `sizes`
/// instead of waiting for the disk; null: they do as always.
void WatchSyncs(SyncedSizes* sizes);

/// Does to the files below `directory` what a loss of power may: of what was
/// written behind the fsynced size, a random part is gone, or is zeros.
void LoseUnsynced(const std::string& directory, const SyncedSizes& sizes,
                  std::mt19937& random);

}  // namespace narthex::chaos
