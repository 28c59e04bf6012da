#include "services/scraper/series_cache.h"

#include <algorithm>
#include <cstddef>
#include <tuple>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "libs/base/hash.h"
#include "libs/base/status.h"
#include "libs/model/histogram_resolution.h"
#include "services/scraper/family_labels.h"
#include "services/scraper/sample_labels.h"

namespace narthex::scraper {
namespace {

// How far ahead a line is looked for before an index is made: lines that
// went away leave short gaps.
constexpr std::size_t kLookAhead = 8;
constexpr std::uint32_t kMostRef = (1u << 28) - 1;
// What failed scrapes may add to twice the series of the last good one.
constexpr std::size_t kGrowth = 1000;
// How far ahead of the scrape a sample may be, as in Prometheus.
constexpr std::int64_t kMostAheadMs = 10 * 60 * 1000;

// Exemplars of one sample come ascending by time, value and labels. One
// without a time is as old as its sample; of a histogram, which exposes them
// again and again, such are left out.
absl::Status TakeExemplars(exposition::Parser& parser, std::uint32_t ref,
                           std::int64_t time, bool histogram,
                           ScrapeBatch* batch) {
  std::vector<exposition::Exemplar> exemplars;
  NARTHEX_RETURN_IF_ERROR(parser.ParseExemplars(&exemplars));
  const std::size_t first = batch->exemplars.size();
  for (exposition::Exemplar& one : exemplars) {
    if (histogram && !one.has_timestamp) continue;
    batch->exemplars.push_back(
        {ref,
         {std::move(one.labels), one.value,
          one.has_timestamp ? one.timestamp_ms : time, one.has_timestamp}});
  }
  std::sort(batch->exemplars.begin() + static_cast<std::ptrdiff_t>(first),
            batch->exemplars.end(), [](const auto& a, const auto& b) {
              return std::tuple(a.exemplar.timestamp_ms, a.exemplar.value,
                                a.exemplar.labels.Hash()) <
                     std::tuple(b.exemplar.timestamp_ms, b.exemplar.value,
                                b.exemplar.labels.Hash());
            });
  return absl::OkStatus();
}

// False when it has more buckets than allowed, whatever their width.
bool TakeHistogram(exposition::Parser& parser,
                   const config::ScrapeConfig& config, std::uint32_t ref,
                   std::int64_t time, ScrapeBatch* batch) {
  model::HistogramValue value = parser.histogram();
  model::LimitSchema(
      model::SchemaForFactor(config.native_histogram_min_bucket_factor),
      &value);
  if (config.native_histogram_bucket_limit > 0 &&
      !model::LimitBuckets(config.native_histogram_bucket_limit, &value)) {
    return false;
  }
  batch->histograms.push_back({ref, time, std::move(value)});
  return true;
}

}  // namespace

SeriesCache::Text SeriesCache::Text::Of(absl::string_view series,
                                        std::uint32_t family) {
  const base::Hash128 hash = base::XxHash128(series);
  return {{static_cast<std::uint32_t>(hash.low) ^ family,
           static_cast<std::uint32_t>(hash.low >> 32),
           static_cast<std::uint32_t>(hash.high)}};
}

struct SeriesCache::Pass {
  const config::ScrapeConfig& config;
  const model::Labels& target_labels;
  const std::int64_t timestamp_ms;
  ScrapeBatch* batch;
  IngestCounts* counts;

  std::size_t expected = 0;  // Where in entries_ the next line should be.
  // So far all lines were where they were expected: `ordered` is not used.
  bool in_order = true;
  std::vector<Entry> ordered = {};  // Entries in the order of this scrape.
  // Place in entries_, or that plus entries_.size() in `ordered` for new
  // ones, by text; made at the first surprise.
  absl::flat_hash_map<Text, std::size_t, TextHash> index = {};
  bool indexed = false;
  bool limit_exceeded = false;
  bool bucket_limit_exceeded = false;
  FamilyLabels family = {};
  // Series at its beginning, where there is a soft limit of them; those of
  // them that came; those that are new.
  std::size_t known = 0;
  std::size_t came = 0;
  std::vector<std::uint32_t> fresh = {};

