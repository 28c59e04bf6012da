#include "libs/tsdb/label_index.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <numeric>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/match.h"
#include "libs/base/status.h"
#include "libs/base/varint.h"

namespace narthex::tsdb {
namespace {

std::uint32_t TakeVarint(const char** at) {
  std::uint32_t value = 0;
  for (int shift = 0;; shift += 7) {
    const auto byte = static_cast<std::uint8_t>(*(*at)++);
    value |= static_cast<std::uint32_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return value;
  }
}

/// Rows of numbers, each of a pair, that are still to be sorted.
struct UnsortedRows {
  std::vector<std::uint32_t> numbers;
  std::vector<std::size_t> ends{0};  // Where rows end, after a 0.

  std::size_t size() const { return ends.size() - 1; }
  storage::LabelTable::Row row(std::size_t i) const {
    return absl::MakeConstSpan(numbers).subspan(ends[i], ends[i + 1] - ends[i]);
  }
};

// How many numbers all rows have in common at their fronts.
std::size_t CommonFront(const UnsortedRows& rows) {
  storage::LabelTable::Row common = rows.row(0);
  for (std::size_t i = 1; i < rows.size(); ++i) {
    const storage::LabelTable::Row row = rows.row(i);
    const auto differ =
        std::mismatch(common.begin(), common.end(), row.begin(), row.end());
    common =
        common.first(static_cast<std::size_t>(differ.first - common.begin()));
  }
  return common.size();
}

// The rows in ascending order; all numbers are below `bound`. Most are told
// apart by as many numbers as fit into an integer.
std::vector<std::uint32_t> SortedOrder(const UnsortedRows& rows,
                                       std::size_t bound) {
  std::vector<std::pair<std::uint64_t, std::uint32_t>> keyed(rows.size());
  const std::size_t skipped = rows.size() == 0 ? 0 : CommonFront(rows);
  const int bits = static_cast<int>(std::bit_width(bound));
  for (std::uint32_t i = 0; i < rows.size(); ++i) {
    const auto row = rows.row(i).subspan(skipped);
    std::uint64_t key = 0;
    std::size_t at = 0;
    for (int shift = 64 - bits; shift >= 0 && at < row.size(); shift -= bits) {
      key |= std::uint64_t{row[at++] + 1} << shift;
    }
    keyed[i] = {key, i};
  }
  std::sort(keyed.begin(), keyed.end(), [&rows](const auto& a, const auto& b) {
    if (a.first != b.first) return a.first < b.first;
    const auto row_a = rows.row(a.second);
    const auto row_b = rows.row(b.second);
    return std::lexicographical_compare(row_a.begin(), row_a.end(),
                                        row_b.begin(), row_b.end());
  });
  std::vector<std::uint32_t> order;
  order.reserve(keyed.size());
  for (const auto& [key, i] : keyed) order.push_back(i);
  return order;
}

void PutString(absl::string_view text, std::string* out) {
  base::PutUvarint(text.size(), out);
  out->append(text.data(), text.size());
}

// Of a text in a label set as Prometheus 3 holds it: a byte for the length of a
// short one, else four.
std::size_t EncodedSize(absl::string_view text) {
  return text.size() + (text.size() < 255 ? 1 : 4);
}

}  // namespace

template <typename VisitPair>
const char* LabelIndex::Walk(const char* list, const VisitPair& visit) const {
  for (std::uint32_t left = TakeVarint(&list); left > 0; --left) {
    const PairId number = TakeVarint(&list);
    if (!visit(number, pairs_[number])) break;
  }
  return list;
}

bool LabelIndex::Before(const char* a, const char* b) const {
  std::uint32_t left_a = TakeVarint(&a);
  std::uint32_t left_b = TakeVarint(&b);
  // Equal pairs have equal numbers: only the first difference is looked at.
  for (; left_a > 0 && left_b > 0; --left_a, --left_b) {
    const PairId number_a = TakeVarint(&a);
    const PairId number_b = TakeVarint(&b);
    if (number_a == number_b) continue;
    const Pair& pair_a = pairs_[number_a];
    const Pair& pair_b = pairs_[number_b];
    if (pair_a.name != pair_b.name)
      return pair_a.name->name < pair_b.name->name;
    return pair_a.value < pair_b.value;
  }
  return left_a < left_b;
}

bool LabelIndex::Equals(const char* list, const model::Labels& labels) const {
  auto it = labels.begin();
  const auto end = labels.end();
  bool equal = true;
  Walk(list, [&](PairId, const Pair& pair) {
    equal = it != end && it->name == pair.name->name && it->value == pair.value;
    if (equal) ++it;
    return equal;
  });
  return equal && it == end;
}

std::optional<SeriesId> LabelIndex::Find(const model::Labels& labels,
                                         std::uint64_t hash) const {
  return by_hash_.Find(hash,
                       [&](SeriesId id) { return Equals(ListOf(id), labels); });
}

LabelIndex::PairId LabelIndex::PairAt(std::size_t place,
                                      const model::Label& label) {
  if (place < last_added_.size()) {
    const Pair& pair = pairs_[last_added_[place]];
    if (pair.value == label.value && pair.name->name == label.name) {
      return last_added_[place];
    }
  }
  return GetOrCreatePair(label.name, label.value);
}

void LabelIndex::Add(SeriesId id, const model::Labels& labels,
                     std::uint64_t hash) {
  std::string numbers;
  std::size_t count = 0;
  for (const model::Label& label : labels) {
    const PairId number = PairAt(count, label);
    last_added_.resize(std::max(last_added_.size(), count + 1));
    last_added_[count++] = number;
    pairs_[number].postings.Insert(id);
  }
  last_added_.resize(count);
  base::PutUvarint(count, &numbers);
  for (const PairId number : last_added_) base::PutUvarint(number, &numbers);
  const base::ByteArena::Handle list = lists_.Allocate(numbers.size());
  std::memcpy(lists_.At(list), numbers.data(), numbers.size());
  series_.Make(id) = list;
  ++series_count_;
  all_.Insert(id);
  by_hash_.Insert(hash, id);
}

void LabelIndex::Remove(const Postings& ids) {
  absl::flat_hash_map<PairId, Postings> gone;
  Postings removed_ids;
  model::Labels labels;
  for (const SeriesId id : ids) {
    if (!LabelsOf(id, &labels)) continue;
    const base::ByteArena::Handle handle = *series_.Find(id);
    const char* list = lists_.At(handle);
    const char* end = Walk(list, [&](PairId number, const Pair&) {
      gone[number].push_back(id);
      return true;
    });
    lists_.Free(handle, static_cast<std::size_t>(end - list));
    series_.Erase(id);
    --series_count_;
    by_hash_.Erase(labels.Hash(), id);
    removed_ids.push_back(id);
  }
  for (const auto& [number, removed] : gone) {
    pairs_[number].postings.Remove(removed);
    if (pairs_[number].postings.empty()) RemovePair(number);
  }
  all_.Remove(removed_ids);
}

bool LabelIndex::LabelsOf(SeriesId id, model::Labels* labels) const {
  const char* list = ListOf(id);
  if (list == nullptr) return false;
  std::string encoded;
  Walk(list, [&](PairId, const Pair& pair) {
    PutString(pair.name->name, &encoded);
    PutString(pair.value, &encoded);
    return true;
  });
  *labels = model::Labels::AdoptEncoded(std::move(encoded));
  return true;
}

void LabelIndex::LabelsOf(absl::Span<const SeriesId> ids,
                          const std::vector<std::string>* names,
                          std::vector<model::Labels>* labels) const {
  std::vector<const Name*> wanted;
  if (names != nullptr) {
    for (const std::string& name : *names) {
      const auto it = names_.find(name);
      if (it != names_.end()) wanted.push_back(it->second.get());
    }
  }
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const char* list = ListOf(ids[i]);
    std::string encoded;
    std::size_t left = wanted.size();
    if (list != nullptr && (names == nullptr || left > 0)) {
      Walk(list, [&](PairId, const Pair& pair) {
        if (names != nullptr) {
          if (std::find(wanted.begin(), wanted.end(), pair.name) ==
              wanted.end()) {
            return true;
          }
          --left;
        }
        PutString(pair.name->name, &encoded);
        PutString(pair.value, &encoded);
        return names == nullptr || left > 0;
      });
    }
    (*labels)[i] = model::Labels::AdoptEncoded(std::move(encoded));
  }
}

