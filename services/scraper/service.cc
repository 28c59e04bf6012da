#include "services/scraper/service.h"

#include "libs/base/status.h"
#include "libs/cluster/wire.h"
#include "libs/rpc/status.h"

namespace narthex::scraper {
namespace {

constexpr int kPerMessage = 1000;

void SetDuration(double seconds, google::protobuf::Duration* out) {
  const auto ns = static_cast<std::int64_t>(seconds * 1e9);
  out->set_seconds(ns / 1'000'000'000);
  out->set_nanos(static_cast<std::int32_t>(ns % 1'000'000'000));
}

void SetBytes(const model::Labels& labels, std::string* out) {
  out->assign(labels.encoded().data(), labels.encoded().size());
}

v1::Target::Health ToWireHealth(ScrapeState::Health health) {
  switch (health) {
    case ScrapeState::Health::kUp:
      return v1::Target::HEALTH_UP;
    case ScrapeState::Health::kDown:
      return v1::Target::HEALTH_DOWN;
    case ScrapeState::Health::kUnknown:
      break;
  }
  return v1::Target::HEALTH_UNSPECIFIED;
}

void Fill(const std::string& pool, const std::string& external_host,
          const ScrapeLoop& loop, v1::Target* out) {
  const Target target = loop.target();
  const ScrapeState state = loop.state();
  SetBytes(target.discovered, out->mutable_discovered_labels());
  SetBytes(target.labels, out->mutable_labels());
  out->set_scrape_pool(pool);
  out->set_scrape_url(target.url);
  out->set_global_url(GlobalUrl(target.url, external_host));
  out->set_last_error(state.last_error);
  out->set_last_scrape_ms(state.last_scrape_ms);
  SetDuration(state.last_duration_seconds, out->mutable_last_scrape_duration());
  out->set_health(ToWireHealth(state.health));
  SetDuration(static_cast<double>(target.interval_ms) / 1000,
              out->mutable_scrape_interval());
  SetDuration(static_cast<double>(target.timeout_ms) / 1000,
              out->mutable_scrape_timeout());
}

v1::MetricType ToWireType(model::MetricType type) {
  switch (type) {
    case model::MetricType::kCounter:
      return v1::METRIC_TYPE_COUNTER;
    case model::MetricType::kGauge:
      return v1::METRIC_TYPE_GAUGE;
    case model::MetricType::kHistogram:
      return v1::METRIC_TYPE_HISTOGRAM;
    case model::MetricType::kGaugeHistogram:
      return v1::METRIC_TYPE_GAUGE_HISTOGRAM;
    case model::MetricType::kSummary:
      return v1::METRIC_TYPE_SUMMARY;
    case model::MetricType::kInfo:
      return v1::METRIC_TYPE_INFO;
    case model::MetricType::kStateset:
      return v1::METRIC_TYPE_STATESET;
    case model::MetricType::kUnknown:
      break;
  }
  return v1::METRIC_TYPE_UNKNOWN;
}

}  // namespace

grpc::Status ScraperService::Targets(
    grpc::ServerContext*, const v1::TargetsRequest* request,
    grpc::ServerWriter<v1::TargetsResponse>* writer) {
  v1::TargetsResponse message;
  const auto flush_when_full = [&] {
    if (message.active_size() + message.dropped_size() < kPerMessage) return;
    writer->Write(message);
    message.Clear();
  };
  const auto pools = manager_.pools();
  const auto wanted = [&](const std::string& pool) {
    return request->scrape_pool().empty() || request->scrape_pool() == pool;
  };
  // Of all pools, whichever is asked for, as Prometheus.
  for (const auto& [name, pool] : pools) {
    (*message.mutable_dropped_counts())[name] = pool->dropped_count();
  }
  for (const auto& [name, pool] : pools) {
    if (!wanted(name)) continue;
    if (request->active()) {
      for (const auto& loop : pool->loops()) {
        Fill(name, external_host_, *loop, message.add_active());
        flush_when_full();
      }
    }
    if (request->dropped()) {
      for (const model::Labels& labels : pool->dropped()) {
        v1::DroppedTarget* dropped = message.add_dropped();
        SetBytes(labels, dropped->mutable_discovered_labels());
        dropped->set_scrape_pool(name);
        flush_when_full();
      }
    }
  }
  writer->Write(message);
  return grpc::Status::OK;
}

grpc::Status ScraperService::TargetMetadata(
    grpc::ServerContext*, const v1::TargetMetadataRequest* request,
    grpc::ServerWriter<v1::TargetMetadataResponse>* writer) {
  const auto matchers = cluster::FromWire(request->target_matchers());
  if (!matchers.ok()) return rpc::ToGrpc(matchers.status());
  v1::TargetMetadataResponse message;
  for (const auto& [name, pool] : manager_.pools()) {
    for (const auto& loop : pool->loops()) {
      const model::Labels labels = loop->target().labels;
      if (!model::MatchesAll(*matchers, labels)) continue;
      for (const auto& metadata : loop->metadata()) {
        if (!request->metric().empty() &&
            request->metric() != metadata->metric) {
          continue;
        }
        v1::TargetMetadata* out = message.add_metadata();
        SetBytes(labels, out->mutable_target());
        out->mutable_metadata()->set_metric(metadata->metric);
        out->mutable_metadata()->set_type(ToWireType(metadata->type));
        out->mutable_metadata()->set_help(metadata->help);
        out->mutable_metadata()->set_unit(metadata->unit);
      }
      if (message.metadata_size() >= kPerMessage) {
        writer->Write(message);
        message.Clear();
      }
    }
  }
  writer->Write(message);
  return grpc::Status::OK;
}

grpc::Status ScraperService::ScrapePools(grpc::ServerContext*,
                                         const v1::ScrapePoolsRequest*,
                                         v1::ScrapePoolsResponse* response) {
  for (const auto& [name, pool] : manager_.pools()) response->add_names(name);
  return grpc::Status::OK;
}

}  // namespace narthex::scraper
