#include "libs/exposition/custom_buckets.h"

#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/strip.h"
#include "libs/base/float_format.h"

namespace narthex::exposition {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
// So many empty buckets between others are kept rather than a span begun.
constexpr std::size_t kMostEmptyBuckets = 2;

// A classic histogram being collected.
struct Classic {
  struct Bucket {
    double bound = 0;
    double count = 0;  // Cumulative.
  };
  std::vector<Bucket> buckets;
  std::optional<double> count;
  double sum = 0;
  bool good = true;

  void AddBucket(double bound, double value) {
    if (!buckets.empty() &&
        (bound <= buckets.back().bound || value < buckets.back().count)) {
      // The same bucket again changes nothing.
      good = good && bound == buckets.back().bound &&
             value == buckets.back().count;
      return;
    }
    buckets.push_back({bound, value});
  }
};

// The spans of the buckets that are not empty, with few empty ones between.
std::vector<model::BucketSpan> SpansOf(const std::vector<double>& counts,
                                       std::vector<double>* kept) {
  std::vector<model::BucketSpan> spans;
  std::size_t end = 0;  // Of the last span.
  for (std::size_t i = 0; i < counts.size(); ++i) {
    if (counts[i] == 0) continue;
    const std::size_t gap = i - end;
    if (spans.empty() || gap > kMostEmptyBuckets) {
      spans.push_back({static_cast<std::int32_t>(gap), 0});
    } else {
      spans.back().length += static_cast<std::uint32_t>(gap);
      kept->insert(kept->end(), gap, 0);
    }
    ++spans.back().length;
    kept->push_back(counts[i]);
    end = i + 1;
  }
  return spans;
}

model::HistogramValue MakeInteger(const model::FloatHistogram& from) {
  auto made = std::make_shared<model::IntHistogram>();
  static_cast<model::HistogramLayout&>(*made) = from;
  made->count = static_cast<std::uint64_t>(from.count);
  made->sum = from.sum;
  std::int64_t before = 0;
  for (const double count : from.positive_buckets) {
    const auto whole = static_cast<std::int64_t>(count);
    made->positive_deltas.push_back(whole - before);
    before = whole;
  }
  return {std::move(made), nullptr};
}

std::optional<model::HistogramValue> Convert(Classic classic) {
  if (!classic.good) return std::nullopt;
  if (!classic.count.has_value()) {
    if (classic.buckets.empty()) return std::nullopt;
    classic.count = classic.buckets.back().count;
  }
  if (classic.buckets.empty() || classic.buckets.back().bound != kInfinity) {
    classic.AddBucket(kInfinity, *classic.count);
  }
  if (!classic.good || classic.buckets.back().count != *classic.count) {
    return std::nullopt;
  }
  auto made = std::make_shared<model::FloatHistogram>();
  made->schema = model::kCustomBoundsSchema;
  made->count = *classic.count;
  made->sum = classic.sum;
  std::vector<double> counts;
  double before = 0;
  bool whole = std::trunc(made->count) == made->count;
  for (const Classic::Bucket& bucket : classic.buckets) {
    counts.push_back(bucket.count - before);
    before = bucket.count;
    whole = whole && std::trunc(bucket.count) == bucket.count;
    if (bucket.bound != kInfinity) made->custom_bounds.push_back(bucket.bound);
  }
  made->positive_spans = SpansOf(counts, &made->positive_buckets);
  if (!made->Validate().ok()) return std::nullopt;
  if (whole && made->count < 0x1p63) return MakeInteger(*made);
  return model::HistogramValue{nullptr, std::move(made)};
}

enum class Part { kNone, kBucket, kCount, kSum, kCreated };

class CustomBuckets : public Parser {
 public:
  CustomBuckets(std::unique_ptr<Parser> inner, bool keep_classic)
      : inner_(std::move(inner)), keep_classic_(keep_classic) {}

  Entry Next(absl::string_view) override {
    if (held_.has_value()) {
      const Entry entry = *std::exchange(held_, std::nullopt);
      if (const auto taken = Take(entry)) return *taken;
    }
    while (true) {
      const Entry entry = inner_->Next();
      if (const auto taken = Take(entry)) return *taken;
    }
  }

  absl::Status ParseLabels(model::Labels* labels) override {
    if (!emitting_) return inner_->ParseLabels(labels);
    *labels = labels_;
    return absl::OkStatus();
  }

  std::vector<std::string> EmptyLabelNames() const override {
    return emitting_ ? empty_ : inner_->EmptyLabelNames();
  }

  absl::Status ParseExemplar(Exemplar* exemplar) override {
    if (!emitting_) return inner_->ParseExemplar(exemplar);
    *exemplar = exemplars_.front();
    return absl::OkStatus();
  }

  absl::Status ParseExemplars(std::vector<Exemplar>* exemplars) override {
    if (!emitting_) return inner_->ParseExemplars(exemplars);
    exemplars->insert(exemplars->end(), exemplars_.begin(), exemplars_.end());
    return absl::OkStatus();
  }