struct LabelIndex::RankedRows {
  UnsortedRows rows;
  std::vector<PairId> pairs;  // By rank.
};

LabelIndex::RankedRows LabelIndex::RowsOf(
    absl::Span<const char* const> lists) const {
  // The distinct pairs are numbered as they come. Neighbours share most.
  UnsortedRows rows;
  std::vector<PairId> pairs;
  absl::flat_hash_map<PairId, std::uint32_t> known;
  for (const char* const list : lists) {
    std::size_t before = rows.size() == 0 ? 0 : rows.ends.end()[-2];
    const std::size_t before_end = rows.ends.back();
    Walk(list, [&](PairId pair, const Pair&) {
      const std::size_t at = before++;
      if (at < before_end && pairs[rows.numbers[at]] == pair) {
        rows.numbers.push_back(rows.numbers[at]);
        return true;
      }
      const auto [it, added] =
          known.try_emplace(pair, static_cast<std::uint32_t>(pairs.size()));
      if (added) pairs.push_back(pair);
      rows.numbers.push_back(it->second);
      return true;
    });
    rows.ends.push_back(rows.numbers.size());
  }
  // Numbered by rank, they order rows as their strings would.
  std::vector<std::uint32_t> by_rank(pairs.size());
  std::iota(by_rank.begin(), by_rank.end(), 0u);
  std::sort(by_rank.begin(), by_rank.end(), [&](auto a, auto b) {
    const Pair& pair_a = pairs_[pairs[a]];
    const Pair& pair_b = pairs_[pairs[b]];
    if (pair_a.name != pair_b.name)
      return pair_a.name->name < pair_b.name->name;
    return pair_a.value < pair_b.value;
  });
  RankedRows ranked;
  std::vector<std::uint32_t> rank(pairs.size());
  ranked.pairs.reserve(pairs.size());
  for (const std::uint32_t i : by_rank) {
    rank[i] = static_cast<std::uint32_t>(ranked.pairs.size());
    ranked.pairs.push_back(pairs[i]);
  }
  for (std::uint32_t& number : rows.numbers) number = rank[number];
  ranked.rows = std::move(rows);
  return ranked;
}

