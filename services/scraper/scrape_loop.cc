#include "services/scraper/scrape_loop.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/float_format.h"
#include "libs/base/status.h"
#include "libs/exposition/custom_buckets.h"
#include "libs/http/content_encoding.h"
#include "services/scraper/failure_log.h"

namespace narthex::scraper {
namespace {

constexpr absl::string_view kReportNames[] = {
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
    "scrape_timeout_seconds",
    "scrape_sample_limit",
    "scrape_body_size_bytes"};

// A body up to this is taken in by the thread that received it: to hand it to
// another would cost more. 2,000 lines, or a few milliseconds when they are all
// new.
constexpr std::size_t kMostInPlace = 256 << 10;

// Targets begin together that would begin within so many milliseconds, or a
// hundredth of their interval: to wake up for each costs more than to ask it.
constexpr std::uint64_t kMostSlotMs = 20;

// How soon after a tick during a scrape the next one is.
std::int64_t RetryMs(std::int64_t interval_ms) {
  return std::max<std::int64_t>(1, interval_ms / 100);
}

bool SameLabelling(const config::ScrapeConfig& a,
                   const config::ScrapeConfig& b) {
  return a.honor_labels == b.honor_labels &&
         a.metric_relabel_configs == b.metric_relabel_configs &&
         a.limits == b.limits &&
         a.metric_name_validation_scheme == b.metric_name_validation_scheme;
}

// What came of the body: 0 when it did not come, -1 when it was too large.
// As in Prometheus, a body that reaches the limit is too large, while the
// client refuses what exceeds it.
void RefuseFullBody(std::size_t size, std::int64_t max_bytes,
                    http::FetchResult* result) {
  if (max_bytes > 0 && size >= static_cast<std::size_t>(max_bytes) &&
      result->status.ok() && result->code == 200) {
    result->status = absl::ResourceExhaustedError("body size limit exceeded");
  }
}

void Unpack(std::int64_t max_bytes, http::BodyBudget* budget,
            http::FetchResult* result, http::ReceivedBody* body) {
  if (result->packed.empty()) return;
  http::ReceivedBody plain;
  plain.claim = http::BodyClaim(budget);
  result->status = http::DecodeContent(result->packed, body->view(),
                                       static_cast<std::size_t>(max_bytes),
                                       &plain.buffer, &plain.claim);
  plain.size = plain.buffer.size();
  *body = std::move(plain);
}

double BodyBytes(absl::string_view body, const http::FetchResult& result) {
  if (absl::IsResourceExhausted(result.status)) return -1;
  const bool came = result.status.ok() && result.code == 200;
  return came ? static_cast<double>(body.size()) : 0;
}

}  // namespace

ScrapeLoop::ScrapeLoop(Target target,
                       std::shared_ptr<const ScrapeSettings> settings,
                       std::shared_ptr<SeriesBudget> budget,
                       LoopContext& context)
    : context_(context),
      offset_seed_(context.offset_seed),
      metadata_(context.metadata,
                context.metrics.MetadataOf(settings->config.job_name)),
      series_(context.writer, std::move(budget), context.series),
      target_(std::make_shared<const Target>(std::move(target))),
      settings_(std::move(settings)) {}

std::int64_t ScrapeLoop::ToleranceMs(const Target& target) const {
  return std::min(context_.timestamp_tolerance_ms, target.interval_ms / 100);
}

std::int64_t ScrapeLoop::FirstTick(std::int64_t now_ms) const {
  return PlaceAfter(now_ms, target());
}

std::int64_t ScrapeLoop::PlaceAfter(std::int64_t ms,
                                    const Target& target) const {
  const auto interval = static_cast<std::uint64_t>(target.interval_ms);
  const std::uint64_t slot =
      std::clamp(interval / 100, std::uint64_t{1}, kMostSlotMs);
  const auto offset = static_cast<std::int64_t>((target.hash ^ offset_seed_) %
                                                interval / slot * slot);
  const std::int64_t place = ms - ms % target.interval_ms + offset;
  return place > ms ? place : place + target.interval_ms;
}

std::optional<std::int64_t> ScrapeLoop::Tick(std::int64_t planned_ms) {
  auto scrape = std::make_shared<Scrape>();
  absl::Status forced_error;
  {
    base::MutexLock lock(mutex_);
    if (retired_ && ended_ms_.has_value()) {
      if (busy_) return planned_ms + target_->interval_ms;
      const std::int64_t ended_ms = *ended_ms_;
      context_.workers.Submit(
          [self = shared_from_this(), ended_ms] { self->End(ended_ms); });
      return std::nullopt;
    }
    if (retired_) {
      ended_ms_ = planned_ms;
      return planned_ms + target_->interval_ms + target_->interval_ms / 10;
    }
    if (busy_.exchange(true)) {
      // A target that hangs until an equally long timeout must not miss every
      // second scrape: this one begins late.
      if (PlaceAfter(planned_ms - 1, *target_) == planned_ms) {
        context_.metrics.scrapes_late.Inc();
      }
      return planned_ms + RetryMs(target_->interval_ms);
    }
    forced_error = forced_error_;
    scrape->settings = settings_;
    scrape->target = target_;
    scrape->relearn = std::exchange(relearn_, false);
  }
  const std::shared_ptr<const Target> target = scrape->target;
  scrape->start_ms = context_.clock.NowMs();
  scrape->start_ns = context_.clock.MonotonicNs();
  const std::int64_t late_ms = scrape->start_ms - planned_ms;
  const std::int64_t tolerance_ms = ToleranceMs(*target);
  const bool on_time = late_ms >= -tolerance_ms && late_ms <= tolerance_ms;
  scrape->timestamp_ms = on_time ? planned_ms : scrape->start_ms;
  ObserveInterval(*scrape);
  context_.metrics.lag_seconds.Observe(static_cast<double>(late_ms) / 1000);
  if (forced_error.ok()) {
    Fetch(std::move(scrape));
  } else {
    context_.workers.Submit([self = shared_from_this(), scrape, forced_error] {
      http::FetchResult failed;
      failed.status = forced_error;
      self->Finish(*scrape, failed, {});
    });
  }
  // After a stall of the whole process, go on from now.
  const std::int64_t begun_ms = planned_ms + late_ms;
  return PlaceAfter(late_ms > target->interval_ms ? begun_ms : planned_ms,
                    *target);
}

void ScrapeLoop::ObserveInterval(const Scrape& scrape) {
  const std::int64_t interval_ms = scrape.target->interval_ms;
  if (interval_lengths_ == nullptr || observed_interval_ms_ != interval_ms) {
    observed_interval_ms_ = interval_ms;
    interval_lengths_ = &context_.metrics.IntervalLength(interval_ms);
  }
  if (last_tick_ns_ != 0) {
    interval_lengths_->Observe(
        static_cast<double>(scrape.start_ns - last_tick_ns_) / 1e9);
  }
  last_tick_ns_ = scrape.start_ns;
}

void ScrapeLoop::Fetch(std::shared_ptr<Scrape> scrape) {
  const Target& target = *scrape->target;
  const ScrapeSettings& settings = *scrape->settings;
  http::FetchRequest request;
  request.url = target.url;
  request.headers = {
      {"Accept",
       target.native_histograms ? settings.accept_native : settings.accept},
      {"X-Prometheus-Scrape-Timeout-Seconds",
       base::FormatFloat(static_cast<double>(target.timeout_ms) / 1000)}};
  request.config = settings.client;
  request.timeout_ms = target.timeout_ms;
  request.unix_socket = target.unix_socket;
  request.max_body_bytes = settings.config.limits.body_size_bytes;
  if (const std::int64_t most = context_.max_body_bytes;
      most > 0 &&
      (request.max_body_bytes == 0 || most < request.max_body_bytes)) {
    request.max_body_bytes = most;
  }
  request.budget = context_.bodies;
  request.accept_gzip = settings.config.enable_compression;
  if (!request.accept_gzip) request.headers.Set("Accept-Encoding", "identity");
  request.expected_bytes = last_wire_bytes_;
  request.most_decoded_bytes = kMostInPlace;
  const std::int64_t max_body_bytes = request.max_body_bytes;
  context_.client.Fetch(std::move(request), [self = shared_from_this(),
                                             scrape = std::move(scrape),
                                             max_body_bytes](
                                                http::FetchResult result,
                                                http::ReceivedBody& body) {
    if (result.packed.empty() && body.size <= kMostInPlace) {
      RefuseFullBody(body.size, max_body_bytes, &result);
      self->Finish(*scrape, result, body.view());
      return;
    }
    auto shared = std::make_shared<http::FetchResult>(std::move(result));
    auto kept = std::make_shared<http::ReceivedBody>(std::move(body));
    self->context_.workers.Submit([self, scrape, shared, kept, max_body_bytes] {
      Unpack(max_body_bytes, self->context_.bodies, shared.get(), kept.get());
      RefuseFullBody(kept->size, max_body_bytes, shared.get());
      self->Finish(*scrape, *shared, kept->view());
    });
  });
}

absl::Status ScrapeLoop::Ingest(Scrape& scrape, const http::FetchResult& result,
                                absl::string_view body, ScrapeBatch* batch,
                                IngestCounts* counts) {
  NARTHEX_RETURN_IF_ERROR(result.status);
  if (result.code != 200) {
    return absl::UnavailableError(absl::StrCat("server returned HTTP status ",
                                               result.code, " ",
                                               http::StatusText(result.code)));
  }
  const config::ScrapeConfig& config = scrape.settings->config;
  const exposition::FormatChoice choice = exposition::ChooseFormat(
      result.headers.Get("Content-Type"), config.fallback_scrape_protocol);
  if (!choice.format.has_value()) {
    return absl::InvalidArgumentError(choice.complaint);
  }
  exposition::ParserOptions options;
  const Target& target = *scrape.target;
  options.native_histograms = target.native_histograms;
  options.classic_beside_native = target.classic_beside_native;
  options.start_timestamps =
      context_.series.start_zeros || context_.series.start_times;
  auto parser = exposition::Parser::Create(*choice.format, body, options);
  if (target.custom_buckets) {
    parser = exposition::WithCustomBuckets(std::move(parser),
                                           target.classic_beside_native);
  }
  if (scrape.relearn) series_.Relearn();
  return series_.Ingest(*parser, config, target.labels, scrape.timestamp_ms,
                        metadata_, batch, counts);
}

void ScrapeLoop::CountFailure(const absl::Status& status) {
  context_.metrics.scrapes_failed.Inc();
  if (!absl::IsResourceExhausted(status)) return;
  const absl::string_view message = status.message();
  if (message.find("sample limit") != absl::string_view::npos) {
    context_.metrics.exceeded_sample_limit.Inc();
  } else if (message.find("body size") != absl::string_view::npos) {
    context_.metrics.exceeded_body_size_limit.Inc();
  } else if (message.find("bucket limit") != absl::string_view::npos) {
    context_.metrics.exceeded_bucket_limit.Inc();
  } else {
    context_.metrics.exceeded_label_limits.Inc();
  }
}

void ScrapeLoop::CountRefused(const Scrape& scrape,
                              const IngestCounts& counts) {
  Metrics& metrics = context_.metrics;
  if (counts.duplicates > 0) {
    metrics.duplicate_timestamp.Inc(static_cast<double>(counts.duplicates));
  }
  if (counts.flushed) metrics.cache_flush_forced.Inc();
  if (counts.out_of_bounds > 0) {
    metrics.out_of_bounds.Inc(static_cast<double>(counts.out_of_bounds));
  }
  if (counts.over_series_limit > 0) {
    metrics.exceeded_series_soft_limit.With({scrape.settings->config.job_name})
        .Inc(static_cast<double>(counts.over_series_limit));
  }
  const bool over = counts.over_series_limit > 0;
  if (over && !over_series_limit_) {
    const config::ScrapeConfig& config = scrape.settings->config;
    context_.log.Warn("refusing new series of a target",
                      {{"scrape_pool", config.job_name},
                       {"target", scrape.target->url},
                       {"series_soft_limit", config.limits.series},
                       {"pool_series_soft_limit", config.limits.pool_series},
                       {"refused", counts.over_series_limit}});
  }
  over_series_limit_ = over;
}

void ScrapeLoop::Finish(Scrape& scrape, const http::FetchResult& result,
                        absl::string_view body) {
  if (absl::IsCancelled(result.status)) {
    // The process stops, which says nothing about the target.
    busy_ = false;
    return;
  }
  ScrapeBatch batch;
  batch.samples.reserve(series_.size() + kReports);
  IngestCounts counts;
  const absl::Status status = Ingest(scrape, result, body, &batch, &counts);
  context_.metrics.scrapes.Inc();
  if (!status.ok()) {
    CountFailure(status);
    batch.samples.clear();
    batch.starts.clear();
    batch.histograms.clear();
    batch.exemplars.clear();
    batch.exposed = 0;
    batch.zeros = {};
    series_.MarkAllStale(scrape.timestamp_ms, &batch);
  }
  CountRefused(scrape, counts);
  const double seconds =
      static_cast<double>(context_.clock.MonotonicNs() - scrape.start_ns) / 1e9;
  // An error page is seldom as long as an answer.
  last_wire_bytes_ = status.ok() ? result.wire_bytes : 0;
  AppendReports(scrape, status, seconds, BodyBytes(body, result), counts,
                &batch);
  Send(std::move(batch));
  {
    base::MutexLock lock(mutex_);
    state_.health =
        status.ok() ? ScrapeState::Health::kUp : ScrapeState::Health::kDown;
    state_.last_error = std::string(status.message());
    state_.last_scrape_ms = scrape.start_ms;
    state_.last_duration_seconds = seconds;
  }
  if (!status.ok()) {
    const ScrapeSettings& settings = *scrape.settings;
    context_.log.Debug("scrape failed",
                       {{"scrape_pool", settings.config.job_name},
                        {"target", scrape.target->url},
                        {"err", status.message()}});
    if (settings.failure_log != nullptr) {
      settings.failure_log->Write(context_.clock.NowMs(),
                                  settings.config.job_name, scrape.target->url,
                                  status.message());
    }
  }
  busy_ = false;
}

void ScrapeLoop::AppendReports(const Scrape& scrape, const absl::Status& status,
                               double seconds, double body_bytes,
                               const IngestCounts& counts, ScrapeBatch* batch) {
  const auto append = [&](Report report, double value) {
    AppendReport(report, scrape.target->labels, scrape.timestamp_ms, value,
                 batch);
  };
  append(kUp, status.ok() ? 1 : 0);
  append(kDuration, seconds);
  append(kScraped, static_cast<double>(counts.scraped));
  append(kPostRelabel, static_cast<double>(counts.kept));
  append(kAdded, static_cast<double>(counts.added));
  const config::ScrapeConfig& config = scrape.settings->config;
  if (!config.extra_scrape_metrics) return;
  append(kTimeout, static_cast<double>(scrape.target->timeout_ms) / 1000);
  append(kSampleLimit, static_cast<double>(config.limits.samples));
  append(kBodySize, body_bytes);
}

void ScrapeLoop::AppendReport(Report report, const model::Labels& labels,
                              std::int64_t timestamp_ms, double value,
                              ScrapeBatch* batch) {
  storage::SeriesRef& ref = reports_[report];
  if (ref == 0) {
    model::LabelsBuilder builder;
    // As in Prometheus, a target's label "exported_x" goes where it has an
    // "x": it makes way for one that the sample might have had.
    for (const model::Label& label : labels) {
      builder.Del(absl::StrCat("exported_", label.name));
      builder.Set(label.name, label.value);
    }
    builder.Set(model::kMetricName, kReportNames[report]);
    ref = context_.writer.Declare(builder.Build());
  }
  batch->samples.push_back({ref, timestamp_ms, value});
}

void ScrapeLoop::SendZeros(cluster::PushBatch zeros) {
  if (zeros.empty()) return;
  // Most are of counters that were known before this process: these have
  // later samples, and need no zero.
  zeros.in_order_only = true;
  context_.writer.Push(std::move(zeros), [](const cluster::PushOutcome&) {});
}

void ScrapeLoop::Send(ScrapeBatch batch, bool in_order_only) {
  SendZeros(std::move(batch.zeros));
  Metrics& metrics = context_.metrics;
  const std::size_t exposed = batch.exposed;
  const std::size_t markers = batch.samples.size() - exposed;
  const std::size_t samples = batch.samples.size() + batch.histograms.size();
  std::vector<storage::SeriesRef> exemplar_refs;
  for (const auto& one : batch.exemplars) exemplar_refs.push_back(one.ref);
  cluster::PushBatch& push = batch;
  push.in_order_only = in_order_only;
  context_.writer.Push(
      std::move(push), [=, &metrics, exemplar_refs = std::move(exemplar_refs)](
                           const cluster::PushOutcome& outcome) {
        if (!outcome.status.ok()) {
          metrics.lost_samples.Inc(static_cast<double>(samples));
        }
        std::vector<storage::Rejection> exemplars;
        for (const storage::Rejection& rejection : outcome.rejected) {
          const std::size_t index = rejection.index;
          if (index >= samples) {
            exemplars.push_back({index - samples, rejection.reason});
          } else {
            const bool exposes = index < exposed || index >= exposed + markers;
            metrics.CountRefusal(rejection.reason, exposes);
          }
        }
        metrics.CountRefusedExemplars(exemplar_refs, exemplars);
      });
  context_.writer.Release(batch.released);
}

void ScrapeLoop::End(std::int64_t timestamp_ms) {
  ScrapeBatch batch;
  series_.MarkAllStale(timestamp_ms, &batch);
  series_.Forget(&batch);
  for (storage::SeriesRef& ref : reports_) {
    if (ref == 0) continue;
    batch.samples.push_back({ref, timestamp_ms, model::StaleNan()});
    batch.released.push_back(ref);
    ref = 0;
  }
  // Where the target came back meanwhile its series have not ended.
  Send(std::move(batch), /*in_order_only=*/true);
}

void ScrapeLoop::Retire() {
  base::MutexLock lock(mutex_);
  retired_ = true;
}

bool ScrapeLoop::Update(const Target& target,
                        std::shared_ptr<const ScrapeSettings> settings) {
  base::MutexLock lock(mutex_);
  if (!SameLabelling(settings_->config, settings->config)) relearn_ = true;
  const bool replan = target.interval_ms != target_->interval_ms;
  if (replan) ++plan_;
  target_ = std::make_shared<const Target>(target);
  settings_ = std::move(settings);
  return replan;
}

void ScrapeLoop::SetForcedError(absl::Status error) {
  base::MutexLock lock(mutex_);
  forced_error_ = std::move(error);
}

Target ScrapeLoop::target() const {
  base::ReaderMutexLock lock(mutex_);
  return *target_;
}

ScrapeState ScrapeLoop::state() const {
  base::ReaderMutexLock lock(mutex_);
  return state_;
}

}  // namespace narthex::scraper
