#pragma once

#include <string>

#include "narthex/v1/scraper.grpc.pb.h"
#include "services/scraper/scrape_manager.h"

namespace narthex::scraper {

/// Serves the Scraper contract. Thread-safe.
class ScraperService : public v1::Scraper::Service {
 public:
  /// `external_host` is the name of this machine in global URLs.
  ScraperService(const ScrapeManager& manager, std::string external_host)
      : manager_(manager), external_host_(std::move(external_host)) {}

  grpc::Status Targets(
      grpc::ServerContext* context, const v1::TargetsRequest* request,
      grpc::ServerWriter<v1::TargetsResponse>* writer) override;
  grpc::Status TargetMetadata(
      grpc::ServerContext* context, const v1::TargetMetadataRequest* request,
      grpc::ServerWriter<v1::TargetMetadataResponse>* writer) override;
  grpc::Status ScrapePools(grpc::ServerContext* context,
                           const v1::ScrapePoolsRequest* request,
                           v1::ScrapePoolsResponse* response) override;

 private:
  const ScrapeManager& manager_;
  const std::string external_host_;
};

}  // namespace narthex::scraper
