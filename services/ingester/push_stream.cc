#include "services/ingester/push_stream.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/status.h"

namespace narthex::ingester {
namespace {

// A writer numbers its series densely, so a reference beyond this is a
// mistake and not a reason to reserve gigabytes.
constexpr std::uint32_t kMaxRef = 200'000'000;

const char* ReasonName(storage::RejectReason reason) {
  switch (reason) {
    case storage::RejectReason::kOutOfOrder:
      return "out_of_order";
    case storage::RejectReason::kDuplicate:
      return "duplicate";
    case storage::RejectReason::kOutOfBounds:
      return "out_of_bounds";
    case storage::RejectReason::kUnknownSeries:
      return "unknown_series";
    case storage::RejectReason::kLimit:
      return "limit";
    case storage::RejectReason::kTooOld:
      return "too_old";
    case storage::RejectReason::kInvalid:
      return "invalid";
  }
  return "unknown";
}

// Of what is all or none. Series beyond the limit come from a burst: those
// that are known go on beside them.
bool HoldsOthersBack(const std::vector<storage::Rejection>& refused) {
  return std::any_of(refused.begin(), refused.end(),
                     [](const storage::Rejection& one) {
                       return one.reason != storage::RejectReason::kLimit;
                     });
}

}  // namespace

v1::PushResponse PushStream::Handle(const v1::PushRequest& request) {
  v1::PushResponse response;
  response.set_batch(request.batch());
  metrics_.pushed_samples.Inc(request.samples() + request.histograms_size());
  absl::Status status = Declare(request);
  if (status.ok()) status = Store(request, &response);
  if (!status.ok()) {
    metrics_.failed_batches.Inc();
    log_.Error("storing a batch",
               {{"samples", request.samples()}, {"err", status.ToString()}});
    response.clear_rejected();
    response.set_code(status.raw_code());
    response.set_message(std::string(status.message()));
  }
  return response;
}

absl::Status PushStream::Declare(const v1::PushRequest& request) {
  if (request.new_refs_size() != request.new_labels_size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("push declares ", request.new_refs_size(), " series with ",
                     request.new_labels_size(), " label sets"));
  }
  for (int i = 0; i < request.new_refs_size(); ++i) {
    const std::uint32_t ref = request.new_refs(i);
    // Its samples are answered as those of an unknown series.
    if (ref > kMaxRef) continue;
    if (ref >= series_.size()) series_.resize(ref + 1, kUnknown);
    series_[ref] = DeclareOne(request.new_labels(i));
  }
  return absl::OkStatus();
}

PushStream::Ref PushStream::DeclareOne(const std::string& encoded) {
  model::Labels labels;
  if (!model::Labels::FromEncoded(encoded, &labels)) {
    if (!std::exchange(malformed_logged_, true)) {
      log_.Error("refusing a series with a malformed label set",
                 {{"bytes", encoded.size()}});
    }
    return kMalformed;
  }
  const auto known = db_.GetOrCreateSeries(labels);
  if (known.ok() && *known < kMalformed) return static_cast<Ref>(*known);
  if (!absl::IsResourceExhausted(known.status())) {
    if (!std::exchange(malformed_logged_, true)) {
      log_.Error("refusing a series", {{"series", labels.ToString()},
                                       {"err", known.status().ToString()}});
    }
    return kMalformed;
  }
  if (!std::exchange(limit_logged_, true)) {
    log_.Warn("refusing new series", {{"series", labels.ToString()},
                                      {"err", known.status().ToString()}});
  }
  return kRefused;
}

void PushStream::Reject(std::size_t index, storage::RejectReason reason,
                        v1::PushResponse* response) {
  metrics_.rejected_samples.With({ReasonName(reason)}).Inc();
  v1::RejectedSample* sample = response->add_rejected();
  sample->set_index(static_cast<std::uint32_t>(index));
  sample->set_reason(static_cast<v1::RejectReason>(reason));
}

