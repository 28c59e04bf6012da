#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "libs/base/byte_arena.h"
#include "libs/model/labels.h"
#include "libs/storage/label_table.h"
#include "libs/tsdb/compact_postings.h"
#include "libs/tsdb/hashed_ids.h"
#include "libs/tsdb/paged_array.h"
#include "libs/tsdb/postings.h"

namespace narthex::tsdb {

/// Which series there are in the head: from label sets to ids and back, and
/// from label pairs to the ids that have them. Every distinct pair is held
/// once; a series holds the numbers of its pairs. Ids must be added in
/// ascending order, apart from rare exceptions. Not thread-safe: calls of
/// const functions may run at the same time.
class LabelIndex : public PostingsSource {
 public:
  /// The number of a label pair.
  using PairId = std::uint32_t;

  /// `hash` is labels.Hash().
  std::optional<SeriesId> Find(const model::Labels& labels,
                               std::uint64_t hash) const;
  std::optional<SeriesId> Find(const model::Labels& labels) const {
    return Find(labels, labels.Hash());
  }
  /// Requires: neither the id nor the labels are in the index.
  void Add(SeriesId id, const model::Labels& labels, std::uint64_t hash);
  void Add(SeriesId id, const model::Labels& labels) {
    Add(id, labels, labels.Hash());
  }
  void Remove(const Postings& ids);

  std::size_t series_count() const { return series_count_; }
  bool Has(SeriesId id) const { return series_.Find(id) != nullptr; }
  /// The labels of a series; false when it is not in the index.
  bool LabelsOf(SeriesId id, model::Labels* labels) const;

  /// The same of `ids[i]` into `(*labels)[i]`, none for those not in the
  /// index; of the labels in `names` only, unless that is null.
  void LabelsOf(absl::Span<const SeriesId> ids,
                const std::vector<std::string>* names,
                std::vector<model::Labels>* labels) const;

  /// The label sets of the series that are in the index.
  storage::LabelTable TableOf(absl::Span<const SeriesId> ids) const;

  /// Sorts `*items`, each with a member `id` of a series in the index, by
  /// labels; items whose id is not in the index are removed.
  template <typename Item>
  void SortByLabels(std::vector<Item>* items) const {
    std::vector<SeriesId> ids;
    ids.reserve(items->size());
    for (const Item& item : *items) ids.push_back(item.id);
    std::vector<Item> sorted;
    sorted.reserve(items->size());
    for (const std::uint32_t i : OrderByLabels(ids)) {
      sorted.push_back((*items)[i]);
    }
    *items = std::move(sorted);
  }

  absl::StatusOr<PostingsView> All() const override;
  absl::StatusOr<PostingsView> Find(absl::string_view name,
                                    absl::string_view value) const override;
  absl::Status ForEachValue(absl::string_view name, absl::string_view prefix,
                            const Visit& visit) const override;

  /// Names of all labels, in no order; of the series in `ids` only.
  std::vector<std::string> LabelNames() const;
  std::vector<std::string> LabelNames(const Postings& ids) const;
  std::vector<std::string> LabelValues(absl::string_view name) const;
  std::vector<std::string> LabelValues(absl::string_view name,
                                       const Postings& ids) const;

  /// Bytes that the parts take; estimated.
  struct Memory {
    std::size_t labels = 0;    ///< Pairs, and which of them a series has.
    std::size_t postings = 0;  ///< From pairs to series.
    std::size_t hashes = 0;    ///< From label sets to series.
  };
  Memory memory() const;

  std::size_t pair_count() const { return pairs_.size() - free_.size(); }
  /// What a pair takes in a label set.
  static std::size_t EncodedBytes(absl::string_view name,
                                  absl::string_view value);
  /// Calls `visit(name, value, series)` for the pairs with numbers from `begin`
  /// to before `end`; false when there are no higher ones.
  template <typename VisitPair>
  bool ForEachPair(std::size_t begin, std::size_t end,
                   const VisitPair& visit) const {
    for (std::size_t i = begin; i < std::min(end, pairs_.size()); ++i) {
      const Pair& pair = pairs_[i];
      if (pair.name == nullptr) continue;
      visit(absl::string_view(pair.name->name), absl::string_view(pair.value),
            pair.postings.size());
    }
    return end < pairs_.size();
  }

 private:
  struct Name {
    std::string name;
    // The keys are views of the values in the pairs.
    absl::flat_hash_map<absl::string_view, PairId> values;
  };
  struct Pair {
    const Name* name = nullptr;  // Null: the number is free.
    std::string value;
    CompactPostings postings;
  };

  const Pair* FindPair(absl::string_view name, absl::string_view value) const;
  PairId GetOrCreatePair(absl::string_view name, absl::string_view value);
  // The number of the pair, given which place it has in its series.
  PairId PairAt(std::size_t place, const model::Label& label);
  void RemovePair(PairId number);
  /// Those of `ids` that are in the index, by position, in order of labels.
  std::vector<std::uint32_t> OrderByLabels(
      absl::Span<const SeriesId> ids) const;
  struct RankedRows;
  /// The pairs of the series as numbers that sort as the pairs do. Requires:
  /// all lists are of series in the index.
  RankedRows RowsOf(absl::Span<const char* const> lists) const;
  /// Whether the labels behind one list come before those of another.
  bool Before(const char* a, const char* b) const;
  bool Equals(const char* list, const model::Labels& labels) const;
  /// Calls `visit(number, pair)` while it gives true. Returns where it stopped.
  template <typename VisitPair>
  const char* Walk(const char* list, const VisitPair& visit) const;
  /// The pairs of a series; null when it is not in the index.
  const char* ListOf(SeriesId id) const {
    const base::ByteArena::Handle* list = series_.Find(id);
    return list == nullptr ? nullptr : lists_.At(*list);
  }

  // Names stay where they are. An unused one is kept: there are few.
  absl::flat_hash_map<absl::string_view, std::unique_ptr<Name>> names_;
  std::deque<Pair> pairs_;
  std::vector<PairId> free_;
  // The pairs of the series that was added last: most of the next one's.
  std::vector<PairId> last_added_;

  // The numbers of a series' pairs as varints, in order of names, after
  // their count.
  base::ByteArena lists_;
  PagedArray<base::ByteArena::Handle> series_;
  std::size_t series_count_ = 0;
  CompactPostings all_;
  HashedIds by_hash_;
};

}  // namespace narthex::tsdb
