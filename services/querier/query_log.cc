#include "services/querier/query_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "libs/base/status.h"
#include "services/querier/json_writer.h"
#include "services/querier/result_json.h"

namespace narthex::querier {
namespace {

// Always with milliseconds.
std::string Time(std::int64_t unix_ms) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", absl::FromUnixMillis(unix_ms),
                          absl::UTCTimeZone());
}

std::string Line(const LoggedQuery& query, std::int64_t now_ms) {
  std::string line;
  JsonWriter json(&line);
  json.BeginObject()
      .Key("time")
      .String(Time(now_ms))
      .Key("level")
      .String("INFO")
      .Key("msg")
      .String("promql query logged")
      .Key("params")
      .BeginObject()
      .Key("end")
      .String(Time(query.end_ms))
      .Key("query")
      .String(query.expression)
      .Key("start")
      .String(Time(query.start_ms))
      .Key("step")
      .Int(query.step_ms / 1000)
      .EndObject();
  if (!query.error.empty()) json.Key("error").String(query.error);
  WriteStats(query.stats, &json);
  const QueryOrigin& origin = query.origin;
  if (!origin.rule_group.empty()) {
    json.Key("ruleGroup")
        .BeginObject()
        .Key("file")
        .String(origin.rule_file)
        .Key("name")
        .String(origin.rule_group)
        .EndObject();
  } else if (!origin.path.empty()) {
    json.Key("httpRequest")
        .BeginObject()
        .Key("clientIP")
        .String(origin.client_ip)
        .Key("method")
        .String(origin.method)
        .Key("path")
        .String(origin.path)
        .EndObject();
  }
  json.EndObject();
  line.push_back('\n');
  return line;
}

}  // namespace

std::string QueryOrigin::Text() const {
  if (!rule_group.empty()) {
    return absl::StrCat("rule group ", rule_file, ";", rule_group);
  }
  return absl::StrCat(client_ip, " ", method, " ", path);
}

QueryLog::QueryLog(base::Clock& clock, metrics::Registry& registry)
    : clock_(clock),
      enabled_(registry.NewGauge("prometheus_engine_query_log_enabled",
                                 "State of the query log.")),
      failures_(
          registry.NewCounter("prometheus_engine_query_log_failures_total",
                              "The number of query log failures.")) {}

absl::Status QueryLog::SetFile(const std::string& path) {
  base::UniqueFd file;
  if (!path.empty()) {
    file = base::UniqueFd(
        ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
    if (!file) return base::ErrnoStatus(errno, "open query log", path);
  }
  base::MutexLock lock(mutex_);
  file_ = std::move(file);
  enabled_.Set(path.empty() ? 0 : 1);
  return absl::OkStatus();
}

void QueryLog::Write(const LoggedQuery& query) {
  base::MutexLock lock(mutex_);
  if (!file_) return;
  const std::string line = Line(query, clock_.NowMs());
  // One call: lines of a file that is appended to do not mix.
  if (::write(file_.get(), line.data(), line.size()) !=
      static_cast<ssize_t>(line.size())) {
    failures_.Inc();
  }
}

}  // namespace narthex::querier
