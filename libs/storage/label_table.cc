#include "libs/storage/label_table.h"

#include <algorithm>
#include <iterator>

namespace narthex::storage {
namespace {

using PairNumber = LabelTable::PairNumber;
using Row = LabelTable::Row;

/// Gives the pairs of several tables common numbers.
class CommonPairs {
 public:
  explicit CommonPairs(LabelTable* table) : table_(*table) {}

  /// The rows of `from` in common numbers, which `*numbers` will hold.
  std::vector<Row> Translate(const LabelTable& from,
                             std::vector<PairNumber>* numbers) {
    std::vector<PairNumber> common(from.pair_count());
    for (PairNumber i = 0; i < from.pair_count(); ++i) {
      common[i] = NumberOf(from.pair(i));
    }
    for (std::size_t i = 0; i < from.size(); ++i) {
      for (const PairNumber number : from.row(i)) {
        numbers->push_back(common[number]);
      }
    }
    std::vector<Row> rows;
    rows.reserve(from.size());
    std::size_t begin = 0;
    for (std::size_t i = 0; i < from.size(); ++i) {
      const std::size_t size = from.row(i).size();
      rows.push_back(absl::MakeConstSpan(*numbers).subspan(begin, size));
      begin += size;
    }
    return rows;
  }

 private:
  PairNumber NumberOf(const model::Label& label) {
    const auto [it, added] =
        known_.try_emplace(std::pair(label.name, label.value), PairNumber{0});
    if (added) it->second = table_.AddPair(label.name, label.value);
    return it->second;
  }

  LabelTable& table_;
  // Views into the tables translated.
  absl::flat_hash_map<std::pair<absl::string_view, absl::string_view>,
                      PairNumber>
      known_;
};

}  // namespace

model::Labels LabelTable::LabelsOf(std::size_t i) const {
  std::vector<std::pair<std::string, std::string>> labels;
  for (const PairNumber number : row(i)) labels.push_back(pairs_[number]);
  return model::Labels(std::move(labels));
}

std::size_t LabelTable::SharedWithPrevious(std::size_t i) const {
  if (i == 0) return 0;
  const Row before = row(i - 1);
  const Row at = row(i);
  const std::size_t most = std::min(before.size(), at.size());
  std::size_t shared = 0;
  while (shared < most && before[shared] == at[shared]) ++shared;
  return shared;
}

int LabelTable::Compare(Row a, Row b) const {
  const std::size_t common = std::min(a.size(), b.size());
  for (std::size_t i = 0; i < common; ++i) {
    // Equal pairs have equal numbers.
    if (a[i] != b[i]) return pairs_[a[i]] < pairs_[b[i]] ? -1 : 1;
  }
  return a.size() < b.size() ? -1 : a.size() > b.size() ? 1 : 0;
}

void LabelTable::Truncate(std::size_t size) {
  if (size >= ends_.size()) return;
  ends_.resize(size);
  numbers_.resize(size == 0 ? 0 : ends_.back());
}

void LabelTableBuilder::Add(const model::Labels& labels) {
  row_.clear();
  for (const model::Label& label : labels) {
    const auto [it, added] = known_.try_emplace(
        std::pair(std::string(label.name), std::string(label.value)),
        PairNumber{0});
    if (added) it->second = table_.AddPair(label.name, label.value);
    row_.push_back(it->second);
  }
  table_.AddRow(row_);
}

LabelTable MergeLabelTables(std::vector<LabelTable> tables, std::size_t limit) {
  LabelTable merged;
  if (tables.size() == 1) {
    merged = std::move(tables.front());
    if (limit != 0) merged.Truncate(limit);
    return merged;
  }
  CommonPairs pairs(&merged);
  std::vector<std::vector<PairNumber>> numbers(tables.size());
  std::vector<Row> rows;
  for (std::size_t i = 0; i < tables.size(); ++i) {
    const std::vector<Row> more = pairs.Translate(tables[i], &numbers[i]);
    std::vector<Row> both;
    std::set_union(rows.begin(), rows.end(), more.begin(), more.end(),
                   std::back_inserter(both), [&merged](Row a, Row b) {
                     return merged.Compare(a, b) < 0;
                   });
    rows = std::move(both);
  }
  if (limit != 0 && rows.size() > limit) rows.resize(limit);
  for (const Row row : rows) merged.AddRow(row);
  return merged;
}

}  // namespace narthex::storage
