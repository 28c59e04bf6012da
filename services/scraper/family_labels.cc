#include "services/scraper/family_labels.h"

#include <algorithm>
#include <initializer_list>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "libs/base/hash.h"

namespace narthex::scraper {
namespace {

/// What the names of a family's series have behind that of the family.
std::initializer_list<absl::string_view> SuffixesOf(model::MetricType type) {
  using List = std::initializer_list<absl::string_view>;
  static constexpr List kCounter = {"", "_total", "_created"};
  static constexpr List kHistogram = {"",         "_bucket", "_count", "_sum",
                                      "_created", "_gcount", "_gsum"};
  static constexpr List kSummary = {"", "_count", "_sum", "_created"};
  static constexpr List kInfo = {"", "_info"};
  static constexpr List kOther = {""};
  switch (type) {
    case model::MetricType::kCounter:
      return kCounter;
    case model::MetricType::kHistogram:
    case model::MetricType::kGaugeHistogram:
      return kHistogram;
    case model::MetricType::kSummary:
      return kSummary;
    case model::MetricType::kInfo:
      return kInfo;
    default:
      return kOther;
  }
}

}  // namespace

void FamilyLabels::Begin(absl::string_view metric) {
  if (metric == metric_) return;
  metric_ = std::string(metric);
  unit_.clear();
  type_ = model::MetricType::kUnknown;
}

void FamilyLabels::SetType(absl::string_view metric, model::MetricType type) {
  Begin(metric);
  type_ = type;
  UpdateHash();
}

void FamilyLabels::SetUnit(absl::string_view metric, absl::string_view unit) {
  Begin(metric);
  unit_ = std::string(unit);
  UpdateHash();
}

void FamilyLabels::UpdateHash() {
  hash_ = static_cast<std::uint32_t>(base::XxHash64(absl::StrCat(
      metric_, "\xff", model::MetricTypeName(type_), "\xff", unit_)));
}

bool FamilyLabels::Covers(absl::string_view name) const {
  if (!absl::ConsumePrefix(&name, metric_)) return false;
  const auto suffixes = SuffixesOf(type_);
  return std::find(suffixes.begin(), suffixes.end(), name) != suffixes.end();
}

void FamilyLabels::AddTo(model::Labels* labels) const {
  if (metric_.empty() || !Covers(labels->metric_name())) return;
  const bool typed = type_ != model::MetricType::kUnknown;
  if (!typed && unit_.empty()) return;
  model::LabelsBuilder builder(*labels);
  if (typed) builder.Set("__type__", model::MetricTypeName(type_));
  if (!unit_.empty()) builder.Set("__unit__", unit_);
  *labels = builder.Build();
}

}  // namespace narthex::scraper
