#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "libs/base/clock.h"
#include "libs/base/log.h"
#include "libs/cluster/series_cache.h"
#include "libs/cluster/writer.h"
#include "libs/http/router.h"
#include "services/querier/metrics.h"

namespace narthex::querier {

/// Receives Prometheus's remote write 1.0 and hands the samples to the
/// ingesters. Thread-safe.
///
/// Answers, with a plain text where it is not 204:
///   204  every sample is in an ingester's log (series with bad labels are
///        skipped and counted);
///   400  the message is malformed, or samples can never be taken (out of
///        order, duplicate, out of bounds, too old): then an ingester stores
///        nothing of the request;
///   415  not a snappy-compressed protobuf message of version 1.0;
///   429  too much is waiting already;
///   500  an ingester did not answer: send the request again.
class RemoteWrite {
 public:
  /// All outlive this.
  RemoteWrite(cluster::Writer& writer, base::Clock& clock, base::Logger log,
              Metrics& metrics);

  void Handle(const http::Request& request, http::Response& response);

 private:
  /// The samples of a request on their way.
  struct Batch {
    std::vector<cluster::RefSample> samples;
    std::size_t too_far_ahead = 0;
    std::size_t histograms = 0;
  };

  absl::Status Decode(const std::string& message, Batch* batch);
  storage::SeriesRef RefOf(absl::string_view label_bytes);
  absl::Status Reject(const std::vector<storage::Rejection>& rejected,
                      const Batch& batch);
  void AgeCache();

  cluster::Writer& writer_;
  base::Clock& clock_;
  const base::Logger log_;
  Metrics& metrics_;
  cluster::SeriesCache series_;
  std::atomic<std::int64_t> aged_ns_;
};

/// Adds POST /api/v1/write.
void AddRemoteWrite(http::Router& router, RemoteWrite& remote_write);

}  // namespace narthex::querier
