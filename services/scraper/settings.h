#pragma once

#include <memory>
#include <string>

#include "libs/config/scrape.h"

namespace narthex::http {
struct ClientConfig;
}  // namespace narthex::http

namespace narthex::scraper {

class FailureLog;

/// A scrape configuration with what follows from it. Immutable, shared by the
/// loops of a pool.
struct ScrapeSettings {
  config::ScrapeConfig config;
  std::string accept;  ///< Accept header.
  /// The same for targets whose labels ask for native histograms.
  std::string accept_native;
  /// Where failed scrapes are told; may be null.
  std::shared_ptr<FailureLog> failure_log;
  std::shared_ptr<const http::ClientConfig> client;
};

}  // namespace narthex::scraper
