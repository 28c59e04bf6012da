#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/http/router.h"
#include "libs/model/labels.h"
#include "libs/model/matcher.h"
#include "libs/storage/storage.h"

namespace narthex::querier {

/// One query of a prometheus.ReadRequest.
struct ReadQuery {
  storage::TimeRange range;
  std::vector<model::Matcher> matchers;
};

/// Parses a prometheus.ReadRequest. kInvalidArgument when it is malformed, or
/// when its sender takes no answer made of samples.
absl::StatusOr<std::vector<ReadQuery>> ParseReadRequest(
    absl::string_view message);

/// Answers Prometheus's remote read with samples (the response type SAMPLES,
/// which every client takes). Thread-safe.
class RemoteRead {
 public:
  struct Options {
    /// Samples in one answer, at most; 0: no bound.
    std::int64_t sample_limit = 50'000'000;
    /// Requests at a time, at most; 0: no bound.
    int concurrent_limit = 10;
  };

  /// `storage` outlives this. The external labels are put on every series
  /// that has none of that name.
  RemoteRead(
      storage::Queryable& storage, Options options,
      std::function<std::shared_ptr<const model::Labels>()> external_labels)
      : storage_(storage),
        options_(options),
        external_labels_(std::move(external_labels)) {}

  /// 200 with a snappy-compressed prometheus.ReadResponse; 400 for what is
  /// malformed, beyond the sample limit or while too many others read; 500
  /// when the storage does not answer.
  void Handle(const http::Request& request, http::Response& response);

 private:
  absl::StatusOr<std::string> Answer(const std::string& body);
  absl::Status AppendResult(ReadQuery query, std::int64_t* samples,
                            std::string* out);

  storage::Queryable& storage_;
  const Options options_;
  const std::function<std::shared_ptr<const model::Labels>()> external_labels_;
  std::atomic<int> running_{0};
};

/// Adds POST /api/v1/read.
void AddRemoteRead(http::Router& router, RemoteRead& remote_read);

}  // namespace narthex::querier
