#include "services/querier/targets_api.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "libs/base/duration.h"
#include "libs/base/status.h"
#include "libs/cluster/wire.h"
#include "libs/promql/parser.h"
#include "narthex/v1/scraper.grpc.pb.h"
#include "services/querier/ask_all.h"
#include "services/querier/params.h"
#include "services/querier/wire_values.h"

namespace narthex::querier {
namespace {

absl::string_view HealthName(v1::Target::Health health) {
  switch (health) {
    case v1::Target::HEALTH_UP:
      return "up";
    case v1::Target::HEALTH_DOWN:
      return "down";
    default:
      return "unknown";
  }
}

// As it was written, unless relabelling changed it.
std::string DurationText(const model::Labels& discovered,
                         absl::string_view label, std::int64_t ms) {
  const absl::string_view written = discovered.Get(label);
  const auto parsed = base::ParseDuration(written);
  return parsed.ok() && *parsed == ms ? std::string(written)
                                      : base::FormatDuration(ms);
}

void WriteTarget(const v1::Target& target, JsonWriter* json) {
  const model::Labels discovered = LabelsOf(target.discovered_labels());
  json->BeginObject()
      .Key("discoveredLabels")
      .Labels(discovered)
      .Key("labels")
      .Labels(LabelsOf(target.labels()))
      .Key("scrapePool")
      .String(target.scrape_pool())
      .Key("scrapeUrl")
      .String(target.scrape_url())
      .Key("globalUrl")
      .String(target.global_url())
      .Key("lastError")
      .String(target.last_error())
      .Key("lastScrape")
      .Time(target.last_scrape_ms())
      .Key("lastScrapeDuration")
      .Double(ToSeconds(target.last_scrape_duration()))
      .Key("health")
      .String(HealthName(target.health()))
      .Key("scrapeInterval")
      .String(DurationText(discovered, "__scrape_interval__",
                           ToMs(target.scrape_interval())))
      .Key("scrapeTimeout")
      .String(DurationText(discovered, "__scrape_timeout__",
                           ToMs(target.scrape_timeout())))
      .EndObject();
}

struct AllTargets {
  std::vector<v1::Target> active;
  std::vector<v1::DroppedTarget> dropped;
  std::map<std::string, std::uint64_t> dropped_counts;
};

void SortByPool(AllTargets* targets) {
  std::stable_sort(targets->active.begin(), targets->active.end(),
                   [](const v1::Target& a, const v1::Target& b) {
                     return std::tie(a.scrape_pool(), a.scrape_url()) <
                            std::tie(b.scrape_pool(), b.scrape_url());
                   });
  std::stable_sort(targets->dropped.begin(), targets->dropped.end(),
                   [](const v1::DroppedTarget& a, const v1::DroppedTarget& b) {
                     return a.scrape_pool() < b.scrape_pool();
                   });
}

void WriteTargets(const AllTargets& targets, bool with_dropped,
                  JsonWriter* json) {
  json->BeginObject().Key("activeTargets").BeginArray();
  for (const v1::Target& target : targets.active) WriteTarget(target, json);
  json->EndArray().Key("droppedTargets").BeginArray();
  for (const v1::DroppedTarget& target : targets.dropped) {
    json->BeginObject()
        .Key("discoveredLabels")
        .Labels(LabelsOf(target.discovered_labels()))
        .Key("scrapePool")
        .String(target.scrape_pool())
        .EndObject();
  }
  json->EndArray().Key("droppedTargetCounts");
  if (!with_dropped) {
    json->Null().EndObject();
    return;
  }
  json->BeginObject();
  for (const auto& [pool, count] : targets.dropped_counts) {
    json->QuotedKey(pool).Int(static_cast<std::int64_t>(count));
  }
  json->EndObject().EndObject();
}

absl::Status Targets(Peers& scrapers, const http::Request& request,
                     Answer* answer) {
  const std::string state = absl::AsciiStrToLower(request.params.Get("state"));
  const bool any = state.empty() || state == "any";
  v1::TargetsRequest ask;
  ask.set_active(any || state == "active");
  ask.set_dropped(any || state == "dropped");
  ask.set_scrape_pool(std::string(request.params.Get("scrapePool")));
  AllTargets all;
  NARTHEX_RETURN_IF_ERROR(AskAll<v1::Scraper>(
      scrapers, &v1::Scraper::Stub::Targets, ask, answer,
      [&all](v1::TargetsResponse page) {
        for (v1::Target& target : *page.mutable_active()) {
          all.active.push_back(std::move(target));
        }
        for (v1::DroppedTarget& target : *page.mutable_dropped()) {
          all.dropped.push_back(std::move(target));
        }
        for (const auto& [pool, count] : page.dropped_counts()) {
          all.dropped_counts[pool] += count;
        }
      }));
  SortByPool(&all);
  WriteTargets(all, ask.dropped(), &answer->data());
  return absl::OkStatus();
}

absl::Status ScrapePools(Peers& scrapers, Answer* answer) {
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<Peer> peers, scrapers.All());
  std::set<std::string> names;
  std::size_t answered = 0;
  absl::Status last_error;
  for (const Peer& peer : peers) {
    const auto stub = v1::Scraper::NewStub(peer.channel);
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kAskTimeout);
    v1::ScrapePoolsResponse response;
    const absl::Status status = rpc::FromGrpc(
        stub->ScrapePools(&context, v1::ScrapePoolsRequest(), &response),
        peer.title);
    if (status.ok()) {
      ++answered;
      names.insert(response.names().begin(), response.names().end());
    } else {
      last_error = status;
      answer->warnings.push_back(std::string(status.message()));
    }
  }
  if (answered == 0 && !peers.empty()) return last_error;
  answer->data()
      .BeginObject()
      .Key("scrapePools")
      .Strings({names.begin(), names.end()})
      .EndObject();
  return absl::OkStatus();
}

