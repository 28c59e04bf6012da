#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "libs/storage/storage.h"

namespace narthex::v1 {
class PushRequest;
}  // namespace narthex::v1

namespace narthex::cluster {

/// A sample of a series that a reference names.
struct RefSample {
  storage::SeriesRef ref = 0;
  std::int64_t timestamp_ms = 0;
  double value = 0;
};

/// Appends samples to the columns of a PushRequest. Call Finish() once, after
/// the last sample.
class PushEncoder {
 public:
  explicit PushEncoder(v1::PushRequest* request) : request_(request) {}
  /// References must fit into 32 bits.
  void Add(const RefSample& sample);
  void Finish();
  std::size_t size() const { return samples_; }

 private:
  v1::PushRequest* request_;
  std::size_t samples_ = 0;
  std::int64_t last_ref_ = 0;
  std::int64_t last_timestamp_ms_ = 0;
};

/// Replaces `*samples` by those in the columns of `request`.
/// kInvalidArgument when the columns do not hold what the request says.
absl::Status DecodePush(const v1::PushRequest& request,
                        std::vector<RefSample>* samples);

}  // namespace narthex::cluster
