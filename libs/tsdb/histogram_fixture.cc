#include "libs/tsdb/histogram_fixture.h"

namespace narthex::tsdb {
namespace {

std::map<std::int64_t, double> Buckets(
    const std::vector<model::BucketSpan>& spans,
    const std::vector<double>& counts) {
  std::map<std::int64_t, double> buckets;
  std::int64_t index = 0;
  std::size_t next = 0;
  for (const model::BucketSpan& span : spans) {
    index += span.offset;
    for (std::uint32_t i = 0; i < span.length; ++i, ++index, ++next) {
      if (counts.at(next) != 0) buckets[index] = counts.at(next);
    }
  }
  return buckets;
}

void SetBuckets(const std::map<std::int64_t, std::int64_t>& counts,
                std::vector<model::BucketSpan>* spans,
                std::vector<std::int64_t>* deltas, std::uint64_t* total) {
  std::int64_t end = 0;
  std::int64_t before = 0;
  for (const auto& [index, count] : counts) {
    if (!spans->empty() && index == end) {
      ++spans->back().length;
    } else {
      spans->push_back({static_cast<std::int32_t>(index - end), 1});
    }
    end = index + 1;
    deltas->push_back(count - before);
    before = count;
    *total += static_cast<std::uint64_t>(count);
  }
}

}  // namespace

HistogramFacts FactsOf(const model::FloatHistogram& histogram) {
  HistogramFacts facts;
  facts.stale = histogram.stale();
  if (facts.stale) return facts;
  facts.schema = histogram.schema;
  facts.zero_threshold = histogram.zero_threshold;
  facts.custom_bounds = histogram.custom_bounds;
  facts.zero_count = histogram.zero_count;
  facts.count = histogram.count;
  facts.sum = histogram.sum;
  facts.gauge = histogram.counter_reset == model::CounterReset::kGauge;
  facts.positive =
      Buckets(histogram.positive_spans, histogram.positive_buckets);
  facts.negative =
      Buckets(histogram.negative_spans, histogram.negative_buckets);
  return facts;
}

HistogramFacts FactsOf(const model::IntHistogram& histogram) {
  return FactsOf(histogram.ToFloat());
}

HistogramFacts FactsOf(const StoredSample& sample) {
  return sample.histogram.integer != nullptr
             ? FactsOf(*sample.histogram.integer)
             : FactsOf(*sample.histogram.floating);
}

std::map<std::int64_t, HistogramFacts> FactsOf(
    const model::SampleColumns& samples) {
  std::map<std::int64_t, HistogramFacts> facts;
  for (std::size_t i = 0; i < samples.histograms.size(); ++i) {
    const std::int64_t time = samples.timestamps_ms[i];
    if (samples.histograms[i] != nullptr) {
      facts[time] = FactsOf(*samples.histograms[i]);
    } else if (model::IsStaleNan(samples.values[i])) {
      facts[time].stale = true;
    }
  }
  return facts;
}

model::IntHistogram MakeHistogram(
    const std::map<std::int64_t, std::int64_t>& positive,
    const std::map<std::int64_t, std::int64_t>& negative,
    std::uint64_t zero_count) {
  model::IntHistogram histogram;
  histogram.zero_threshold = 0.001;
  histogram.zero_count = zero_count;
  histogram.count = zero_count;
  SetBuckets(positive, &histogram.positive_spans, &histogram.positive_deltas,
             &histogram.count);
  SetBuckets(negative, &histogram.negative_spans, &histogram.negative_deltas,
             &histogram.count);
  histogram.sum = 0.25 * static_cast<double>(histogram.count);
  return histogram;
}

model::IntHistogram RandomHistograms::Next() {
  const auto chance = [this](int one_in) {
    return random_() % static_cast<std::uint64_t>(one_in) == 0;
  };
  if (chance(60)) schema_ = static_cast<std::int32_t>(random_() % 13) - 4;
  if (chance(50)) {
    positive_.clear();
    negative_.clear();
    zero_count_ = 0;
  }
  for (auto* side : {&positive_, &negative_}) {
    const auto observations = random_() % 8;
    for (std::uint64_t i = 0; i < observations; ++i) {
      const auto bucket = static_cast<std::int64_t>(random_() % 40) - 20;
      (*side)[bucket] += static_cast<std::int64_t>(random_() % 1000);
    }
    // Empty buckets come and go without meaning.
    if (chance(4)) {
      (*side)[static_cast<std::int64_t>(random_() % 60) - 30] += 0;
    }
    if (chance(3))
      std::erase_if(*side, [](const auto& b) { return !b.second; });
    if (gauge_ && chance(3) && !side->empty()) side->begin()->second /= 2;
    if (gauge_ && chance(5) && !side->empty()) side->erase(side->begin());
  }
  if (chance(3)) zero_count_ += random_() % 5;
  model::IntHistogram histogram =
      MakeHistogram(positive_, negative_, zero_count_);
  histogram.schema = schema_;
  if (gauge_) histogram.counter_reset = model::CounterReset::kGauge;
  if (chance(40)) histogram.sum = model::StaleNan();
  return histogram;
}

}  // namespace narthex::tsdb
