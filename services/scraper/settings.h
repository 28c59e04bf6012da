#pragma once

#include <memory>
#include <string>

#include "libs/config/scrape.h"

namespace narthex::http {
struct ClientConfig;
}  // namespace narthex::http

namespace narthex::scraper {

/// A scrape configuration with what follows from it. Immutable, shared by the
/// loops of a pool.
struct ScrapeSettings {
  config::ScrapeConfig config;
  std::string accept;  ///< Accept header.
  std::shared_ptr<const http::ClientConfig> client;
};

}  // namespace narthex::scraper
