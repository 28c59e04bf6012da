#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace narthex::scraper {

/// How many series the targets of a scrape pool have. Thread-safe.
class SeriesBudget {
 public:
  /// Whether there may be one more; a `limit` of 0 is none.
  bool HasRoom(std::uint64_t limit) const {
    return limit == 0 || used_.load(std::memory_order_relaxed) < limit;
  }
  /// Counts one more unless that is beyond `limit`: then false.
  bool Take(std::uint64_t limit) {
    const std::uint64_t before = used_.fetch_add(1, std::memory_order_relaxed);
    if (limit == 0 || before < limit) return true;
    Return(1);
    return false;
  }
  void Return(std::size_t count) {
    used_.fetch_sub(count, std::memory_order_relaxed);
  }
  std::uint64_t used() const { return used_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> used_{0};
};

}  // namespace narthex::scraper
