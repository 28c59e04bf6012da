#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "libs/base/byte_arena.h"
#include "libs/model/labels.h"

namespace narthex::model {

/// Holds label sets by handle in little memory: every distinct pair of name
/// and value once, and a set as the numbers of its pairs, some 20 bytes. Not
/// thread-safe.
class LabelPool {
 public:
  using Handle = base::ByteArena::Handle;
  /// Of the empty set.
  static constexpr Handle kEmpty = base::ByteArena::kNone;

  /// The same set added twice has two handles.
  Handle Add(const Labels& labels);
  void Remove(Handle handle);
  /// Appends the encoding of the set (see Labels::encoded()) to `*encoded`.
  void AppendEncoded(Handle handle, std::string* encoded) const;

  std::size_t pair_count() const { return pairs_.size() - free_.size(); }
  /// Estimated.
  std::size_t memory_bytes() const;

 private:
  struct Pair {
    std::string encoded;
    std::uint32_t uses = 0;
  };

  std::uint32_t Acquire(absl::string_view encoded);
  void Release(std::uint32_t number);
  template <typename Visit>
  std::size_t Walk(Handle handle, const Visit& visit) const;

  std::deque<Pair> pairs_;
  std::vector<std::uint32_t> free_;
  // The keys are views of the pairs' encodings.
  absl::flat_hash_map<absl::string_view, std::uint32_t> numbers_;
  std::size_t pair_bytes_ = 0;
  // The numbers of a set's pairs as varints, after their count.
  base::ByteArena sets_;
  std::string scratch_;
};

}  // namespace narthex::model
