#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "libs/base/mutex.h"
#include "libs/service/auto_reload.h"
#include "libs/service/process.h"

namespace narthex::ruler {

inline const service::Identity kIdentity{"ruler", "Narthex Ruler",
                                         "127.0.0.1:9102", true};

/// The ruler: evaluates recording and alerting rules through the queriers,
/// writes the results to the ingesters and sends alerts to Alertmanagers.
class RulerApp : public service::App {
 public:
  RulerApp();
  ~RulerApp() override;

  void AddFlags(service::FlagSet& flags) override;
  absl::Status Start(service::Process& process) override;

  /// The gRPC port, once started.
  int grpc_port() const;

 private:
  struct Running;
  /// Loads the configuration and all rule files, then applies them.
  absl::Status Load(service::Process& process);

  std::string config_file_ = "prometheus.yml";
  service::AutoReload auto_reload_;
  base::Mutex files_mutex_;
  // What the configuration in force was read from.
  std::vector<std::string> files_ ABSL_GUARDED_BY(files_mutex_);
  std::string grpc_address_ = "127.0.0.1:9202";
  std::string ingesters_ = "127.0.0.1:9201";
  std::int64_t replication_factor_ = 1;
  std::string queriers_ = "127.0.0.1:9190";
  std::int64_t query_timeout_ms_ = 120'000;
  std::int64_t outage_tolerance_ms_ = 3'600'000;
  std::int64_t for_grace_period_ms_ = 600'000;
  std::int64_t resend_delay_ms_ = 60'000;
  std::int64_t queue_capacity_ = 10'000;
  std::int64_t batch_size_ = 256;
  service::Features features_;
  bool drain_queue_ = true;
  std::unique_ptr<Running> running_;
};

}  // namespace narthex::ruler
