#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <vector>

#include "libs/model/histogram.h"
#include "libs/model/sample.h"
#include "libs/tsdb/stored_sample.h"

namespace narthex::tsdb {

/// What a histogram says, however its spans are cut: for comparisons.
struct HistogramFacts {
  std::int32_t schema = 0;
  double zero_threshold = 0;
  std::vector<double> custom_bounds;
  double zero_count = 0;
  double count = 0;
  double sum = 0;
  bool gauge = false;
  bool stale = false;
  /// Counts of the buckets by index, without empty ones.
  std::map<std::int64_t, double> positive;
  std::map<std::int64_t, double> negative;
  friend bool operator==(const HistogramFacts&,
                         const HistogramFacts&) = default;
};

HistogramFacts FactsOf(const model::FloatHistogram& histogram);
HistogramFacts FactsOf(const model::IntHistogram& histogram);
HistogramFacts FactsOf(const StoredSample& sample);

/// Facts by time, of all samples that are histograms or end them.
std::map<std::int64_t, HistogramFacts> FactsOf(
    const model::SampleColumns& samples);

/// A valid integer histogram of the buckets' absolute counts by index, with
/// spans as short as possible.
model::IntHistogram MakeHistogram(
    const std::map<std::int64_t, std::int64_t>& positive,
    const std::map<std::int64_t, std::int64_t>& negative = {},
    std::uint64_t zero_count = 0);

/// Observes at random: a series of integer histograms whose buckets appear,
/// are reset, vanish while empty, and which now and then goes stale.
class RandomHistograms {
 public:
  RandomHistograms(std::uint64_t seed, bool gauge)
      : random_(seed), gauge_(gauge) {}
  model::IntHistogram Next();

 private:
  std::mt19937_64 random_;
  const bool gauge_;
  std::map<std::int64_t, std::int64_t> positive_;
  std::map<std::int64_t, std::int64_t> negative_;
  std::uint64_t zero_count_ = 0;
  std::int32_t schema_ = 3;
};

}  // namespace narthex::tsdb
