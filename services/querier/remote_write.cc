#include "services/querier/remote_write.h"

#include <array>
#include <chrono>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "libs/base/hash.h"
#include "libs/base/status.h"
#include "services/querier/snappy_body.h"
#include "services/querier/write_request.h"

namespace narthex::querier {
namespace {

constexpr std::size_t kMaxBodyBytes = 32 << 20;
// What senders wait for an answer by default is 30 seconds.
constexpr std::chrono::milliseconds kPushTimeout{25'000};
// Samples further ahead come from a clock that is wrong.
constexpr std::int64_t kMaxAheadMs = 10 * 60 * 1000;
// A series not written for one to two of these is forgotten.
constexpr std::int64_t kGenerationNs = 10LL * 60 * 1'000'000'000;

constexpr absl::string_view kMediaType = "application/x-protobuf";

struct Refusal {
  int http_code = 0;  // 0: none.
  std::string message;
};

// Whether the request is of the one kind that is understood.
Refusal CheckHeaders(const http::Headers& headers) {
  // A string, as an absent header is a null view, which splits into nothing.
  const std::string type(headers.Get("Content-Type"));
  const std::vector<absl::string_view> parts = absl::StrSplit(type, ';');
  const absl::string_view media = absl::StripAsciiWhitespace(parts[0]);
  // Senders of the first days sent none.
  if (!media.empty() && media != kMediaType) {
    return {415, absl::StrCat("expected application/x-protobuf as the first "
                              "(media) part, got ",
                              headers.Get("Content-Type"), " content-type")};
  }
  for (std::size_t i = 1; i < parts.size(); ++i) {
    absl::string_view parameter = absl::StripAsciiWhitespace(parts[i]);
    if (absl::ConsumePrefix(&parameter, "proto=") &&
        parameter != "prometheus.WriteRequest") {
      return {415,
              absl::StrCat(parameter,
                           " protobuf message is not accepted by this server; "
                           "only accepts prometheus.WriteRequest")};
    }
  }
  const absl::string_view encoding = headers.Get("Content-Encoding");
  if (!encoding.empty() && encoding != "snappy") {
    return {415, absl::StrCat(encoding,
                              " encoding (compression) is not accepted by "
                              "this server; only snappy is acceptable")};
  }
  return {};
}

// Prometheus's words, and the label of the metric.
struct ReasonText {
  absl::string_view message;
  const char* label;
};

ReasonText TextOf(storage::RejectReason reason) {
  switch (reason) {
    case storage::RejectReason::kOutOfOrder:
      return {"out of order sample", "out_of_order"};
    case storage::RejectReason::kDuplicate:
      return {"duplicate sample for timestamp", "duplicate"};
    case storage::RejectReason::kOutOfBounds:
      return {"out of bounds", "out_of_bounds"};
    case storage::RejectReason::kLimit:
      return {"the limit of series is reached", "limit"};
    case storage::RejectReason::kTooOld:
      return {"too old sample", "too_old"};
    case storage::RejectReason::kInvalid:
      return {"the histogram is inconsistent", "invalid"};
    case storage::RejectReason::kUnknownSeries:
      break;
  }
  return {"the series is not known", "unknown_series"};
}

int HttpCode(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return 204;
    case absl::StatusCode::kInvalidArgument:
      return 400;
    case absl::StatusCode::kResourceExhausted:
      return 429;
    default:
      return 500;
  }
}

}  // namespace

RemoteWrite::RemoteWrite(cluster::Writer& writer, base::Clock& clock,
                         base::Logger log, Metrics& metrics)
    : writer_(writer),
      clock_(clock),
      log_(std::move(log)),
      metrics_(metrics),
      series_(writer),
      aged_ns_(clock.MonotonicNs()) {}

void RemoteWrite::Handle(const http::Request& request,
                         http::Response& response) {
  if (const Refusal refusal = CheckHeaders(request.headers);
      refusal.http_code != 0) {
    response.Error(refusal.http_code, refusal.message);
    return;
  }
  std::string message;
  Batch batch;
  absl::Status status = UncompressBody(request.body, &message);
  if (status.ok()) status = Decode(message, &batch);
  if (status.ok() && !batch.samples.empty() && batch.too_far_ahead == 0) {
    const std::size_t sent = batch.samples.size();
    cluster::PushBatch push;
    push.samples = std::move(batch.samples);
    push.all_or_none = true;
    cluster::PushOutcome outcome =
        writer_.PushAndWait(std::move(push), kPushTimeout);
    status = std::move(outcome.status);
    metrics_.written_samples.Inc(static_cast<double>(sent));
    if (status.ok()) status = Reject(outcome.rejected, batch);
  } else if (status.ok()) {
    status = Reject({}, batch);
  }
  if (status.ok()) {
    response.SetStatus(204);
    return;
  }
  log_.Debug("remote write refused", {{"err", status.ToString()}});
  response.Error(HttpCode(status), status.message());
}

absl::Status RemoteWrite::Decode(const std::string& message, Batch* batch) {
  AgeCache();
  const std::int64_t latest_ms = clock_.NowMs() + kMaxAheadMs;
  WriteRequestReader reader(message);
  WrittenSeries series;
  while (reader.Next(&series)) {
    batch->histograms += series.histograms;
    if (series.samples.empty()) continue;
    const storage::SeriesRef ref = RefOf(series.label_bytes);
    if (ref == 0) {
      metrics_.invalid_label_samples.Inc(
          static_cast<double>(series.samples.size()));
      continue;
    }
    for (const model::Sample& sample : series.samples) {
      if (sample.timestamp_ms > latest_ms) {
        ++batch->too_far_ahead;
        continue;
      }
      batch->samples.push_back({ref, sample.timestamp_ms, sample.value});
    }
  }
  return reader.status();
}

storage::SeriesRef RemoteWrite::RefOf(absl::string_view label_bytes) {
  const base::Hash128 key = base::XxHash128(label_bytes);
  if (const storage::SeriesRef ref = series_.Find(key); ref != 0) return ref;
  model::Labels labels;
  const absl::Status status = ParseWrittenLabels(label_bytes, &labels);
  if (!status.ok()) {
    log_.Warn("series with invalid labels skipped",
              {{"err", status.message()}});
    return 0;
  }
  const storage::SeriesRef ref =
      series_.GetByKey(key, [&labels] { return labels; });
  metrics_.written_series_cached.Set(static_cast<double>(series_.size()));
  return ref;
}

absl::Status RemoteWrite::Reject(
    const std::vector<storage::Rejection>& rejected, const Batch& batch) {
  metrics_.skipped_histograms.Inc(static_cast<double>(batch.histograms));
  absl::string_view first;
  for (const storage::Rejection& rejection : rejected) {
    const ReasonText text = TextOf(rejection.reason);
    if (first.empty()) first = text.message;
    metrics_.rejected_samples.With({text.label}).Inc();
  }
  if (batch.too_far_ahead > 0) {
    const ReasonText text = TextOf(storage::RejectReason::kOutOfBounds);
    if (first.empty()) first = text.message;
    metrics_.rejected_samples.With({text.label})
        .Inc(static_cast<double>(batch.too_far_ahead));
  }
  if (!first.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        first, " (samples refused: ", rejected.size() + batch.too_far_ahead,
        "; none of the request is stored)"));
  }
  if (batch.histograms > 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "native histograms are not stored (not taken: ", batch.histograms,
        "; the samples are stored)"));
  }
  return absl::OkStatus();
}

void RemoteWrite::AgeCache() {
  const std::int64_t now_ns = clock_.MonotonicNs();
  std::int64_t aged_ns = aged_ns_.load(std::memory_order_relaxed);
  if (now_ns - aged_ns < kGenerationNs) return;
  // One of the requests that see the time come does the work.
  if (!aged_ns_.compare_exchange_strong(aged_ns, now_ns)) return;
  series_.NextGeneration();
  metrics_.written_series_cached.Set(static_cast<double>(series_.size()));
}

void AddRemoteWrite(http::Router& router, RemoteWrite& remote_write) {
  http::RouteOptions options;
  options.max_body_bytes = kMaxBodyBytes;
  router.Handle(
      "POST", "/api/v1/write",
      [&remote_write](const http::Request& request, http::Response& response) {
        remote_write.Handle(request, response);
      },
      options);
}

}  // namespace narthex::querier
