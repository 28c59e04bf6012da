#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "absl/types/span.h"
#include "libs/storage/storage.h"
#include "libs/tsdb/paged_array.h"
#include "libs/tsdb/postings.h"

namespace narthex::tsdb {

/// The head's number of a reference; 0, which is no series', when it does not
/// fit: the head did not give it out.
inline SeriesId IdOf(storage::SeriesRef ref) {
  return ref > std::numeric_limits<SeriesId>::max()
             ? 0
             : static_cast<SeriesId>(ref);
}

/// Which of some samples go to which shard of the head.
class ByShard {
 public:
  static constexpr std::uint32_t kShards = 32;

  /// A page of series is in one shard, so that the series of a target, made
  /// one after the other, need few locks.
  static std::uint32_t ShardOf(SeriesId id) {
    return PagedArray<char>::PageOf(id) % kShards;
  }

  /// Each sample has a member `ref`.
  template <typename Sample>
  void Sort(absl::Span<const Sample> samples) {
    // A counting sort of the indices; within a shard the order stays.
    ends_.fill(0);
    for (const Sample& sample : samples) ++ends_[ShardOf(IdOf(sample.ref))];
    std::uint32_t sum = 0;
    for (std::uint32_t& end : ends_) {
      const std::uint32_t count = end;
      end = sum;
      sum += count;
    }
    indices_.resize(samples.size());
    for (std::uint32_t i = 0; i < samples.size(); ++i) {
      indices_[ends_[ShardOf(IdOf(samples[i].ref))]++] = i;
    }
  }

  /// The indices of a shard's samples, ascending.
  absl::Span<const std::uint32_t> Of(std::uint32_t shard) const {
    const std::uint32_t begin = shard == 0 ? 0 : ends_[shard - 1];
    return absl::MakeConstSpan(indices_).subspan(begin, ends_[shard] - begin);
  }

 private:
  std::vector<std::uint32_t> indices_;
  std::array<std::uint32_t, kShards> ends_{};
};

}  // namespace narthex::tsdb