// What stands behind a reference; when that is no series, the sample with the
// number `index` is noted as rejected.
PushStream::Ref PushStream::Known(storage::SeriesRef ref, std::size_t index,
                                  std::vector<storage::Rejection>* unknown) {
  const Ref known = ref < series_.size() ? series_[ref] : kUnknown;
  if (known == kUnknown) {
    unknown->push_back({index, storage::RejectReason::kUnknownSeries});
  } else if (known == kMalformed) {
    unknown->push_back({index, storage::RejectReason::kInvalid});
    return kUnknown;
  } else if (known == kRefused) {
    // Whoever is told that a series is unknown declares it again.
    unknown->push_back({index, db_.HasRoomForSeries()
                                   ? storage::RejectReason::kUnknownSeries
                                   : storage::RejectReason::kLimit});
    return kUnknown;
  }
  return known;
}

// Histograms, exemplars and metadata.
void PushStream::TakeOthers(std::vector<storage::Rejection>* unknown) {
  histograms_.clear();
  exemplars_.clear();
  metadata_.clear();
  std::size_t index = received_.size();
  for (cluster::RefHistogram& one : others_.histograms) {
    if (const Ref ref = Known(one.ref, index, unknown)) {
      histograms_.push_back(
          {ref, one.timestamp_ms, one.start_ms, std::move(one.value)});
      positions_.push_back(index);
    }
    ++index;
  }
  for (cluster::RefExemplar& one : others_.exemplars) {
    if (const Ref ref = Known(one.ref, index, unknown)) {
      exemplars_.push_back({ref, one.exemplar.timestamp_ms, one.exemplar.value,
                            std::move(one.exemplar.labels),
                            one.exemplar.has_timestamp});
      positions_.push_back(index);
    }
    ++index;
  }
  for (cluster::RefMetadata& one : others_.metadata) {
    const Ref ref = one.ref < series_.size() ? series_[one.ref] : kUnknown;
    if (ref == kUnknown || ref == kRefused || ref == kMalformed) continue;
    // The log has the model's numbers.
    metadata_.push_back({ref, static_cast<std::uint8_t>(one.metadata.type),
                         std::move(one.metadata.unit),
                         std::move(one.metadata.help)});
  }
}

absl::Status PushStream::Store(const v1::PushRequest& request,
                               v1::PushResponse* response) {
  NARTHEX_RETURN_IF_ERROR(cluster::DecodePush(request, &received_));
  NARTHEX_RETURN_IF_ERROR(cluster::DecodeOthers(request, &others_));
  known_.clear();
  starts_ms_.clear();
  positions_.clear();
  std::vector<storage::Rejection> unknown;
  cluster::StartReader start_times(others_.starts);
  for (std::size_t i = 0; i < received_.size(); ++i) {
    const cluster::RefSample& sample = received_[i];
    const cluster::RefStart* const start = start_times.Of(sample);
    const Ref ref = Known(sample.ref, i, &unknown);
    if (ref == kUnknown) continue;
    if (start != nullptr) {
      starts_ms_.resize(known_.size());
      starts_ms_.push_back(start->start_ms);
    }
    known_.push_back({ref, sample.timestamp_ms, sample.value});
    positions_.push_back(i);
  }
  if (!starts_ms_.empty()) starts_ms_.resize(known_.size());
  TakeOthers(&unknown);
  rejected_.clear();
  if (!request.all_or_none() || !HoldsOthersBack(unknown)) {
    NARTHEX_RETURN_IF_ERROR(db_.Append(
        tsdb::AppendBatch{known_,
                          starts_ms_,
                          histograms_,
                          exemplars_,
                          metadata_,
                          {request.all_or_none(), request.in_order_only()}},
        &rejected_));
  }
  // Both lists ascend; the writer wants one that does.
  auto next = unknown.begin();
  for (const storage::Rejection& rejection : rejected_) {
    const std::size_t index = positions_[rejection.index];
    for (; next != unknown.end() && next->index < index; ++next) {
      Reject(next->index, next->reason, response);
    }
    if (request.resent() &&
        rejection.reason == storage::RejectReason::kOutOfOrder) {
      metrics_.resent_samples.Inc();
      continue;
    }
    Reject(index, rejection.reason, response);
  }
  for (; next != unknown.end(); ++next) {
    Reject(next->index, next->reason, response);
  }
  return absl::OkStatus();
}

}  // namespace narthex::ingester
