#include "services/querier/remote_write.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <deque>
#include <functional>
#include <iterator>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/types/span.h"
#include "libs/base/hash.h"
#include "libs/base/status.h"
#include "libs/model/histogram_resolution.h"
#include "services/querier/snappy_body.h"
#include "services/querier/write_request.h"
#include "services/querier/write_request_v2.h"

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

constexpr absl::string_view kTooFarAhead =
    "out of bounds: timestamp is too far in the future";

std::string UnknownMessage(absl::string_view name) {
  return absl::StrCat("unknown remote write protobuf message ", name,
                      ", supported: ", kProtoV1, ", ", kProtoV2);
}

struct Negotiated {
  int http_code = 0;  // Of a refusal; 0: none.
  std::string message;
  bool v2 = false;
};

// Which kind of request it is.
Negotiated CheckHeaders(const http::Headers& headers,
                        const std::vector<std::string>& accepted) {
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
  Negotiated negotiated;
  for (std::size_t i = 1; i < parts.size(); ++i) {
    absl::string_view parameter = absl::StripAsciiWhitespace(parts[i]);
    if (!absl::ConsumePrefix(&parameter, "proto=")) continue;
    negotiated.v2 = parameter == kProtoV2;
    if (negotiated.v2 || parameter == kProtoV1) continue;
    return {415, absl::StrCat("got ", type, " content type; ",
                              UnknownMessage(parameter))};
  }
  const absl::string_view message = negotiated.v2 ? kProtoV2 : kProtoV1;
  if (std::find(accepted.begin(), accepted.end(), message) == accepted.end()) {
    return {415, absl::StrCat(message,
                              " protobuf message is not accepted by this "
                              "server; accepted [",
                              absl::StrJoin(accepted, ", "), "]")};
  }
  const absl::string_view encoding = headers.Get("Content-Encoding");
  if (!encoding.empty() && encoding != "snappy") {
    return {415, absl::StrCat(encoding,
                              " encoding (compression) is not accepted by "
                              "this server; only snappy is acceptable")};
  }
  return negotiated;
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

absl::Status Validate(const model::HistogramValue& value) {
  if (value.stale()) return absl::OkStatus();
  return value.integer != nullptr ? value.integer->Validate()
                                  : value.floating->Validate();
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
                         base::Logger log, Metrics& metrics,
                         std::vector<std::string> accepted)
    : writer_(writer),
      clock_(clock),
      log_(std::move(log)),
      metrics_(metrics),
      accepted_(std::move(accepted)),
      series_(writer),
      aged_ns_(clock.MonotonicNs()) {}

absl::Status RemoteWrite::CheckMessages(const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    if (name != kProtoV1 && name != kProtoV2) {
      return absl::InvalidArgumentError(
          absl::StrCat("--web.remote-write-receiver.accepted-protobuf-"
                       "messages: ",
                       UnknownMessage(name)));
    }
  }
  return absl::OkStatus();
}

struct RemoteWrite::Batch {
  // Where the parts of a series begin in `push`.
  struct Origin {
    std::size_t sample = 0;
    std::size_t histogram = 0;
    std::size_t exemplar = 0;
    absl::string_view label_bytes;
  };

  explicit Batch(absl::string_view its_message) : message(its_message) {}

  // The same bytes for as long as the batch lives.
  absl::string_view Keep(absl::string_view label_bytes) {
    const std::less<> before;
    const char* const end = message.data() + message.size();
    if (!before(label_bytes.data(), message.data()) &&
        before(label_bytes.data(), end)) {
      return label_bytes;
    }
    return kept.emplace_back(label_bytes);
  }

  // `{__name__="x"}`, of the last series that begins at or before `index` by
  // its `member`.
  std::string SeriesAt(std::size_t index, std::size_t Origin::*member) const {
    const auto after = std::upper_bound(
        origins.begin(), origins.end(), index,
        [member](std::size_t i, const Origin& one) { return i < one.*member; });
    if (after == origins.begin()) return "{}";
    model::Labels labels;
    const absl::Status status =
        ParseWrittenLabels(std::prev(after)->label_bytes, &labels);
    return status.ok() ? labels.ToString() : "{}";
  }

  const absl::string_view message;
  // Labels that are not in the message as they are.
  std::deque<std::string> kept;
  cluster::PushBatch push;
  std::vector<Origin> origins;
  // What is not taken, and why: in Prometheus's words.
  std::vector<std::string> errors;
  // So many of them because a limit of series is reached.
  std::size_t over_limit = 0;
  // Likewise of exemplars, for which version 1.0 fails no request.
  std::vector<std::string> exemplar_errors;
  // Left after those not taken.
  std::size_t samples = 0;
  std::size_t histograms = 0;
  std::size_t exemplars = 0;
};

