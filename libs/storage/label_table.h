#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "libs/model/labels.h"

namespace narthex::storage {

/// The label sets of many series, ascending, each once. Series share most of
/// their labels, so a pair of a name and a value is held once and a series is
/// the numbers of its pairs, in order of names.
class LabelTable {
 public:
  using PairNumber = std::uint32_t;
  using Row = absl::Span<const PairNumber>;

  /// Numbers a pair, from 0 on. Requires: it is not in the table.
  PairNumber AddPair(absl::string_view name, absl::string_view value) {
    pairs_.emplace_back(std::string(name), std::string(value));
    return static_cast<PairNumber>(pairs_.size() - 1);
  }
  /// Requires: the numbers are of pairs, and the row comes after the last one
  /// (see Compare).
  void AddRow(Row row) {
    numbers_.insert(numbers_.end(), row.begin(), row.end());
    ends_.push_back(numbers_.size());
  }
  void Reserve(std::size_t rows, std::size_t numbers) {
    ends_.reserve(rows);
    numbers_.reserve(numbers);
  }

  std::size_t size() const { return ends_.size(); }
  std::size_t pair_count() const { return pairs_.size(); }
  model::Label pair(PairNumber number) const {
    return {pairs_[number].first, pairs_[number].second};
  }
  Row row(std::size_t i) const {
    const std::size_t begin = i == 0 ? 0 : ends_[i - 1];
    return absl::MakeConstSpan(numbers_).subspan(begin, ends_[i] - begin);
  }
  model::Labels LabelsOf(std::size_t i) const;
  /// How many numbers a row has in common with the front of the one before it.
  std::size_t SharedWithPrevious(std::size_t i) const;

  /// As model::Labels::Compare, of rows of this table's numbers.
  int Compare(Row a, Row b) const;
  /// Drops the rows from `size` on.
  void Truncate(std::size_t size);

 private:
  std::vector<std::pair<std::string, std::string>> pairs_;
  std::vector<PairNumber> numbers_;
  std::vector<std::size_t> ends_;  // Of the rows, in `numbers_`.
};

/// Makes a table of label sets that come in ascending order.
class LabelTableBuilder {
 public:
  void Add(const model::Labels& labels);
  LabelTable Build() && { return std::move(table_); }

 private:
  LabelTable table_;
  absl::flat_hash_map<std::pair<std::string, std::string>,
                      LabelTable::PairNumber>
      known_;
  std::vector<LabelTable::PairNumber> row_;
};

/// The rows of all tables, each once; at most `limit`, 0: all.
LabelTable MergeLabelTables(std::vector<LabelTable> tables, std::size_t limit);

}  // namespace narthex::storage