storage::LabelTable LabelIndex::TableOf(absl::Span<const SeriesId> ids) const {
  std::vector<const char*> lists;
  lists.reserve(ids.size());
  for (const SeriesId id : ids) {
    if (const char* list = ListOf(id); list != nullptr) lists.push_back(list);
  }
  const auto [rows, pairs] = RowsOf(lists);
  storage::LabelTable table;
  for (const PairId number : pairs) {
    const Pair& pair = pairs_[number];
    table.AddPair(pair.name->name, pair.value);
  }
  table.Reserve(rows.size(), rows.numbers.size());
  for (const std::uint32_t i : SortedOrder(rows, pairs.size() + 1)) {
    table.AddRow(rows.row(i));
  }
  return table;
}

std::vector<std::uint32_t> LabelIndex::OrderByLabels(
    absl::Span<const SeriesId> ids) const {
  // Of so few it does not pay to rank their pairs.
  constexpr std::size_t kFew = 256;
  std::vector<const char*> lists;
  std::vector<std::uint32_t> order;
  lists.reserve(ids.size());
  order.reserve(ids.size());
  for (std::uint32_t i = 0; i < ids.size(); ++i) {
    const char* const list = ListOf(ids[i]);
    if (list == nullptr) continue;
    lists.push_back(list);
    order.push_back(i);
  }
  std::vector<std::uint32_t> sorted(lists.size());
  if (lists.size() <= kFew) {
    std::iota(sorted.begin(), sorted.end(), 0u);
    std::sort(sorted.begin(), sorted.end(),
              [&](auto a, auto b) { return Before(lists[a], lists[b]); });
  } else {
    const auto [rows, pairs] = RowsOf(lists);
    sorted = SortedOrder(rows, pairs.size() + 1);
  }
  for (std::uint32_t& i : sorted) i = order[i];
  return sorted;
}

LabelIndex::Memory LabelIndex::memory() const {
  Memory memory;
  constexpr std::size_t kShort = sizeof(std::string) / 2;
  memory.labels = lists_.allocated_bytes() +
                  series_count_ * sizeof(base::ByteArena::Handle);
  for (const auto& [name, entry] : names_) {
    memory.labels += sizeof(Name) + entry->values.capacity() *
                                        (sizeof(*entry->values.begin()) + 1);
  }
  for (const Pair& pair : pairs_) {
    memory.labels += sizeof(pair) - sizeof(pair.postings);
    if (pair.value.capacity() >= kShort) memory.labels += pair.value.capacity();
    memory.postings += sizeof(pair.postings) + pair.postings.heap_bytes();
  }
  memory.postings += all_.heap_bytes();
  memory.hashes = by_hash_.memory_bytes();
  return memory;
}