void RemoteWrite::Handle(const http::Request& request,
                         http::Response& response) {
  const Negotiated negotiated = CheckHeaders(request.headers, accepted_);
  if (negotiated.http_code != 0) {
    response.Error(negotiated.http_code, negotiated.message);
    return;
  }
  AgeCache();
  std::string message;
  const absl::Status status = UncompressBody(request.body, &message);
  if (!status.ok()) {
    response.Error(HttpCode(status), status.message());
  } else if (negotiated.v2) {
    HandleV2(message, response);
  } else {
    HandleV1(message, response);
  }
}

void RemoteWrite::HandleV1(const std::string& message,
                           http::Response& response) {
  Batch batch(message);
  absl::Status status = DecodeV1(&batch);
  // What is known to be refused need not be asked about.
  if (status.ok() && batch.errors.empty()) {
    batch.push.all_or_none = true;
    status = Push(&batch);
  }
  if (status.ok() && !batch.errors.empty()) {
    status = absl::InvalidArgumentError(absl::StrCat(
        batch.errors.front(), " (samples refused: ", batch.errors.size(),
        batch.errors.size() == batch.over_limit
            ? "; the others of the request are stored)"
            : "; none of the request is stored)"));
  }
  if (status.ok()) {
    response.SetStatus(204);
    return;
  }
  log_.Debug("remote write refused", {{"err", status.ToString()}});
  response.Error(HttpCode(status), status.message());
}

void RemoteWrite::HandleV2(const std::string& message,
                           http::Response& response) {
  Batch batch(message);
  absl::Status status = DecodeV2(&batch);
  if (status.ok()) status = Push(&batch);
  const auto written = [&](absl::string_view what, std::size_t count) {
    response.headers().Set(
        absl::StrCat("X-Prometheus-Remote-Write-", what, "-Written"),
        absl::StrCat(status.ok() ? count : 0));
  };
  written("Samples", batch.samples);
  written("Histograms", batch.histograms);
  written("Exemplars", batch.exemplars);
  batch.errors.insert(batch.errors.end(), batch.exemplar_errors.begin(),
                      batch.exemplar_errors.end());
  if (status.ok() && !batch.errors.empty()) {
    status = absl::InvalidArgumentError(absl::StrJoin(batch.errors, "\n"));
  }
  if (status.ok()) {
    response.SetStatus(204);
    return;
  }
  log_.Debug("remote write refused", {{"err", status.ToString()}});
  response.Error(HttpCode(status), status.message());
}

// Some series are read before they are looked up together: then their entries,
// scattered over memory, are on their way at once.
absl::Status RemoteWrite::DecodeV1(Batch* batch) {
  constexpr std::size_t kAtOnce = 16;
  const std::int64_t latest_ms = clock_.NowMs() + kMaxAheadMs;
  WriteRequestReader reader(batch->message);
  std::array<WrittenSeries, kAtOnce> series;
  std::array<base::Hash128, kAtOnce> keys;
  std::array<storage::SeriesRef, kAtOnce> refs;
  std::size_t size = kAtOnce;
  while (size == kAtOnce) {
    for (size = 0; size < kAtOnce && reader.Next(&series[size]); ++size) {
      keys[size] = base::XxHash128(series[size].label_bytes);
    }
    series_.FindAll(absl::MakeConstSpan(keys).subspan(0, size), refs.data());
    for (std::size_t i = 0; i < size; ++i) {
      TakeV1(refs[i], &series[i], latest_ms, batch);
    }
  }
  return reader.status();
}

void RemoteWrite::TakeV1(storage::SeriesRef known, WrittenSeries* series,
                         std::int64_t latest_ms, Batch* batch) {
  const std::size_t samples =
      series->samples.size() + series->histograms.size();
  if (samples == 0 && series->exemplars.empty()) return;
  if (known != 0) return AddSeries(known, series, latest_ms, batch);
  const auto ref = RefOf(series->label_bytes);
  if (ref.ok()) return AddSeries(*ref, series, latest_ms, batch);
  log_.Warn("series with invalid labels skipped",
            {{"err", ref.status().message()}});
  metrics_.invalid_label_samples.Inc(static_cast<double>(samples));
}

absl::Status RemoteWrite::DecodeV2(Batch* batch) {
  const std::int64_t latest_ms = clock_.NowMs() + kMaxAheadMs;
  WriteRequestV2Reader reader(batch->message);
  WrittenSeries series;
  const auto refuse = [&](const absl::Status& why) {
    batch->errors.emplace_back(why.message());
    metrics_.invalid_label_samples.Inc(
        static_cast<double>(series.samples.size() + series.histograms.size()));
  };
  while (reader.Next(&series)) {
    if (!reader.series_status().ok()) {
      refuse(reader.series_status());
      continue;
    }
    const auto ref = RefOf(series.label_bytes);
    if (!ref.ok()) {
      const absl::string_view why = ref.status().message();
      refuse(absl::InvalidArgumentError(
          absl::StrCat("invalid metric name or labels, got ",
                       why.substr(std::min(why.find('{'), why.size())))));
      continue;
    }
    const bool empty = series.samples.empty() && series.histograms.empty();
    if (empty) series.exemplars.clear();
    AddSeries(*ref, &series, latest_ms, batch);
    const auto name = [&] {
      return batch->SeriesAt(batch->push.samples.size(),
                             &Batch::Origin::sample);
    };
    if (empty) {
      batch->errors.push_back(absl::StrCat(
          "TimeSeries must contain at least one sample or histogram for "
          "series ",
          name()));
    }
    for (const absl::Status& error : reader.exemplar_errors()) {
      batch->errors.push_back(absl::StrCat("parsing exemplar for series ",
                                           name(), ": ", error.message()));
    }
  }
  return reader.status();
}

