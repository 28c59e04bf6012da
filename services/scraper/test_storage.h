#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "libs/base/mutex.h"
#include "libs/cluster/writer.h"
#include "libs/metrics/metrics.h"
#include "libs/model/sample.h"

namespace narthex::rpc {
class Server;
}  // namespace narthex::rpc

namespace narthex::scraper {

/// A writer and, behind it in this process, an ingester that keeps all that
/// it is sent in a map: for tests.
class TestStorage {
 public:
  TestStorage();
  ~TestStorage();

  cluster::Writer& writer() { return *writer_; }
  /// Returns once everything pushed so far is stored.
  void Settle();
  /// Samples of a series, named as PromQL prints it.
  model::SampleColumns Read(const std::string& series);
  /// All series with samples.
  std::vector<std::string> Series();

 private:
  class Ingester;
  std::unique_ptr<Ingester> ingester_;
  std::unique_ptr<rpc::Server> server_;
  metrics::Registry registry_;
  std::unique_ptr<cluster::Writer> writer_;
};

}  // namespace narthex::scraper