const LabelIndex::Pair* LabelIndex::FindPair(absl::string_view name,
                                             absl::string_view value) const {
  const auto it = names_.find(name);
  if (it == names_.end()) return nullptr;
  const auto pair = it->second->values.find(value);
  return pair == it->second->values.end() ? nullptr : &pairs_[pair->second];
}

LabelIndex::PairId LabelIndex::GetOrCreatePair(absl::string_view name,
                                               absl::string_view value) {
  auto it = names_.find(name);
  if (it == names_.end()) {
    auto entry = std::make_unique<Name>();
    entry->name = std::string(name);
    const absl::string_view key = entry->name;
    it = names_.emplace(key, std::move(entry)).first;
  }
  Name& entry = *it->second;
  const auto known = entry.values.find(value);
  if (known != entry.values.end()) return known->second;
  PairId number = 0;
  if (free_.empty()) {
    number = static_cast<PairId>(pairs_.size());
    pairs_.emplace_back();
  } else {
    number = free_.back();
    free_.pop_back();
  }
  Pair& pair = pairs_[number];
  pair.name = &entry;
  pair.value = std::string(value);
  entry.values.emplace(absl::string_view(pair.value), number);
  return number;
}

void LabelIndex::RemovePair(PairId number) {
  Pair& pair = pairs_[number];
  names_.find(pair.name->name)->second->values.erase(pair.value);
  pair = Pair();
  free_.push_back(number);
  last_added_.clear();
}

absl::StatusOr<PostingsView> LabelIndex::All() const {
  return PostingsView::Owning(all_.Decode());
}

absl::StatusOr<PostingsView> LabelIndex::Find(absl::string_view name,
                                              absl::string_view value) const {
  const Pair* pair = FindPair(name, value);
  if (pair == nullptr) return PostingsView();
  return PostingsView::Owning(pair->postings.Decode());
}

absl::Status LabelIndex::ForEachValue(absl::string_view name,
                                      absl::string_view prefix,
                                      const Visit& visit) const {
  const auto it = names_.find(name);
  if (it == names_.end()) return absl::OkStatus();
  for (const auto& [value, number] : it->second->values) {
    if (!absl::StartsWith(value, prefix)) continue;
    const Pair& pair = pairs_[number];
    NARTHEX_RETURN_IF_ERROR(
        visit(value, [&pair]() -> absl::StatusOr<PostingsView> {
          return PostingsView::Owning(pair.postings.Decode());
        }));
  }
  return absl::OkStatus();
}

std::vector<std::string> LabelIndex::LabelNames() const {
  std::vector<std::string> names;
  for (const auto& [name, entry] : names_) {
    if (!entry->values.empty()) names.emplace_back(name);
  }
  return names;
}

std::vector<std::string> LabelIndex::LabelNames(const Postings& ids) const {
  absl::flat_hash_set<const Name*> found;
  for (const SeriesId id : ids) {
    const char* list = ListOf(id);
    if (list == nullptr) continue;
    Walk(list, [&](PairId, const Pair& pair) {
      found.insert(pair.name);
      return true;
    });
  }
  std::vector<std::string> names;
  for (const Name* name : found) names.push_back(name->name);
  return names;
}

std::vector<std::string> LabelIndex::LabelValues(absl::string_view name) const {
  std::vector<std::string> values;
  const auto it = names_.find(name);
  if (it == names_.end()) return values;
  for (const auto& [value, number] : it->second->values) {
    values.emplace_back(value);
  }
  return values;
}

std::vector<std::string> LabelIndex::LabelValues(absl::string_view name,
                                                 const Postings& ids) const {
  std::vector<std::string> values;
  const auto it = names_.find(name);
  if (it == names_.end()) return values;
  Postings of_value;
  for (const auto& [value, number] : it->second->values) {
    of_value.clear();
    pairs_[number].postings.AppendTo(&of_value);
    if (Intersects(PostingsView(of_value), PostingsView(ids))) {
      values.emplace_back(value);
    }
  }
  return values;
}

std::size_t LabelIndex::EncodedBytes(absl::string_view name,
                                     absl::string_view value) {
  return EncodedSize(name) + EncodedSize(value);
}

}  // namespace narthex::tsdb