void RemoteWrite::AddSeries(storage::SeriesRef ref, WrittenSeries* series,
                            std::int64_t latest_ms, Batch* batch) {
  cluster::PushBatch& push = batch->push;
  batch->origins.push_back({push.samples.size(), push.histograms.size(),
                            push.exemplars.size(),
                            batch->Keep(series->label_bytes)});
  const auto refuse = [&](absl::string_view why, const char* label) {
    metrics_.rejected_samples.With({label}).Inc();
    batch->errors.push_back(absl::StrCat(
        why, " for series ",
        batch->SeriesAt(push.samples.size(), &Batch::Origin::sample)));
  };
  for (std::size_t i = 0; i < series->samples.size(); ++i) {
    const model::Sample& sample = series->samples[i];
    if (sample.timestamp_ms > latest_ms) {
      refuse(kTooFarAhead, "out_of_bounds");
      continue;
    }
    push.samples.push_back({ref, sample.timestamp_ms, sample.value});
    if (!series->starts_ms.empty() && series->starts_ms[i] != 0) {
      push.starts.push_back({ref, sample.timestamp_ms, series->starts_ms[i]});
    }
  }
  for (WrittenHistogram& one : series->histograms) {
    // Finer ones than are stored may be sent.
    model::LimitSchema(model::kMaxExponentialSchema, &one.value);
    const absl::Status valid = Validate(one.value);
    if (one.timestamp_ms > latest_ms) {
      refuse(kTooFarAhead, "out_of_bounds");
    } else if (!valid.ok()) {
      refuse(valid.message(), "invalid");
    } else {
      push.histograms.push_back(
          {ref, one.timestamp_ms, std::move(one.value), one.start_ms});
    }
  }
  for (model::Exemplar& one : series->exemplars) {
    push.exemplars.push_back({ref, std::move(one)});
  }
}

absl::Status RemoteWrite::Push(Batch* batch) {
  batch->samples = batch->push.samples.size();
  batch->histograms = batch->push.histograms.size();
  batch->exemplars = batch->push.exemplars.size();
  if (batch->push.empty()) return absl::OkStatus();
  metrics_.written_samples.Inc(static_cast<double>(batch->samples));
  metrics_.written_histograms.Inc(static_cast<double>(batch->histograms));
  cluster::PushOutcome outcome =
      writer_.PushAndWait(std::move(batch->push), kPushTimeout);
  NARTHEX_RETURN_IF_ERROR(outcome.status);
  NoteRejections(outcome.rejected, batch);
  return absl::OkStatus();
}

void RemoteWrite::NoteRejections(
    const std::vector<storage::Rejection>& rejected, Batch* batch) {
  const std::size_t samples = batch->samples;
  const std::size_t histograms = batch->histograms;
  for (const storage::Rejection& one : rejected) {
    const ReasonText text = TextOf(one.reason);
    std::string series;
    if (one.index < samples) {
      --batch->samples;
      series = batch->SeriesAt(one.index, &Batch::Origin::sample);
    } else if (one.index < samples + histograms) {
      --batch->histograms;
      series = batch->SeriesAt(one.index - samples, &Batch::Origin::histogram);
    } else {
      --batch->exemplars;
      metrics_.rejected_exemplars.Inc();
      if (one.reason == storage::RejectReason::kOutOfOrder) {
        batch->exemplar_errors.push_back(
            absl::StrCat("out of order exemplar for series ",
                         batch->SeriesAt(one.index - samples - histograms,
                                         &Batch::Origin::exemplar)));
      }
      continue;
    }
    if (one.reason == storage::RejectReason::kLimit) ++batch->over_limit;
    metrics_.rejected_samples.With({text.label}).Inc();
    batch->errors.push_back(absl::StrCat(text.message, " for series ", series));
  }
}

absl::StatusOr<storage::SeriesRef> RemoteWrite::RefOf(
    absl::string_view label_bytes) {
  const base::Hash128 key = base::XxHash128(label_bytes);
  if (const storage::SeriesRef ref = series_.Find(key); ref != 0) return ref;
  model::Labels labels;
  NARTHEX_RETURN_IF_ERROR(ParseWrittenLabels(label_bytes, &labels));
  const storage::SeriesRef ref =
      series_.GetByKey(key, [&labels] { return labels; });
  metrics_.written_series_cached.Set(static_cast<double>(series_.size()));
  return ref;
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
