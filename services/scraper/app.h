#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "libs/base/mutex.h"
#include "libs/config/config.h"
#include "libs/service/auto_reload.h"
#include "libs/service/process.h"

namespace narthex::scraper {

inline const service::Identity kIdentity{"scraper", "Narthex Scraper",
                                         "127.0.0.1:9100", true};

/// The scraper: discovers targets, scrapes its share of them and writes the
/// samples to the ingesters.
class ScraperApp : public service::App {
 public:
  ScraperApp();
  ~ScraperApp() override;

  void AddFlags(service::FlagSet& flags) override;
  absl::Status Start(service::Process& process) override;

  /// The gRPC port, once started.
  int grpc_port() const;

 private:
  static constexpr char kStartZeros[] = "created-timestamp-zero-ingestion";
  static constexpr char kStartTimes[] = "st-storage";

  struct Running;
  /// What a configuration leaves out.
  config::GlobalConfig Defaults() const;
  absl::Status Load(service::Process& process)
      ABSL_LOCKS_EXCLUDED(files_mutex_);

  std::string config_file_ = "prometheus.yml";
  std::string grpc_address_ = "127.0.0.1:9200";
  std::string ingesters_ = "127.0.0.1:9201";
  std::int64_t replication_factor_ = 1;
  std::string shard_ = "0/1";
  std::string storage_path_ = "data/";
  service::Features features_{{kStartZeros, kStartTimes, "extra-scrape-metrics",
                               "type-and-unit-labels",
                               service::kAutoReloadFeature}};
  service::AutoReload auto_reload_;
  bool adjust_timestamps_ = true;
  std::int64_t discovery_interval_ms_ = 5'000;
  std::int64_t timestamp_tolerance_ms_ = 2;
  std::int64_t max_body_bytes_ = 256 << 20;
  std::string max_bodies_memory_ = "25%";
  std::int64_t max_queued_samples_ = 10'000'000;
  std::int64_t max_queued_bytes_ = std::int64_t{5} << 30;
  std::int64_t max_queued_age_ms_ = 86'400'000;
  std::int64_t batch_wait_ms_ = 100;
  base::Mutex files_mutex_;
  // What the configuration in force was read from.
  std::vector<std::string> files_ ABSL_GUARDED_BY(files_mutex_);
  std::unique_ptr<Running> running_;
};

}  // namespace narthex::scraper