  std::size_t missing() const { return known - came; }
  std::size_t samples() const {
    return batch->samples.size() + batch->histograms.size();
  }
};

bool SeriesCache::IsLimited(const Pass& pass) {
  const config::ScrapeLimits& limits = pass.config.limits;
  return limits.series > 0 || limits.pool_series > 0;
}

bool SeriesCache::HasRoom(const Pass& pass) const {
  const config::ScrapeLimits& limits = pass.config.limits;
  const auto fits = [&](std::size_t others, std::uint64_t pool_limit) {
    return (limits.series == 0 || others + pass.fresh.size() < limits.series) &&
           pool_->HasRoom(pool_limit);
  };
  if (fits(pass.known, limits.pool_series)) return true;
  // Known ones may still come: the sample limit has to leave room for them.
  return fits(pass.came, PoolLimit(pass)) &&
         (limits.samples == 0 ||
          pass.samples() + pass.missing() < limits.samples);
}

void SeriesCache::RefuseExcess(std::size_t others, Pass& pass) {
  const config::ScrapeLimits& limits = pass.config.limits;
  const auto beyond = [](std::uint64_t count, std::uint64_t limit) {
    return limit == 0 || count <= limit ? 0 : count - limit;
  };
  const std::size_t excess = std::min<std::size_t>(
      pass.fresh.size(),
      std::max(beyond(others + pass.fresh.size(), limits.series),
               beyond(pool_->used(), limits.pool_series)));
  if (excess == 0) return;
  const absl::flat_hash_set<std::uint64_t> refused(
      pass.fresh.end() - static_cast<std::ptrdiff_t>(excess), pass.fresh.end());
  const auto of_refused = [&](const auto& one) {
    return refused.contains(one.ref);
  };
  ScrapeBatch& batch = *pass.batch;
  pass.counts->over_series_limit += std::erase_if(batch.samples, of_refused) +
                                    std::erase_if(batch.histograms, of_refused);
  std::erase_if(batch.exemplars, of_refused);
  std::erase_if(batch.starts, of_refused);
  std::erase_if(batch.zeros.samples, of_refused);
  std::erase_if(batch.zeros.histograms, of_refused);
  for (Entry& entry : pass.ordered) {
    if (entry.ref == 0 || !of_refused(entry)) continue;
    Release(entry, &batch);
    entry.ref = 0;
  }
  pass.counts->added -= excess;
}

std::uint64_t SeriesCache::PoolLimit(const Pass& pass) {
  const std::uint64_t limit = pass.config.limits.pool_series;
  return limit == 0 ? 0 : limit + pass.missing();
}

// One that is to be looked at anew counts when it has been.
bool SeriesCache::Counts(const Entry& entry) {
  return entry.ref != 0 && !(entry.text == Text{});
}

std::size_t SeriesCache::CountKnown() const {
  return static_cast<std::size_t>(
      std::count_if(entries_.begin(), entries_.end(), Counts));
}

void SeriesCache::Release(const Entry& entry, ScrapeBatch* batch) {
  if (entry.ref == 0) return;
  batch->released.push_back(entry.ref);
  if (options_.start_zeros) start_zeros_.Forget(entry.ref);
  if (Counts(entry)) pool_->Return(1);
}

bool SeriesCache::Full(const Pass& pass) {
  const std::uint64_t limit = pass.config.limits.samples;
  return limit > 0 && pass.samples() >= limit;
}

const SeriesCache::Entry* SeriesCache::FindInOrder(const Text& text,
                                                   bool tracked,
                                                   Pass& pass) const {
  if (!pass.in_order || pass.expected == entries_.size()) return nullptr;
  const Entry& entry = entries_[pass.expected];
  const bool learnt = entry.ref != 0 || entry.dropped;
  if (!(entry.text == text) || !learnt || !entry.live ||
      entry.tracked != tracked) {
    return nullptr;
  }
  ++pass.expected;
  return &entry;
}

void SeriesCache::LeaveOrder(Pass& pass) {
  if (!std::exchange(pass.in_order, false)) return;
  pass.ordered.reserve(entries_.size());
  for (std::size_t i = 0; i < pass.expected; ++i) {
    entries_[i].seen = true;
    pass.ordered.push_back(entries_[i]);
    if (pass.known > 0 && Counts(entries_[i])) ++pass.came;
  }
}

SeriesCache::Entry* SeriesCache::Find(const Text& text, Pass& pass) {
  const std::size_t end = std::min(entries_.size(), pass.expected + kLookAhead);
  for (std::size_t i = pass.expected; i < end; ++i) {
    if (entries_[i].text == text && !entries_[i].seen) {
      pass.expected = i + 1;
      return &entries_[i];
    }
  }
  if (!pass.indexed) {
    pass.indexed = true;
    pass.index.reserve(entries_.size());
    for (std::size_t i = 0; i < entries_.size(); ++i) {
      pass.index.emplace(entries_[i].text, i);
    }
    for (std::size_t i = 0; i < pass.ordered.size(); ++i) {
      pass.index.emplace(pass.ordered[i].text, entries_.size() + i);
    }
  }
  const auto it = pass.index.find(text);
  if (it == pass.index.end()) return nullptr;
  if (it->second >= entries_.size()) {
    return &pass.ordered[it->second - entries_.size()];
  }
  pass.expected = it->second + 1;
  return &entries_[it->second];
}

absl::Status SeriesCache::Learn(exposition::Parser& parser, const Text& text,
                                Pass& pass, Entry* entry) {
  ScrapedLabels scraped;
  if (absl::Status malformed = parser.ParseLabels(&scraped.labels);
      !malformed.ok()) {
    // A malformed line is no sample.
    if (!absl::IsAlreadyExists(malformed)) --pass.counts->scraped;
    return malformed;
  }
  scraped.empty = parser.EmptyLabelNames();
  if (options_.family_labels) pass.family.AddTo(&scraped.labels);
  model::Labels labels;
  NARTHEX_ASSIGN_OR_RETURN(
      const bool keep,
      SampleLabels(scraped, pass.target_labels, pass.config, &labels));
  entry->text = text;
  entry->dropped = !keep;
  // Beyond a limit it is only counted.
  if (!keep || Full(pass) || !HasRoom(pass) || !pool_->Take(PoolLimit(pass))) {
    return absl::OkStatus();
  }
  const storage::SeriesRef ref = writer_.Declare(labels);
  // Samples of reference 0 are rejected and counted.
  entry->ref = ref <= kMostRef ? static_cast<std::uint32_t>(ref) & kMostRef : 0;
  if (entry->ref == 0) {
    pool_->Return(1);
  } else if (IsLimited(pass)) {
    pass.fresh.push_back(entry->ref);
  }
  return absl::OkStatus();
}

absl::Status SeriesCache::TakeOutOfOrder(exposition::Parser& parser,
                                         const Text& text, bool tracked,
                                         Pass& pass, const Entry** known,
                                         bool* repeated) {
  LeaveOrder(pass);
  Entry* const found = Find(text, pass);
  if (found != nullptr && found->seen) {
    *known = found;
    *repeated = true;
    return absl::OkStatus();
  }
  Entry entry;
  if (found == nullptr) {
    NARTHEX_RETURN_IF_ERROR(Learn(parser, text, pass, &entry));
    if (entry.ref != 0) ++pass.counts->added;
    if (pass.indexed) {
      pass.index.emplace(text, entries_.size() + pass.ordered.size());
    }
  } else {
    entry = *found;
    found->seen = true;
    if (pass.known > 0 && Counts(entry)) ++pass.came;
    if (entry.ref == 0 && !entry.dropped && HasRoom(pass)) {
      NARTHEX_RETURN_IF_ERROR(Learn(parser, text, pass, &entry));
      if (entry.ref != 0) ++pass.counts->added;
    }
  }
  entry.seen = true;
  entry.live = true;
  entry.tracked = tracked;
  pass.ordered.push_back(entry);
  *known = &pass.ordered.back();
  return absl::OkStatus();
}

absl::Status SeriesCache::Take(exposition::Parser& parser, bool histogram,
                               Pass& pass) {
  ++pass.counts->scraped;
  const Text text = Text::Of(parser.series(), pass.family.hash());
  const bool stamped = pass.config.honor_timestamps && parser.has_timestamp();
  const bool tracked = !stamped || pass.config.track_timestamps_staleness;
  bool repeated = false;
  const Entry* known = FindInOrder(text, tracked, pass);
  if (known == nullptr) {
    NARTHEX_RETURN_IF_ERROR(
        TakeOutOfOrder(parser, text, tracked, pass, &known, &repeated));
  }
  if (known->dropped) return absl::OkStatus();
  ++pass.counts->kept;
  // Several samples of one series need several timestamps.
  if (repeated && !stamped) {
    ++pass.counts->duplicates;
    return absl::OkStatus();
  }
  if (Full(pass)) {
    pass.limit_exceeded = true;
    return absl::OkStatus();
  }
  const std::int64_t time = stamped ? parser.timestamp_ms() : pass.timestamp_ms;
  const std::uint32_t ref = known->ref;
  if (ref == 0 && IsLimited(pass)) {
    ++pass.counts->over_series_limit;
    return absl::OkStatus();
  }
  if (stamped && time - kMostAheadMs > pass.timestamp_ms) {
    ++pass.counts->out_of_bounds;
    return absl::OkStatus();
  }
  if (parser.has_exemplar()) {
    if (absl::Status malformed =
            TakeExemplars(parser, ref, time, histogram, pass.batch);
        !malformed.ok()) {
      --pass.counts->scraped;
      --pass.counts->kept;
      return malformed;
    }
  }
  if (histogram) {
    if (!TakeHistogram(parser, pass.config, ref, time, pass.batch)) {
      pass.bucket_limit_exceeded = true;
      return absl::OkStatus();
    }
    cluster::RefHistogram& taken = pass.batch->histograms.back();
    if (options_.start_zeros) {
      start_zeros_.Note(ref, parser.start_ms(), time, taken.value,
                        &pass.batch->zeros);
    }
    if (options_.start_times) taken.start_ms = parser.start_ms();
    return absl::OkStatus();
  }
  pass.batch->samples.push_back({ref, time, parser.value()});
  if (options_.start_zeros) {
    start_zeros_.Note(ref, parser.start_ms(), time, &pass.batch->zeros);
  }
  if (options_.start_times && parser.start_ms() != 0) {
    pass.batch->starts.push_back({ref, time, parser.start_ms()});
  }
  return absl::OkStatus();
}

absl::Status SeriesCache::Ingest(exposition::Parser& parser,
                                 const config::ScrapeConfig& config,
                                 const model::Labels& target_labels,
                                 std::int64_t timestamp_ms,
                                 MetadataCache& metadata, ScrapeBatch* batch,
                                 IngestCounts* counts) {
  Pass pass{config, target_labels, timestamp_ms, batch, counts};
  if (IsLimited(pass)) pass.known = CountKnown();
  metadata.BeginScrape();
  absl::Status status;
  bool more = true;
  while (more && status.ok()) {
    switch (parser.Next()) {
      case exposition::Entry::kSeries:
        status = Take(parser, /*histogram=*/false, pass);
        break;
      case exposition::Entry::kHistogram:
        status = Take(parser, /*histogram=*/true, pass);
        break;
      case exposition::Entry::kHelp:
        metadata.Help(parser.metric(), parser.text());
        break;
      case exposition::Entry::kType:
        metadata.Type(parser.metric(), parser.type());
        if (options_.family_labels) {
          pass.family.SetType(parser.metric(), parser.type());
        }
        break;
      case exposition::Entry::kUnit:
        metadata.Unit(parser.metric(), parser.text());
        if (options_.family_labels) {
          pass.family.SetUnit(parser.metric(), parser.text());
        }
        break;
      case exposition::Entry::kComment:
        break;
      case exposition::Entry::kEnd:
        more = false;
        break;
      case exposition::Entry::kError:
        status = parser.status();
        break;
    }
  }
  if (status.ok() && pass.limit_exceeded) {
    status = absl::ResourceExhaustedError("sample limit exceeded");
  } else if (status.ok() && pass.bucket_limit_exceeded) {
    status = absl::ResourceExhaustedError("histogram bucket limit exceeded");
  }
  metadata.EndScrape(status.ok());
  if (status.ok()) {
    EndPass(pass);
  } else {
    AbandonPass(pass);
  }
  return status;
}

void SeriesCache::EndPass(Pass& pass) {
  if (pass.in_order && pass.expected == entries_.size()) {
    pass.batch->exposed = pass.batch->samples.size();
    return;
  }
  LeaveOrder(pass);
  most_after_failures_ = 2 * pass.ordered.size() + kGrowth;
  std::vector<const Entry*> gone;
  for (const Entry& entry : entries_) {
    if (entry.seen || entry.ref == 0) continue;
    Release(entry, pass.batch);
    if (entry.live && entry.tracked) gone.push_back(&entry);
  }
  RefuseExcess(pass.came, pass);
  pass.batch->exposed = pass.batch->samples.size();
  if (!gone.empty()) {
    // The same series may go on under another text.
    absl::flat_hash_set<std::uint64_t> going_on;
    for (const Entry& entry : pass.ordered) {
      if (entry.ref != 0) going_on.insert(writer_.HashOf(entry.ref));
    }
    for (const Entry* entry : gone) {
      if (going_on.contains(writer_.HashOf(entry->ref))) continue;
      pass.batch->samples.push_back(
          {entry->ref, pass.timestamp_ms, model::StaleNan()});
    }
  }
  for (Entry& entry : pass.ordered) entry.seen = false;
  entries_ = std::move(pass.ordered);
}

void SeriesCache::AbandonPass(Pass& pass) {
  // The zeros of this one are not sent.
  start_zeros_.Clear();
  // All stays as it was after the last good scrape, and what was met for the
  // first time is remembered: it is not new when it comes again.
  if (pass.in_order) return;
  RefuseExcess(pass.known, pass);
  absl::flat_hash_map<Text, std::size_t, TextHash> places;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    entries_[i].seen = false;
    places.emplace(entries_[i].text, i);
  }
  for (Entry& entry : pass.ordered) {
    if (entry.ref == 0 && !entry.dropped) continue;
    entry.seen = false;
    entry.live = false;
    const auto [place, is_new] =
        places.try_emplace(entry.text, entries_.size());
    if (is_new) {
      entries_.push_back(entry);
    } else if (entries_[place->second].ref == 0) {
      entries_[place->second] = entry;
    }
  }
  if (entries_.size() <= most_after_failures_) return;
  pass.counts->flushed = true;
  std::erase_if(entries_, [&](const Entry& entry) {
    if (entry.live) return false;
    Release(entry, pass.batch);
    return true;
  });
}

void SeriesCache::MarkAllStale(std::int64_t timestamp_ms, ScrapeBatch* batch) {
  for (Entry& entry : entries_) {
    if (entry.live && entry.tracked && entry.ref != 0) {
      batch->samples.push_back({entry.ref, timestamp_ms, model::StaleNan()});
    }
    entry.live = false;
  }
}

void SeriesCache::Relearn() {
  pool_->Return(CountKnown());
  for (Entry& entry : entries_) entry.text = Text{};
}

void SeriesCache::Forget(ScrapeBatch* batch) {
  for (const Entry& entry : entries_) Release(entry, batch);
  entries_.clear();
}

}  // namespace narthex::scraper
