#include "libs/tsdb/label_index.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/match.h"
#include "libs/base/status.h"
#include "libs/base/varint.h"

namespace narthex::tsdb {
namespace {

std::uint32_t TakeVarint(const std::uint8_t** at) {
  std::uint32_t value = 0;
  for (int shift = 0;; shift += 7) {
    const std::uint8_t byte = *(*at)++;
    value |= static_cast<std::uint32_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return value;
  }
}

void Insert(SeriesId id, Postings* postings) {
  // A quarter more, where a vector would take double: most lists rest soon.
  if (postings->size() == postings->capacity() && postings->size() >= 16) {
    postings->reserve(postings->size() + postings->size() / 4);
  }
  if (postings->empty() || postings->back() < id) {
    postings->push_back(id);
  } else {
    postings->insert(std::lower_bound(postings->begin(), postings->end(), id),
                     id);
  }
}

// Removes the ids of `gone` from `*postings`; both are sorted.
void Erase(const Postings& gone, Postings* postings) {
  Subtract(PostingsView(gone), postings);
  if (postings->capacity() > 2 * postings->size()) postings->shrink_to_fit();
}

void PutString(absl::string_view text, std::string* out) {
  base::PutUvarint(text.size(), out);
  out->append(text.data(), text.size());
}

}  // namespace

template <typename VisitPair>
void LabelIndex::Walk(const PairList& list, const VisitPair& visit) const {
  const std::uint8_t* at = list.get();
  for (std::uint32_t left = TakeVarint(&at); left > 0; --left) {
    const PairId number = TakeVarint(&at);
    if (!visit(number, pairs_[number])) return;
  }
}

bool LabelIndex::Before(const std::uint8_t* a, const std::uint8_t* b) const {
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

bool LabelIndex::Equals(const PairList& list,
                        const model::Labels& labels) const {
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

std::optional<SeriesId> LabelIndex::Find(const model::Labels& labels) const {
  const auto it = by_hash_.find(labels.Hash());
  if (it == by_hash_.end()) return std::nullopt;
  const PairList* list = series_.Find(it->second);
  if (list != nullptr && Equals(*list, labels)) return it->second;
  const auto other = collisions_.find(
      std::string(labels.encoded().data(), labels.encoded().size()));
  if (other == collisions_.end()) return std::nullopt;
  return other->second;
}

void LabelIndex::Add(SeriesId id, const model::Labels& labels) {
  std::string numbers;
  base::PutUvarint(labels.size(), &numbers);
  for (const model::Label& label : labels) {
    const PairId number = GetOrCreatePair(label.name, label.value);
    base::PutUvarint(number, &numbers);
    Insert(id, &pairs_[number].postings);
  }
  PairList& list = series_.Make(id);
  list = std::make_unique<std::uint8_t[]>(numbers.size());
  std::memcpy(list.get(), numbers.data(), numbers.size());
  ++series_count_;
  Insert(id, &all_);
  if (!by_hash_.emplace(labels.Hash(), id).second) {
    collisions_.emplace(
        std::string(labels.encoded().data(), labels.encoded().size()), id);
  }
}

void LabelIndex::Remove(const Postings& ids) {
  absl::flat_hash_map<PairId, Postings> gone;
  model::Labels labels;
  for (const SeriesId id : ids) {
    if (!LabelsOf(id, &labels)) continue;
    Walk(*series_.Find(id), [&](PairId number, const Pair&) {
      Insert(id, &gone[number]);
      return true;
    });
    series_.Erase(id);
    --series_count_;
    const auto it = by_hash_.find(labels.Hash());
    if (it != by_hash_.end() && it->second == id) {
      // Another set with this hash stays found through `collisions_` only
      // while there is an entry; give it this one's place.
      by_hash_.erase(it);
      for (auto other = collisions_.begin(); other != collisions_.end();
           ++other) {
        model::Labels set;
        model::Labels::FromEncoded(other->first, &set);
        if (set.Hash() != labels.Hash()) continue;
        by_hash_.emplace(labels.Hash(), other->second);
        collisions_.erase(other);
        break;
      }
    } else {
      collisions_.erase(
          std::string(labels.encoded().data(), labels.encoded().size()));
    }
  }
  for (const auto& [number, removed] : gone) {
    Erase(removed, &pairs_[number].postings);
    if (pairs_[number].postings.empty()) RemovePair(number);
  }
  Erase(ids, &all_);
}

bool LabelIndex::LabelsOf(SeriesId id, model::Labels* labels) const {
  const PairList* list = series_.Find(id);
  if (list == nullptr) return false;
  std::string encoded;
  Walk(*list, [&](PairId, const Pair& pair) {
    PutString(pair.name->name, &encoded);
    PutString(pair.value, &encoded);
    return true;
  });
  return model::Labels::FromEncoded(encoded, labels);
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
}

absl::StatusOr<PostingsView> LabelIndex::All() const {
  return PostingsView(all_);
}

absl::StatusOr<PostingsView> LabelIndex::Find(absl::string_view name,
                                              absl::string_view value) const {
  const Pair* pair = FindPair(name, value);
  return pair == nullptr ? PostingsView() : PostingsView(pair->postings);
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
          return PostingsView(pair.postings);
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
    const PairList* list = series_.Find(id);
    if (list == nullptr) continue;
    Walk(*list, [&](PairId, const Pair& pair) {
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
  for (const auto& [value, number] : it->second->values) {
    if (Intersects(PostingsView(pairs_[number].postings), PostingsView(ids))) {
      values.emplace_back(value);
    }
  }
  return values;
}

std::vector<LabelIndex::NameStatistics> LabelIndex::Statistics() const {
  std::vector<NameStatistics> all;
  for (const auto& [name, entry] : names_) {
    if (entry->values.empty()) continue;
    NameStatistics one{name, entry->values.size(), 0};
    for (const auto& [value, number] : entry->values) {
      one.value_bytes += value.size();
    }
    all.push_back(one);
  }
  return all;
}

}  // namespace narthex::tsdb
