// The part of a PushClient that settles what an ingester has answered.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/cluster/internal/push_client.h"
#include "narthex/v1/ingester.pb.h"

namespace narthex::cluster::internal {
namespace {

const char* ReasonName(v1::RejectReason reason) {
  switch (reason) {
    case v1::REJECT_REASON_OUT_OF_ORDER:
      return "out_of_order";
    case v1::REJECT_REASON_DUPLICATE:
      return "duplicate";
    case v1::REJECT_REASON_OUT_OF_BOUNDS:
      return "out_of_bounds";
    case v1::REJECT_REASON_UNKNOWN_SERIES:
      return "unknown_series";
    case v1::REJECT_REASON_LIMIT:
      return "limit";
    case v1::REJECT_REASON_TOO_OLD:
      return "too_old";
    case v1::REJECT_REASON_INVALID:
      return "invalid";
    default:
      return "unknown";
  }
}

// Shares the rejections of a message, ascending by index, out to its parts, in
// each of which they are by the part's own numbers.
std::vector<std::vector<storage::Rejection>> RejectionsByPart(
    const std::vector<PushPart>& parts, const v1::PushResponse& response) {
  std::vector<std::vector<storage::Rejection>> by_part(parts.size());
  int next = 0;
  std::size_t first = 0;  // Of the part at hand in the message.
  // `before` comes ahead of the `count` in the numbers of part `i`.
  const auto take = [&](std::size_t i, std::size_t before, std::size_t count) {
    for (; next < response.rejected_size() &&
           response.rejected(next).index() < first + count;
         ++next) {
      const v1::RejectedSample& one = response.rejected(next);
      if (one.index() < first) continue;
      by_part[i].push_back({one.index() - first + before,
                            static_cast<storage::RejectReason>(one.reason())});
    }
    first += count;
  };
  if (response.rejected_size() == 0) return by_part;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    take(i, 0, parts[i].samples.size());
  }
  for (std::size_t i = 0; i < parts.size(); ++i) {
    take(i, parts[i].samples.size(), parts[i].histograms.size());
  }
  for (std::size_t i = 0; i < parts.size(); ++i) {
    take(i, parts[i].samples.size() + parts[i].histograms.size(),
         parts[i].exemplars.size());
  }
  return by_part;
}

bool AnyUnknown(const std::vector<storage::Rejection>& rejected) {
  return std::any_of(rejected.begin(), rejected.end(), [](const auto& one) {
    return one.reason == storage::RejectReason::kUnknownSeries;
  });
}

// Moves what has the given number in `part` to the end of `*out`.
void TakeOne(std::size_t index, PushPart& part, PushPart* out) {
  out->positions.push_back(static_cast<std::uint32_t>(part.PositionOf(index)));
  if (index < part.samples.size()) {
    const RefSample& sample = part.samples[index];
    out->samples.push_back(sample);
    const auto start = std::find_if(
        part.starts.begin(), part.starts.end(), [&](const RefStart& one) {
          return one.ref == sample.ref &&
                 one.timestamp_ms == sample.timestamp_ms;
        });
    if (start != part.starts.end()) out->starts.push_back(*start);
    return;
  }
  index -= part.samples.size();
  if (index < part.histograms.size()) {
    out->histograms.push_back(std::move(part.histograms[index]));
    return;
  }
  out->exemplars.push_back(
      std::move(part.exemplars[index - part.histograms.size()]));
}

}  // namespace

void PushClient::Settle(Message message, const v1::PushResponse& response) {
  absl::Status status;
  if (response.code() != 0) {
    status = absl::Status(static_cast<absl::StatusCode>(response.code()),
                          absl::StrCat(address_, ": ", response.message()));
    log_.Error("ingester refused a batch", {{"err", status.ToString()}});
  }
  NoteSuccess();
  metrics_.batches.Inc();
  metrics_.seconds.Observe(
      static_cast<double>(base::Clock::System().MonotonicNs() -
                          message.sent_ns) /
      1e9);
  std::vector<PushPart> again;
  const auto by_part = RejectionsByPart(message.parts, response);
  for (std::size_t i = 0; i < message.parts.size(); ++i) {
    SettlePart(std::move(message.parts[i]), status, by_part[i], &again);
  }
  if (!again.empty()) queue_.PutUrgent(std::move(again));
  if (message.on_disk.has_value()) spool_->Commit(*message.on_disk);
}

void PushClient::SettlePart(PushPart part, const absl::Status& status,
                            const std::vector<storage::Rejection>& answered,
                            std::vector<PushPart>* again) {
  if (part.all_or_none && !part.redeclared && AnyUnknown(answered)) {
    // Nothing of it was taken.
    series_.Undeclare(part);
    part.redeclared = true;
    again->push_back(std::move(part));
    return;
  }
  const std::size_t size = part.size();
  std::vector<storage::Rejection> rejected;
  PushPart forgotten;
  for (const storage::Rejection& one : answered) {
    if (one.reason == storage::RejectReason::kUnknownSeries &&
        !part.redeclared) {
      TakeOne(one.index, part, &forgotten);
      continue;
    }
    NoteRejected(part, one);
    rejected.push_back({part.PositionOf(one.index), one.reason});
  }
  if (status.ok()) {
    metrics_.samples.Inc(
        static_cast<double>(size - rejected.size() - forgotten.size()));
  } else {
    metrics_.rejected.With({"refused_batch"}).Inc(static_cast<double>(size));
  }
  if (forgotten.empty()) {
    if (part.pending) part.pending->Finish(status, rejected);
    return;
  }
  series_.Undeclare(forgotten);
  if (part.pending) part.pending->Keep(rejected);
  forgotten.pending = part.pending;
  forgotten.TakeOriginOf(part);
  forgotten.redeclared = true;
  again->push_back(std::move(forgotten));
}

void PushClient::NoteRejected(const PushPart& part,
                              const storage::Rejection& rejection) {
  metrics_.rejected
      .With({ReasonName(static_cast<v1::RejectReason>(rejection.reason))})
      .Inc();
  if (part.pending == nullptr && options_.replication_factor == 1 &&
      options_.on_late_rejection) {
    options_.on_late_rejection(
        rejection.reason,
        rejection.index >= part.samples.size() + part.histograms.size());
  }
}

}  // namespace narthex::cluster::internal
