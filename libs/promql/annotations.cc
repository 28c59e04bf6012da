#include "libs/promql/annotations.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "libs/base/duration.h"
#include "libs/base/float_format.h"
#include "libs/base/quote.h"
#include "libs/promql/parser.h"

namespace narthex::promql {
namespace {

constexpr absl::string_view kForcedMonotonicity =
    "input to histogram_quantile needed to be fixed for monotonicity (see "
    "https://prometheus.io/docs/prometheus/latest/querying/functions/"
    "#histogram_quantile)";

std::string ForMetric(absl::string_view metric_name) {
  if (metric_name.empty()) return "";
  return absl::StrCat(" for metric name ", base::Quote(metric_name));
}

void Widen(const Annotations::Monotonicity& other,
           Annotations::Monotonicity* into) {
  into->min_ms = std::min(into->min_ms, other.min_ms);
  into->max_ms = std::max(into->max_ms, other.max_ms);
  into->min_bucket = std::min(into->min_bucket, other.min_bucket);
  into->max_bucket = std::max(into->max_bucket, other.max_bucket);
  into->max_difference = std::max(into->max_difference, other.max_difference);
  into->occurrences += other.occurrences;
}

/// Whole seconds, as the annotation prints its times.
std::string FormatSecond(std::int64_t ms) {
  return base::FormatRfc3339(ms / 1000 * 1000);
}

std::string Describe(const Annotations::Monotonicity& m) {
  return absl::StrCat(
      ", from buckets ", base::FormatFloatG(m.min_bucket), " to ",
      base::FormatFloatG(m.max_bucket), ", with a max diff of ",
      absl::StrFormat("%.2g", m.max_difference), ", over ", m.occurrences,
      " samples from ", FormatSecond(m.min_ms), " to ", FormatSecond(m.max_ms));
}

}  // namespace

Annotations::Entry& Annotations::Add(Level level, std::string text,
                                     std::optional<PositionRange> position) {
  const auto [it, is_new] = index_.try_emplace(text, entries_.size());
  if (is_new) entries_.push_back({level, std::move(text), {}, {}});
  Entry& entry = entries_[it->second];
  entry.position = position;
  return entry;
}

void Annotations::Warn(absl::string_view text, PositionRange position) {
  Add(Level::kWarning, absl::StrCat("PromQL warning: ", text), position);
}

void Annotations::Info(absl::string_view text, PositionRange position) {
  Add(Level::kInfo, absl::StrCat("PromQL info: ", text), position);
}

void Annotations::AddStorageWarning(std::string text) {
  Add(Level::kWarning, std::move(text), std::nullopt);
}

void Annotations::AddStorageInfo(std::string text) {
  Add(Level::kInfo, std::move(text), std::nullopt);
}

void Annotations::InvalidQuantile(double phi, PositionRange position) {
  Warn(absl::StrCat("quantile value should be between 0 and 1, got ",
                    base::FormatFloatG(phi)),
       position);
}

void Annotations::BadBucketLabel(absl::string_view metric_name,
                                 absl::string_view label,
                                 PositionRange position) {
  Warn(absl::StrCat(
           "bucket label \"le\" is missing or has a malformed value of ",
           base::Quote(label), ForMetric(metric_name)),
       position);
}

void Annotations::PossibleNonCounter(absl::string_view metric_name,
                                     PositionRange position) {
  Info(absl::StrCat("metric might not be a counter, name does not end in "
                    "_total/_sum/_count/_bucket: ",
                    base::Quote(metric_name)),
       position);
}

void Annotations::PossibleNonCounterType(absl::string_view metric_name,
                                         absl::string_view type,
                                         PositionRange position) {
  Info(absl::StrCat("metric might not be a counter, __type__ label is not set "
                    "to \"counter\" or \"histogram\", got ",
                    base::Quote(type), ": ", base::Quote(metric_name)),
       position);
}

void Annotations::MixedFloatsHistograms(absl::string_view metric_name,
                                        PositionRange position) {
  Warn(absl::StrCat("encountered a mix of histograms and floats for metric "
                    "name ",
                    base::Quote(metric_name)),
       position);
}

void Annotations::MixedInAggregation(PositionRange position) {
  Warn("encountered a mix of histograms and floats for aggregation", position);
}

void Annotations::MixedClassicNative(absl::string_view metric_name,
                                     PositionRange position) {
  Warn(absl::StrCat("vector contains a mix of classic and native histograms",
                    ForMetric(metric_name)),
       position);
}

void Annotations::HistogramNotCounter(absl::string_view metric_name,
                                      PositionRange position) {
  Warn(absl::StrCat("this native histogram metric is not a counter: ",
                    base::Quote(metric_name)),
       position);
}

void Annotations::HistogramNotGauge(absl::string_view metric_name,
                                    PositionRange position) {
  Warn(absl::StrCat("this native histogram metric is not a gauge: ",
                    base::Quote(metric_name)),
       position);
}

void Annotations::MixedSchemas(absl::string_view metric_name,
                               PositionRange position) {
  Warn(absl::StrCat("vector contains a mix of histograms with exponential and "
                    "custom buckets schemas for metric name ",
                    base::Quote(metric_name)),
       position);
}

void Annotations::IncompatibleLayout(absl::string_view op,
                                     PositionRange position) {
  Warn(absl::StrCat(
           "incompatible bucket layout encountered for binary operator ", op),
       position);
}

void Annotations::IncompatibleTypes(absl::string_view left,
                                    absl::string_view op,
                                    absl::string_view right,
                                    PositionRange position) {
  Info(absl::StrCat("incompatible sample types encountered for binary "
                    "operator ",
                    base::Quote(op), ": ", left, " ", op, " ", right),
       position);
}

void Annotations::IgnoredInAggregation(absl::string_view aggregation,
                                       PositionRange position) {
  Info(absl::StrCat("ignored histogram in ", aggregation, " aggregation"),
       position);
}

void Annotations::IgnoredInRange(absl::string_view metric_name,
                                 PositionRange position) {
  Info(absl::StrCat("ignored histograms in a range containing both floats and "
                    "histograms for metric name ",
                    base::Quote(metric_name)),
       position);
}

void Annotations::QuantileIsNan(absl::string_view metric_name,
                                PositionRange position) {
  Info(absl::StrCat("input to histogram_quantile has NaN observations, result "
                    "is NaN",
                    ForMetric(metric_name)),
       position);
}

void Annotations::QuantileIsSkewed(absl::string_view metric_name,
                                   PositionRange position) {
  Info(absl::StrCat("input to histogram_quantile has NaN observations, result "
                    "is skewed higher",
                    ForMetric(metric_name)),
       position);
}

void Annotations::FractionHasNan(absl::string_view metric_name,
                                 PositionRange position) {
  Info(absl::StrCat("input to histogram_fraction has NaN observations, which "
                    "are excluded from all fractions",
                    ForMetric(metric_name)),
       position);
}

void Annotations::ResetCollision(absl::string_view operation,
                                 PositionRange position) {
  Warn(absl::StrCat("conflicting counter resets during histogram ", operation),
       position);
}

void Annotations::BoundsReconciled(absl::string_view operation,
                                   PositionRange position) {
  Info(absl::StrCat("mismatched custom buckets were reconciled during ",
                    operation),
       position);
}

void Annotations::StartTimeOverlap(absl::string_view metric_name,
                                   PositionRange position) {
  Entry& entry =
      Add(Level::kWarning,
          absl::StrCat("PromQL warning: sample has start time that overlaps "
                       "with previous sample timestamp for metric ",
                       base::Quote(metric_name)),
          position);
  ++entry.overlaps;
}

void Annotations::ForcedMonotonicity(absl::string_view metric_name,
                                     PositionRange position,
                                     const Monotonicity& where) {
  Entry& entry = Add(Level::kInfo,
                     absl::StrCat("PromQL info: ", kForcedMonotonicity,
                                  ForMetric(metric_name)),
                     position);
  if (entry.monotonicity.has_value()) {
    Widen(where, &*entry.monotonicity);
  } else {
    entry.monotonicity = where;
  }
}

void Annotations::Merge(const Annotations& other) {
  Merge(other, [](PositionRange position) { return position; });
}

void Annotations::Merge(const Annotations& other,
                        absl::FunctionRef<PositionRange(PositionRange)> move) {
  for (Entry theirs : other.entries_) {
    if (theirs.position.has_value()) theirs.position = move(*theirs.position);
    Merge(theirs);
  }
}

void Annotations::Merge(const Entry& theirs) {
  Entry& entry = Add(theirs.level, theirs.text, theirs.position);
  entry.overlaps += theirs.overlaps;
  if (!theirs.monotonicity.has_value()) return;
  if (entry.monotonicity.has_value()) {
    Widen(*theirs.monotonicity, &*entry.monotonicity);
  } else {
    entry.monotonicity = theirs.monotonicity;
  }
}

void Annotations::Clear() {
  entries_.clear();
  index_.clear();
}

std::vector<std::string> Annotations::Texts(Level level,
                                            absl::string_view query,
                                            std::size_t limit) const {
  std::vector<std::string> texts;
  std::size_t omitted = 0;
  for (const Entry& entry : entries_) {
    if (entry.level != level) continue;
    if (limit != 0 && texts.size() >= limit) {
      ++omitted;
      continue;
    }
    std::string text = entry.text;
    if (entry.monotonicity.has_value()) {
      text += Describe(*entry.monotonicity);
    }
    if (entry.overlaps > 1) {
      absl::StrAppend(&text, " (", entry.overlaps, " occurrences)");
    }
    if (entry.position.has_value()) {
      absl::StrAppend(&text, " (", LineColumn(query, entry.position->start),
                      ")");
    }
    // What another place says has its position already.
    if (std::find(texts.begin(), texts.end(), text) != texts.end()) continue;
    texts.push_back(std::move(text));
  }
  if (omitted > 0) {
    texts.push_back(absl::StrCat(
        omitted, level == Level::kWarning ? " more warning" : " more info",
        " annotations omitted"));
  }
  return texts;
}

std::vector<std::string> Annotations::Warnings(absl::string_view query,
                                               std::size_t limit) const {
  return Texts(Level::kWarning, query, limit);
}

std::vector<std::string> Annotations::Infos(absl::string_view query,
                                            std::size_t limit) const {
  return Texts(Level::kInfo, query, limit);
}

}  // namespace narthex::promql
