#include "services/querier/status_api.h"

#include <unistd.h>

#include <array>
#include <climits>
#include <fstream>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "libs/base/duration.h"
#include "libs/base/status.h"
#include "libs/config/fields.h"
#include "libs/promql/ast.h"
#include "services/querier/params.h"

namespace narthex::querier {
namespace {

constexpr std::int64_t kDefaultTsdbLimit = 10;
constexpr std::int64_t kMaxTsdbLimit = 10'000;

// The Prometheus whose API this is: Grafana decides by it what it may ask for.

std::string WorkingDirectory() {
  std::array<char, PATH_MAX> path;
  return getcwd(path.data(), path.size()) != nullptr ? path.data() : "";
}

std::string HostName() {
  std::array<char, HOST_NAME_MAX + 1> name{};
  return gethostname(name.data(), HOST_NAME_MAX) == 0 ? name.data() : "";
}

std::int64_t ThreadCount() {
  std::ifstream status("/proc/self/status");
  std::string word;
  std::int64_t threads = 0;
  while (status >> word) {
    if (word == "Threads:" && status >> threads) return threads;
  }
  return 0;
}

void WriteBuildInfo(JsonWriter* json) {
  const service::BuildInfo& build = service::Build();
  json->BeginObject()
      .Key("version")
      .String(build.prometheus_version)
      .Key("revision")
      .String(build.revision)
      .Key("branch")
      .String("main")
      .Key("buildUser")
      .String("narthex")
      .Key("buildDate")
      .String(build.build_date)
      .Key("goVersion")
      .String(build.compiler)
      .EndObject();
}

using StorageStatus = cluster::IngesterQueryable::StorageStatus;

// In Prometheus's words: "15d or 512GiB". All ingesters are meant to keep the
// same.
std::string RetentionText(const StorageStatus& status) {
  std::vector<std::string> bounds;
  if (status.retention_ms > 0) {
    bounds.push_back(base::FormatDuration(status.retention_ms));
  }
  if (status.retention_bytes > 0) {
    bounds.push_back(
        config::FormatSize(static_cast<std::int64_t>(status.retention_bytes)));
  }
  if (status.retention_percentage > 0) {
    bounds.push_back(absl::StrCat(status.retention_percentage, "%"));
  }
  return absl::StrJoin(bounds, " or ");
}

// The progress of the ingester that has most left to do.
absl::Status WalReplay(const StatusSource& source, Answer* answer) {
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<StorageStatus> all,
                           source.storage());
  StorageStatus slowest;
  for (const StorageStatus& one : all) {
    if (&one == &all.front() ||
        one.last_segment - one.current_segment >
            slowest.last_segment - slowest.current_segment) {
      slowest = one;
    }
  }
  answer->data()
      .BeginObject()
      .Key("min")
      .Int(slowest.first_segment)
      .Key("max")
      .Int(slowest.last_segment)
      .Key("current")
      .Int(slowest.current_segment)
      .EndObject();
  return absl::OkStatus();
}

absl::Status TsdbBlocks(const StatusSource& source, Answer* answer) {
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<StorageStatus> all,
                           source.storage());
  JsonWriter& json = answer->data();
  json.BeginObject().Key("blocks").BeginArray();
  for (const StorageStatus& one : all) {
    for (const std::string& meta : one.block_metas) json.Raw()->append(meta);
  }
  json.EndArray().EndObject();
  return absl::OkStatus();
}

absl::Status RuntimeInfo(const StatusSource& source, Answer* answer) {
  // Most of it is known without the ingesters.
  std::vector<StorageStatus> ingesters;
  if (auto all = source.storage(); all.ok()) {
    ingesters = *std::move(all);
  } else {
    answer->warnings.emplace_back(all.status().message());
  }
  std::uint64_t corruptions = 0;
  for (const StorageStatus& one : ingesters) corruptions += one.corruptions;
  service::Process& process = source.process;
  answer->data()
      .BeginObject()
      .Key("startTime")
      .Time(process.start_time_ms())
      .Key("CWD")
      .String(WorkingDirectory())
      .Key("hostname")
      .String(HostName())
      .Key("serverTime")
      .Time(process.clock().NowMs())
      .Key("reloadConfigSuccess")
      .Bool(source.reload_ok())
      .Key("lastConfigTime")
      .Time(source.reloaded_ms())
      .Key("corruptionCount")
      .Int(static_cast<std::int64_t>(corruptions))
      .Key("goroutineCount")
      .Int(ThreadCount())
      .Key("GOMAXPROCS")
      .Int(std::thread::hardware_concurrency())
      .Key("GOMEMLIMIT")
      .Int(0)
      .Key("GOGC")
      .String("")
      .Key("GODEBUG")
      .String("")
      .Key("storageRetention")
      .String(ingesters.empty() ? "" : RetentionText(ingesters.front()))
      .EndObject();
  return absl::OkStatus();
}

