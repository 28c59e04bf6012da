#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/cluster/queryable.h"
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

struct ReadRequest {
  std::vector<ReadQuery> queries;
  /// The sender prefers encoded chunks, streamed, to samples.
  bool chunks = false;
};

/// Parses a prometheus.ReadRequest. kInvalidArgument when it is malformed, or
/// when its sender takes neither samples nor chunks.
absl::StatusOr<ReadRequest> ParseReadRequest(absl::string_view message);

/// Answers Prometheus's remote read with samples (the response type SAMPLES,
/// which every client takes) or, for those who prefer it, with the stored
/// chunks (STREAMED_XOR_CHUNKS). Thread-safe.
class RemoteRead {
 public:
  struct Options {
    /// Samples in one answer, at most; 0: no bound.
    std::int64_t sample_limit = 50'000'000;
    /// Requests at a time, at most; 0: no bound.
    int concurrent_limit = 10;
    /// Bytes of a message of streamed chunks, about.
    std::int64_t frame_bytes = 1 << 20;
  };

  /// `ingesters` outlives this. The external labels are put on every series
  /// that has none of that name.
  RemoteRead(
      cluster::IngesterQueryable& ingesters, Options options,
      std::function<std::shared_ptr<const model::Labels>()> external_labels)
      : ingesters_(ingesters),
        options_(options),
        external_labels_(std::move(external_labels)) {}

  /// 200 with a snappy-compressed prometheus.ReadResponse, or a stream of
  /// prometheus.ChunkedReadResponse, each after its length (varint) and
  /// checksum (CRC32C, big-endian); 400 for what is
  /// malformed, beyond the sample limit or while too many others read; 500
  /// when the storage does not answer.
  void Handle(const http::Request& request, http::Response& response);

 private:
  absl::Status Answer(const std::string& body, http::Response& response);
  absl::Status SendSamples(std::vector<ReadQuery> queries,
                           http::Response& response);
  absl::Status SendChunks(std::vector<ReadQuery> queries,
                          http::Response& response);
  absl::Status AppendResult(ReadQuery query, std::int64_t* samples,
                            std::string* out);
  absl::Status SendSeries(const storage::ChunkSeries& series,
                          const model::Labels& external, std::size_t query,
                          http::Response& response) const;

  cluster::IngesterQueryable& ingesters_;
  const Options options_;
  const std::function<std::shared_ptr<const model::Labels>()> external_labels_;
  std::atomic<int> running_{0};
};

/// Adds POST /api/v1/read.
void AddRemoteRead(http::Router& router, RemoteRead& remote_read);

}  // namespace narthex::querier
