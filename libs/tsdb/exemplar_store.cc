#include "libs/tsdb/exemplar_store.h"

#include <algorithm>
#include <bit>
#include <utility>

namespace narthex::tsdb {
namespace {

// OpenMetrics 1.0, "Exemplars".
constexpr std::size_t kMostLabelCharacters = 128;

// Code points of valid UTF-8.
std::size_t CharactersOf(absl::string_view text) {
  return static_cast<std::size_t>(std::count_if(
      text.begin(), text.end(),
      [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

std::size_t LabelCharacters(const model::Labels& labels) {
  std::size_t sum = 0;
  for (const model::Label& label : labels) {
    sum += CharactersOf(label.name) + CharactersOf(label.value);
  }
  return sum;
}

bool Equal(const model::Exemplar& a, const model::Exemplar& b) {
  const bool timed = a.has_timestamp || b.has_timestamp;
  return (!timed || a.timestamp_ms == b.timestamp_ms) && a.labels == b.labels &&
         std::bit_cast<std::uint64_t>(a.value) ==
             std::bit_cast<std::uint64_t>(b.value);
}

// The order in which exemplars of a series come.
bool Before(const model::Exemplar& a, const model::Exemplar& b) {
  if (a.timestamp_ms != b.timestamp_ms) return a.timestamp_ms < b.timestamp_ms;
  if (a.value != b.value) return a.value < b.value;
  return a.labels.Hash() < b.labels.Hash();
}

bool MatchesAll(const model::Labels& labels,
                const std::vector<model::Matcher>& matchers) {
  return std::all_of(matchers.begin(), matchers.end(),
                     [&labels](const model::Matcher& matcher) {
                       return matcher.Matches(labels.Get(matcher.name()));
                     });
}

bool MatchesSome(const model::Labels& labels,
                 const std::vector<std::vector<model::Matcher>>& sets) {
  return std::any_of(sets.begin(), sets.end(), [&labels](const auto& matchers) {
    return MatchesAll(labels, matchers);
  });
}

}  // namespace

ExemplarStore::Metrics::Metrics(metrics::Registry& registry)
    : appended(registry.NewCounter(
          "prometheus_tsdb_exemplar_exemplars_appended_total",
          "Total number of appended exemplars.")),
      out_of_order(registry.NewCounter(
          "prometheus_tsdb_exemplar_out_of_order_exemplars_total",
          "Total number of out of order exemplar ingestion failed attempts.")),
      stored(registry.NewGauge(
          "prometheus_tsdb_exemplar_exemplars_in_storage",
          "Number of exemplars currently in circular storage.")),
      series(registry.NewGauge(
          "prometheus_tsdb_exemplar_series_with_exemplars_in_storage",
          "Number of series with exemplars currently in circular storage.")),
      last_seconds(registry.NewGauge(
          "prometheus_tsdb_exemplar_last_exemplars_timestamp_seconds",
          "The timestamp of the oldest exemplar stored in circular storage. "
          "Useful to check for what time range the current exemplar buffer "
          "limit allows. This usually means the last timestamp for all "
          "exemplars for a typical setup. This is not true though if one of "
          "the series timestamp is in future compared to rest series.")),
      capacity(registry.NewGauge(
          "prometheus_tsdb_exemplar_max_exemplars",
          "Total number of exemplars the exemplar storage can store, "
          "resizeable.")) {}

ExemplarStore::ExemplarStore(std::size_t capacity, metrics::Registry& registry)
    : metrics_(registry), capacity_(capacity) {
  metrics_.capacity.Set(static_cast<double>(capacity));
}

bool ExemplarStore::enabled() const {
  base::ReaderMutexLock lock(mutex_);
  return capacity_ > 0;
}

void ExemplarStore::Resize(std::size_t capacity) {
  base::MutexLock lock(mutex_);
  if (capacity == capacity_) return;
  capacity_ = capacity;
  std::vector<Slot> old;
  old.swap(ring_);
  // Holds what the old slots point to until they are gone.
  Index old_index;
  old_index.swap(index_);
  const std::size_t begin = std::exchange(next_, 0);
  std::size_t skipped = stored_ > capacity ? stored_ - capacity : 0;
  stored_ = 0;
  for (std::size_t i = 0; i < old.size(); ++i) {
    const Slot& slot = old[(begin + i) % old.size()];
    if (slot.series == nullptr) continue;
    if (skipped > 0) {
      --skipped;
      continue;
    }
    Put(slot.series->first, slot.exemplar);
  }
  metrics_.capacity.Set(static_cast<double>(capacity));
  ShowState();
}

ExemplarVerdict ExemplarStore::Judge(const model::Labels& series,
                                     const model::Exemplar& exemplar) const {
  if (capacity_ == 0) return ExemplarVerdict::kDisabled;
  if (LabelCharacters(exemplar.labels) > kMostLabelCharacters) {
    return ExemplarVerdict::kTooLong;
  }
  const auto known = index_.find(series);
  if (known == index_.end()) return ExemplarVerdict::kNew;
  // To look for an older equal one would cost more than it is worth: it is
  // out of order then.
  const model::Exemplar& newest = ring_[known->second.newest].exemplar;
  if (Equal(exemplar, newest)) return ExemplarVerdict::kDuplicate;
  return Before(exemplar, newest) ? ExemplarVerdict::kOutOfOrder
                                  : ExemplarVerdict::kNew;
}

ExemplarVerdict ExemplarStore::Check(const model::Labels& series,
                                     const model::Exemplar& exemplar) {
  base::ReaderMutexLock lock(mutex_);
  const ExemplarVerdict verdict = Judge(series, exemplar);
  if (verdict == ExemplarVerdict::kOutOfOrder) metrics_.out_of_order.Inc();
  return verdict;
}

ExemplarVerdict ExemplarStore::Add(const model::Labels& series,
                                   const model::Exemplar& exemplar) {
  base::MutexLock lock(mutex_);
  const ExemplarVerdict verdict = Judge(series, exemplar);
  if (verdict != ExemplarVerdict::kNew) return verdict;
  Put(series, exemplar);
  metrics_.appended.Inc();
  ShowState();
  return verdict;
}

void ExemplarStore::Restore(const model::Labels& series,
                            model::Exemplar exemplar) {
  base::MutexLock lock(mutex_);
  if (Judge(series, exemplar) != ExemplarVerdict::kNew) return;
  exemplar.has_timestamp = false;
  Put(series, exemplar);
  metrics_.appended.Inc();
  ShowState();
}

void ExemplarStore::Evict() {
  if (next_ == ring_.size()) {
    constexpr std::size_t kFew = 64;
    if (ring_.size() == ring_.capacity()) {
      ring_.reserve(std::min(capacity_, std::max(kFew, ring_.size() * 2)));
    }
    ring_.emplace_back();
    return;
  }
  Slot& slot = ring_[next_];
  if (slot.series == nullptr) return;
  if (slot.next == kNone) {
    index_.erase(index_.find(slot.series->first));
  } else {
    slot.series->second.oldest = slot.next;
  }
  slot = Slot();
  --stored_;
}

void ExemplarStore::Put(const model::Labels& series,
                        const model::Exemplar& exemplar) {
  Evict();
  const auto [it, made] = index_.try_emplace(series, Ends{next_, next_});
  if (!made) {
    ring_[it->second.newest].next = next_;
    it->second.newest = next_;
  }
  ring_[next_] = {&*it, kNone, exemplar};
  ++stored_;
  next_ = (next_ + 1) % capacity_;
}

void ExemplarStore::ShowState() {
  metrics_.stored.Set(static_cast<double>(stored_));
  metrics_.series.Set(static_cast<double>(index_.size()));
  if (stored_ == 0) return;
  // The oldest is written over next; until the ring is full it is the first.
  const Slot& oldest = next_ < ring_.size() ? ring_[next_] : ring_.front();
  metrics_.last_seconds.Set(static_cast<double>(oldest.exemplar.timestamp_ms) /
                            1000);
}

std::vector<SeriesExemplars> ExemplarStore::Select(
    const storage::TimeRange& range,
    const std::vector<std::vector<model::Matcher>>& matcher_sets) const {
  std::vector<SeriesExemplars> selected;
  {
    base::ReaderMutexLock lock(mutex_);
    for (const auto& [labels, ends] : index_) {
      if (ring_[ends.oldest].exemplar.timestamp_ms > range.max_ms ||
          ring_[ends.newest].exemplar.timestamp_ms < range.min_ms ||
          !MatchesSome(labels, matcher_sets)) {
        continue;
      }
      SeriesExemplars one{labels, {}};
      for (std::size_t i = ends.oldest; i != kNone; i = ring_[i].next) {
        const model::Exemplar& exemplar = ring_[i].exemplar;
        if (exemplar.timestamp_ms > range.max_ms) break;
        if (exemplar.timestamp_ms >= range.min_ms) {
          one.exemplars.push_back(exemplar);
        }
      }
      if (!one.exemplars.empty()) selected.push_back(std::move(one));
    }
  }
  std::sort(selected.begin(), selected.end(), [](const auto& a, const auto& b) {
    return model::Labels::Compare(a.labels, b.labels) < 0;
  });
  return selected;
}

}  // namespace narthex::tsdb
