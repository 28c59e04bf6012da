#pragma once

#include <cstdint>
#include <string>
#include <variant>

#include "absl/status/statusor.h"
#include "libs/config/scrape.h"
#include "libs/model/labels.h"

namespace narthex::scraper {

/// One endpoint to scrape.
struct Target {
  /// Before relabelling, with the defaults that relabelling sees.
  model::Labels discovered;
  /// After relabelling: what every series of the target gets.
  model::Labels labels;
  std::string url;
  std::int64_t interval_ms = 0;
  std::int64_t timeout_ms = 0;
  /// Connects to this path in place of the URL's host, when set.
  std::string unix_socket;
  /// The switches of the scrape configuration, as labels may set them.
  bool native_histograms = false;
  bool classic_beside_native = false;
  bool custom_buckets = false;
  /// Of labels and URL, stable across processes: names the target, decides
  /// its shard and when in the interval it is scraped.
  std::uint64_t hash = 0;
};

/// A target that relabelling dropped.
struct Dropped {
  model::Labels discovered;
};

/// Makes a target of what discovery found, as Prometheus's documentation of
/// scrape_config and relabel_config says. kInvalidArgument, naming the labels,
/// when the outcome cannot be scraped.
absl::StatusOr<std::variant<Target, Dropped>> MakeTarget(
    const config::ScrapeConfig& config, const model::Labels& target_labels,
    const model::Labels& group_labels);

/// The URL as others reach it: a host that means this machine replaced by
/// `external_host`.
std::string GlobalUrl(const std::string& url, const std::string& external_host);

}  // namespace narthex::scraper