 private:
  // What an entry of the inner parser amounts to; nothing when it is consumed.
  std::optional<Entry> Take(Entry entry) {
    emitting_ = false;
    if (entry == Entry::kSeries &&
        family_type_ == model::MetricType::kHistogram) {
      if (const auto taken = TakeSeries()) return taken;
      if (consumed_) return std::nullopt;
    }
    // A histogram ends where something else begins.
    if (collecting_ && Emit()) {
      held_ = entry;
      return Entry::kHistogram;
    }
    if (entry == Entry::kType) {
      family_ = std::string(inner_->metric());
      family_type_ = inner_->type();
      native_.reset();
    } else if (entry == Entry::kHistogram) {
      model::Labels labels;
      if (inner_->ParseLabels(&labels).ok()) native_ = labels;
    }
    return Show(entry);
  }

  // Collects a series of a classic histogram. Sets consumed_ when nothing is
  // to be given for it.
  std::optional<Entry> TakeSeries() {
    consumed_ = false;
    model::Labels labels;
    if (!inner_->ParseLabels(&labels).ok()) return Show(Entry::kSeries);
    double bound = 0;
    const Part part = PartOf(labels, &bound);
    if (part == Part::kNone) return std::nullopt;
    // It may stand between the others.
    if (part == Part::kCreated) return Show(Entry::kSeries);
    model::LabelsBuilder builder(labels);
    builder.Set(model::kMetricName, family_);
    if (part == Part::kBucket) builder.Set("le", "");
    labels = builder.Build();
    if (native_.has_value() && *native_ == labels) {
      return Show(Entry::kSeries);
    }
    if (collecting_ && labels != labels_ && Emit()) {
      held_ = Entry::kSeries;
      return Entry::kHistogram;
    }
    Collect(part, bound, std::move(labels));
    if (keep_classic_) return Show(Entry::kSeries);
    consumed_ = true;
    return std::nullopt;
  }

  Part PartOf(const model::Labels& labels, double* bound) const {
    absl::string_view suffix = labels.metric_name();
    if (!absl::ConsumePrefix(&suffix, family_)) return Part::kNone;
    if (suffix == "_count") return Part::kCount;
    if (suffix == "_sum") return Part::kSum;
    if (suffix == "_created") return Part::kCreated;
    if (suffix != "_bucket" || !labels.Has("le")) return Part::kNone;
    const auto parsed = base::ParseFloat(labels.Get("le"));
    if (!parsed.ok() || std::isnan(*parsed)) return Part::kNone;
    *bound = *parsed;
    return Part::kBucket;
  }

  void Collect(Part part, double bound, model::Labels labels) {
    if (!collecting_) {
      collecting_ = true;
      classic_ = Classic();
      exemplars_.clear();
      empty_ = inner_->EmptyLabelNames();
    }
    labels_ = std::move(labels);
    stamped_ = inner_->has_timestamp();
    stamp_ms_ = inner_->timestamp_ms();
    collected_start_ms_ = inner_->start_ms();
    switch (part) {
      case Part::kBucket:
        classic_.AddBucket(bound, inner_->value());
        break;
      case Part::kCount:
        classic_.count = inner_->value();
        break;
      case Part::kSum:
        classic_.sum = inner_->value();
        break;
      case Part::kNone:
      case Part::kCreated:
        break;
    }
    if (inner_->has_exemplar()) {
      inner_->ParseExemplars(&exemplars_).IgnoreError();
    }
  }

  // Shows what was collected. False when it makes no histogram.
  bool Emit() {
    collecting_ = false;
    auto value = Convert(std::move(classic_));
    if (!value.has_value()) return false;
    emitting_ = true;
    histogram_ = *std::move(value);
    // Unlike the names of all series.
    const absl::string_view encoded = labels_.encoded();
    key_.assign(1, '\xff');
    key_.append(encoded.data(), encoded.size());
    series_ = key_;
    has_timestamp_ = stamped_;
    timestamp_ms_ = stamp_ms_;
    start_ms_ = collected_start_ms_;
    has_exemplar_ = !exemplars_.empty();
    return true;
  }

  // Shows the entry of the inner parser.
  Entry Show(Entry entry) {
    series_ = inner_->series();
    value_ = inner_->value();
    histogram_ = inner_->histogram();
    has_timestamp_ = inner_->has_timestamp();
    timestamp_ms_ = inner_->timestamp_ms();
    start_ms_ = inner_->start_ms();
    has_exemplar_ = inner_->has_exemplar();
    metric_ = inner_->metric();
    text_ = inner_->text();
    type_ = inner_->type();
    status_ = inner_->status();
    return entry;
  }

  const std::unique_ptr<Parser> inner_;
  const bool keep_classic_;
  // As the last TYPE says.
  std::string family_;
  model::MetricType family_type_ = model::MetricType::kUnknown;
  // The native histogram of the family that came last.
  std::optional<model::Labels> native_;
  // The entry of the inner parser that is to be looked at next.
  std::optional<Entry> held_;
  bool consumed_ = false;

  bool collecting_ = false;
  Classic classic_;
  model::Labels labels_;  // With the family's name and without bounds.
  std::vector<std::string> empty_;
  std::vector<Exemplar> exemplars_;
  bool stamped_ = false;
  std::int64_t stamp_ms_ = 0;
  std::int64_t collected_start_ms_ = 0;
  bool emitting_ = false;
  std::string key_;
};

}  // namespace

std::unique_ptr<Parser> WithCustomBuckets(std::unique_ptr<Parser> parser,
                                          bool keep_classic) {
  return std::make_unique<CustomBuckets>(std::move(parser), keep_classic);
}

}  // namespace narthex::exposition
