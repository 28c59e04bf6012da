#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "libs/config/scrape.h"
#include "libs/model/labels.h"

namespace narthex::scraper {

/// What a target exposes of one series: `labels`, and the names of labels that
/// stand there with an empty value.
struct ScrapedLabels {
  model::Labels labels;
  std::vector<std::string> empty;
};

/// The labels with which a scraped series is stored: those of the target laid
/// over (or, with honor_labels, under) its own, then metric relabelling.
/// False when relabelling drops it. kInvalidArgument when the outcome is no
/// valid series, kResourceExhausted when it exceeds a label limit.
absl::StatusOr<bool> SampleLabels(const ScrapedLabels& scraped,
                                  const model::Labels& target_labels,
                                  const config::ScrapeConfig& config,
                                  model::Labels* labels);

}  // namespace narthex::scraper