absl::string_view TypeName(v1::MetricType type) {
  switch (type) {
    case v1::METRIC_TYPE_COUNTER:
      return "counter";
    case v1::METRIC_TYPE_GAUGE:
      return "gauge";
    case v1::METRIC_TYPE_HISTOGRAM:
      return "histogram";
    case v1::METRIC_TYPE_GAUGE_HISTOGRAM:
      return "gaugehistogram";
    case v1::METRIC_TYPE_SUMMARY:
      return "summary";
    case v1::METRIC_TYPE_INFO:
      return "info";
    case v1::METRIC_TYPE_STATESET:
      return "stateset";
    default:
      return "unknown";
  }
}

absl::Status TargetMetadata(Peers& scrapers, const http::Request& request,
                            Answer* answer) {
  NARTHEX_ASSIGN_OR_RETURN(const std::int64_t limit,
                           NumberParam(request.params, "limit", -1));
  v1::TargetMetadataRequest ask;
  const std::string metric(request.params.Get("metric"));
  ask.set_metric(metric);
  if (const absl::string_view text = request.params.Get("match_target");
      !text.empty()) {
    const auto matchers = promql::ParseMetricSelector(text);
    if (!matchers.ok()) {
      return InvalidParam("match_target", matchers.status().message());
    }
    cluster::ToWire(*matchers, ask.mutable_target_matchers());
  }
  std::int64_t written = 0;
  std::string last_target;
  JsonWriter& json = answer->data().BeginArray();
  NARTHEX_RETURN_IF_ERROR(AskAll<v1::Scraper>(
      scrapers, &v1::Scraper::Stub::TargetMetadata, ask, answer,
      [&](const v1::TargetMetadataResponse& page) {
        for (const v1::TargetMetadata& item : page.metadata()) {
          // Prometheus looks at the limit before each target.
          if (item.target() != last_target || written == 0) {
            if (limit >= 0 && written >= limit) return;
            last_target = item.target();
          }
          ++written;
          json.BeginObject().Key("target").Labels(LabelsOf(item.target()));
          if (metric.empty()) {
            json.Key("metric").String(item.metadata().metric());
          }
          json.Key("type")
              .String(TypeName(item.metadata().type()))
              .Key("help")
              .String(item.metadata().help())
              .Key("unit")
              .String(item.metadata().unit())
              .EndObject();
        }
      }));
  json.EndArray();
  return absl::OkStatus();
}

absl::Status Metadata(Peers& scrapers, const http::Request& request,
                      Answer* answer) {
  NARTHEX_ASSIGN_OR_RETURN(const std::int64_t limit,
                           NumberParam(request.params, "limit", -1));
  NARTHEX_ASSIGN_OR_RETURN(const std::int64_t per_metric,
                           NumberParam(request.params, "limit_per_metric", -1));
  v1::TargetMetadataRequest ask;
  ask.set_metric(std::string(request.params.Get("metric")));
  using Item = std::tuple<v1::MetricType, std::string, std::string>;
  std::map<std::string, std::set<Item>> metrics;
  NARTHEX_RETURN_IF_ERROR(AskAll<v1::Scraper>(
      scrapers, &v1::Scraper::Stub::TargetMetadata, ask, answer,
      [&](const v1::TargetMetadataResponse& page) {
        for (const v1::TargetMetadata& item : page.metadata()) {
          const v1::MetricMetadata& metadata = item.metadata();
          std::set<Item>& items = metrics[metadata.metric()];
          if (per_metric > 0 &&
              static_cast<std::int64_t>(items.size()) >= per_metric) {
            continue;
          }
          items.emplace(metadata.type(), metadata.unit(), metadata.help());
        }
      }));
  JsonWriter& json = answer->data().BeginObject();
  std::int64_t written = 0;
  for (const auto& [name, items] : metrics) {
    if (limit >= 0 && written++ >= limit) break;
    json.QuotedKey(name).BeginArray();
    for (const auto& [type, unit, help] : items) {
      json.BeginObject()
          .Key("type")
          .String(TypeName(type))
          .Key("unit")
          .String(unit)
          .Key("help")
          .String(help)
          .EndObject();
    }
    json.EndArray();
  }
  json.EndObject();
  return absl::OkStatus();
}

}  // namespace

void AddTargetRoutes(ApiRoutes& routes, Peers& scrapers) {
  routes.Add("GET", "/targets",
             [&scrapers](const http::Request& request, Answer* answer) {
               return Targets(scrapers, request, answer);
             });
  routes.Add("GET", "/targets/metadata",
             [&scrapers](const http::Request& request, Answer* answer) {
               return TargetMetadata(scrapers, request, answer);
             });
  routes.Add("GET", "/scrape_pools",
             [&scrapers](const http::Request&, Answer* answer) {
               return ScrapePools(scrapers, answer);
             });
  routes.Add("GET", "/metadata",
             [&scrapers](const http::Request& request, Answer* answer) {
               return Metadata(scrapers, request, answer);
             });
}

}  // namespace narthex::querier
