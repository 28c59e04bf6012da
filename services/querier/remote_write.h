#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/base/clock.h"
#include "libs/base/log.h"
#include "libs/cluster/series_cache.h"
#include "libs/cluster/writer.h"
#include "libs/http/router.h"
#include "services/querier/metrics.h"
#include "services/querier/write_request.h"

namespace narthex::querier {

/// The messages of remote write 1.0 and 2.0.
inline constexpr absl::string_view kProtoV1 = "prometheus.WriteRequest";
inline constexpr absl::string_view kProtoV2 = "io.prometheus.write.v2.Request";

/// Receives Prometheus's remote write, versions 1.0 and 2.0 by Content-Type,
/// and hands samples, native histograms and exemplars to the ingesters.
/// Thread-safe.
///
/// Answers, with a plain text where it is not 204:
///   204  every sample is in an ingester's log (in version 1.0, series with
///        bad labels are skipped and counted);
///   400  the message is malformed, or samples can never be taken (out of
///        order, duplicate, out of bounds, too old, inconsistent): then, in
///        version 1.0, an ingester stores nothing of the request, in version
///        2.0 the others;
///   415  not a snappy-compressed protobuf message of an accepted version;
///   429  too much is waiting already;
///   500  an ingester did not answer: send the request again.
/// Answers to version 2.0 say how much was written.
class RemoteWrite {
 public:
  /// All outlive this. `accepted` names the messages to take.
  RemoteWrite(cluster::Writer& writer, base::Clock& clock, base::Logger log,
              Metrics& metrics, std::vector<std::string> accepted);

  /// kInvalidArgument when one of `names` is no message of remote write.
  static absl::Status CheckMessages(const std::vector<std::string>& names);

  void Handle(const http::Request& request, http::Response& response);

 private:
  /// What a request holds, on its way.
  struct Batch;

  void HandleV1(const std::string& message, http::Response& response);
  void HandleV2(const std::string& message, http::Response& response);
  absl::Status DecodeV1(Batch* batch);
  // `known` is the series' reference, or 0.
  void TakeV1(storage::SeriesRef known, WrittenSeries* series,
              std::int64_t latest_ms, Batch* batch);
  absl::Status DecodeV2(Batch* batch);
  void AddSeries(storage::SeriesRef ref, WrittenSeries* series,
                 std::int64_t latest_ms, Batch* batch);
  absl::Status Push(Batch* batch);
  void NoteRejections(const std::vector<storage::Rejection>& rejected,
                      Batch* batch);
  absl::StatusOr<storage::SeriesRef> RefOf(absl::string_view label_bytes);
  void AgeCache();

  cluster::Writer& writer_;
  base::Clock& clock_;
  const base::Logger log_;
  Metrics& metrics_;
  const std::vector<std::string> accepted_;
  cluster::SeriesCache series_;
  std::atomic<std::int64_t> aged_ns_;
};

/// Adds POST /api/v1/write.
void AddRemoteWrite(http::Router& router, RemoteWrite& remote_write);

}  // namespace narthex::querier