void WriteCounts(
    absl::string_view key,
    const std::vector<cluster::IngesterQueryable::NamedCount>& counts,
    JsonWriter* json) {
  json->Key(key).BeginArray();
  for (const auto& [name, count] : counts) {
    json->BeginObject()
        .Key("name")
        .String(name)
        .Key("value")
        .Int(static_cast<std::int64_t>(count))
        .EndObject();
  }
  json->EndArray();
}

absl::Status Tsdb(const StatusSource& source, const http::Request& request,
                  Answer* answer) {
  std::int64_t limit = kDefaultTsdbLimit;
  if (const absl::string_view text = request.params.Get("limit");
      !text.empty() && (!absl::SimpleAtoi(text, &limit) || limit < 1)) {
    return absl::InvalidArgumentError("limit must be a positive number");
  }
  if (limit > kMaxTsdbLimit) {
    return absl::InvalidArgumentError(
        absl::StrCat("limit must not exceed ", kMaxTsdbLimit));
  }
  NARTHEX_ASSIGN_OR_RETURN(
      const cluster::IngesterQueryable::Cardinality head,
      source.cardinality(static_cast<std::uint32_t>(limit)));
  JsonWriter& json = answer->data();
  json.BeginObject()
      .Key("headStats")
      .BeginObject()
      .Key("numSeries")
      .Int(static_cast<std::int64_t>(head.series))
      .Key("numLabelPairs")
      .Int(static_cast<std::int64_t>(head.label_pairs))
      .Key("chunkCount")
      .Int(static_cast<std::int64_t>(head.chunks))
      .Key("minTime")
      .Int(head.min_ms)
      .Key("maxTime")
      .Int(head.max_ms)
      .EndObject();
  WriteCounts("seriesCountByMetricName", head.series_by_metric, &json);
  WriteCounts("labelValueCountByLabelName", head.values_by_label, &json);
  WriteCounts("memoryInBytesByLabelName", head.bytes_by_label, &json);
  WriteCounts("seriesCountByLabelValuePair", head.series_by_pair, &json);
  json.EndObject();
  return absl::OkStatus();
}

void WriteFeatures(JsonWriter* json) {
  json->BeginObject().Key("api").BeginObject();
  json->Key("query_stats").Bool(true);
  json->Key("remote_write").Bool(true).EndObject();
  json->Key("promql_functions").BeginObject();
  for (const promql::Function& function : promql::AllFunctions()) {
    json->Key(function.name).Bool(!function.experimental);
  }
  json->EndObject().EndObject();
}

}  // namespace

void AddStatusRoutes(ApiRoutes& routes, http::Router& router,
                     StatusSource source) {
  const auto shared = std::make_shared<const StatusSource>(std::move(source));
  const auto get = [&routes](absl::string_view path, auto write) {
    routes.Add("GET", path, [write](const http::Request&, Answer* answer) {
      write(&answer->data());
      return absl::OkStatus();
    });
  };
  get("/status/config", [shared](JsonWriter* json) {
    json->BeginObject().Key("yaml").String(shared->config_yaml()).EndObject();
  });
  get("/status/flags", [shared](JsonWriter* json) {
    json->BeginObject();
    for (const auto& [name, value] : shared->process.flags().Values()) {
      json->Key(name).String(value);
    }
    json->EndObject();
  });
  get("/status/buildinfo", WriteBuildInfo);
  const auto ask = [&routes, shared](absl::string_view path, auto function) {
    routes.Add("GET", path,
               [shared, function](const http::Request&, Answer* answer) {
                 return function(*shared, answer);
               });
  };
  ask("/status/runtimeinfo", RuntimeInfo);
  ask("/status/walreplay", WalReplay);
  ask("/status/tsdb/blocks", TsdbBlocks);
  get("/features", WriteFeatures);
  get("/notifications",
      [](JsonWriter* json) { json->BeginArray().EndArray(); });
  routes.Add("GET", "/status/tsdb",
             [shared](const http::Request& request, Answer* answer) {
               return Tsdb(*shared, request, answer);
             });
  router.Get("/version", [](const http::Request&, http::Response& response) {
    std::string body;
    JsonWriter json(&body);
    WriteBuildInfo(&json);
    body.push_back('\n');
    response.Send(200, "application/json", std::move(body));
  });
}

}  // namespace narthex::querier
