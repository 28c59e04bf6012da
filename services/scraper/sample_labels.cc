#include "services/scraper/sample_labels.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "libs/base/quote.h"
#include "libs/base/status.h"

namespace narthex::scraper {
namespace {

void HonorLabels(const ScrapedLabels& scraped, const model::Labels& target,
                 model::LabelsBuilder* builder) {
  for (const model::Label& label : target) {
    const bool given = scraped.labels.Has(label.name) ||
                       std::find(scraped.empty.begin(), scraped.empty.end(),
                                 label.name) != scraped.empty.end();
    if (!given) builder->Set(label.name, label.value);
  }
}

void OverlayLabels(const ScrapedLabels& scraped, const model::Labels& target,
                   model::LabelsBuilder* builder) {
  std::vector<model::Label> clashing;
  for (const model::Label& label : target) {
    const absl::string_view value = scraped.labels.Get(label.name);
    if (!value.empty()) clashing.push_back({label.name, value});
    builder->Set(label.name, label.value);
  }
  // Short names first, so that "exported_a" makes way for an exposed "a".
  std::stable_sort(clashing.begin(), clashing.end(),
                   [](const model::Label& a, const model::Label& b) {
                     return a.name.size() < b.name.size();
                   });
  for (const model::Label& label : clashing) {
    std::string name(label.name);
    do {
      name = absl::StrCat("exported_", name);
    } while (!builder->Get(name).empty());
    builder->Set(name, label.value);
  }
}

absl::Status CheckLimits(const model::Labels& labels,
                         const config::ScrapeConfig& config) {
  const std::string metric(labels.metric_name().substr(0, 50));
  if (config.limits.labels > 0 && labels.size() > config.limits.labels) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "label_limit exceeded (metric: ", metric, ", number of labels: ",
        labels.size(), ", limit: ", config.limits.labels, ")"));
  }
  if (config.limits.label_name_length == 0 &&
      config.limits.label_value_length == 0) {
    return absl::OkStatus();
  }
  const auto check = [&](absl::string_view what, absl::string_view text,
                         const std::string& detail, std::uint64_t limit) {
    if (limit == 0 || text.size() <= limit) return absl::OkStatus();
    return absl::ResourceExhaustedError(
        absl::StrCat(what, " exceeded (metric: ", metric, detail,
                     ", length: ", text.size(), ", limit: ", limit, ")"));
  };
  for (const model::Label& label : labels) {
    const std::string name =
        absl::StrCat(", label name: ", label.name.substr(0, 50));
    NARTHEX_RETURN_IF_ERROR(check("label_name_length_limit", label.name, name,
                                  config.limits.label_name_length));
    NARTHEX_RETURN_IF_ERROR(check(
        "label_value_length_limit", label.value,
        absl::StrCat(name, ", value: ", base::Quote(label.value.substr(0, 50))),
        config.limits.label_value_length));
  }
  return absl::OkStatus();
}

absl::Status CheckNames(const model::Labels& labels,
                        relabel::NameValidation validation) {
  const absl::string_view metric = labels.metric_name();
  if (metric.empty()) {
    return absl::InvalidArgumentError("missing metric name (__name__ label)");
  }
  const bool legacy = validation == relabel::NameValidation::kLegacy;
  bool valid =
      legacy ? model::IsLegacyMetricName(metric) : model::IsUtf8Name(metric);
  for (const model::Label& label : labels) {
    valid = valid && (legacy ? model::IsLegacyLabelName(label.name)
                             : model::IsUtf8Name(label.name));
  }
  if (valid) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("invalid metric name or label names: ", labels.ToString()));
}

}  // namespace

absl::StatusOr<bool> SampleLabels(const ScrapedLabels& scraped,
                                  const model::Labels& target_labels,
                                  const config::ScrapeConfig& config,
                                  model::Labels* labels) {
  model::LabelsBuilder builder(scraped.labels);
  if (config.honor_labels) {
    HonorLabels(scraped, target_labels, &builder);
  } else {
    OverlayLabels(scraped, target_labels, &builder);
  }
  if (!relabel::Apply(config.metric_relabel_configs, &builder)) return false;
  *labels = builder.Build();
  NARTHEX_RETURN_IF_ERROR(CheckNames(*labels, config.validation()));
  NARTHEX_RETURN_IF_ERROR(CheckLimits(*labels, config));
  return true;
}

}  // namespace narthex::scraper
