#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "libs/model/exemplar.h"
#include "libs/model/histogram.h"
#include "libs/model/sample.h"
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

/// When the counter behind the sample of this series and time began.
struct RefStart {
  storage::SeriesRef ref = 0;
  std::int64_t timestamp_ms = 0;
  std::int64_t start_ms = 0;
};

/// A native histogram, an exemplar and the metadata of such a series.
struct RefHistogram {
  storage::SeriesRef ref = 0;
  std::int64_t timestamp_ms = 0;
  model::HistogramValue value;
  std::int64_t start_ms = 0;  ///< As in RefStart; 0: not known.
};
struct RefExemplar {
  storage::SeriesRef ref = 0;
  model::Exemplar exemplar;
};
struct RefMetadata {
  storage::SeriesRef ref = 0;
  model::Metadata metadata;
};

/// What is pushed together. Samples, histograms and exemplars are numbered
/// through in this order: a rejection names one of them by that number.
struct PushBatch {
  std::vector<RefSample> samples;
  /// Of those samples that have one, in their order.
  std::vector<RefStart> starts;
  std::vector<RefHistogram> histograms;
  std::vector<RefExemplar> exemplars;
  std::vector<RefMetadata> metadata;
  /// When an ingester refuses a sample it takes nothing of what it is sent of
  /// this batch. Each ingester decides for itself.
  bool all_or_none = false;
  /// What is out of order is refused although an ingester has a window for it.
  bool in_order_only = false;

  void TakeRulesOf(const PushBatch& other) {
    all_or_none = other.all_or_none;
    in_order_only = other.in_order_only;
  }
  bool HasRules() const { return all_or_none || in_order_only; }

  /// How many are numbered.
  std::size_t size() const {
    return samples.size() + histograms.size() + exemplars.size();
  }
  bool empty() const { return size() == 0 && metadata.empty(); }
  /// How much it takes to hold and to send, in samples.
  std::size_t weight() const {
    return samples.size() + starts.size() +
           8 * (histograms.size() + exemplars.size() + metadata.size());
  }
};

/// The references of everything in the batch that is no sample.
std::vector<storage::SeriesRef> OtherRefs(const PushBatch& batch);

/// Appends samples to the columns of a PushRequest. Call Finish() once, after
/// the last sample.
class PushEncoder {
 public:
  explicit PushEncoder(v1::PushRequest* request) : request_(request) {}
  /// References must fit into 32 bits.
  void Add(absl::Span<const RefSample> samples);
  /// Those of samples that are added, in the order of these.
  void AddStarts(absl::Span<const RefStart> starts);
  void Finish();
  std::size_t size() const { return samples_; }

 private:
  v1::PushRequest* request_;
  std::size_t samples_ = 0;
  std::int64_t last_ref_ = 0;
  std::int64_t last_timestamp_ms_ = 0;
  RefStart last_start_;
};

/// Replaces `*samples` by those in the columns of `request`.
/// kInvalidArgument when the columns do not hold what the request says.
absl::Status DecodePush(const v1::PushRequest& request,
                        std::vector<RefSample>* samples);

/// Goes through the start times of samples in step with the samples.
class StartReader {
 public:
  explicit StartReader(absl::Span<const RefStart> starts) : left_(starts) {}
  /// That of `sample`, the next one; null when it has none.
  const RefStart* Of(const RefSample& sample) {
    if (left_.empty() || left_[0].ref != sample.ref ||
        left_[0].timestamp_ms != sample.timestamp_ms) {
      return nullptr;
    }
    const RefStart* const start = &left_[0];
    left_.remove_prefix(1);
    return start;
  }

 private:
  absl::Span<const RefStart> left_;
};

/// Adds histograms, exemplars and metadata to `request`.
void EncodeOthers(const PushBatch& batch, v1::PushRequest* request);
/// Replaces what is no sample in `*batch` by what `request` holds.
/// kInvalidArgument when it is malformed.
absl::Status DecodeOthers(const v1::PushRequest& request, PushBatch* batch);

}  // namespace narthex::cluster
