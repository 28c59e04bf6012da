#include "services/pushgateway/api_json.h"

#include <nlohmann/json.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/base/duration.h"
#include "libs/base/float_format.h"
#include "services/pushgateway/series_text.h"

namespace narthex::pushgateway {

namespace {

using nlohmann::json;

json LabelsJson(const LabelPairs& labels) {
  json object = json::object();
  for (const auto& [name, value] : labels) object[name] = value;
  return object;
}

// The value of the label that a line of a histogram or summary adds, empty
// when it is its sum or count.
std::string BoundOf(const Family& family, std::size_t metric,
                    std::size_t line) {
  const absl::string_view text = family.layout.line(line);
  const auto labels = family.layout.labels(metric);
  // The line's text is "name{labels,extra} ".
  const auto begin = text.find(labels) + labels.size();
  if (begin >= text.size() || text[begin] != ',') return "";
  const LabelPairs extra =
      SplitLabels(text.substr(begin + 1, text.size() - begin - 3));
  return extra.empty() ? "" : extra[0].second;
}

json CompositeJson(const Family& family, std::size_t metric) {
  const bool histogram = family.type == model::MetricType::kHistogram;
  json object;
  json parts = json::object();
  const std::size_t end = family.layout.end_line(metric);
  for (std::size_t i = family.layout.first_line(metric); i < end; ++i) {
    const std::string value = base::FormatFloatG(family.values[i]);
    // Sum and count are the last two lines.
    if (i + 2 == end) {
      object["sum"] = value;
    } else if (i + 1 == end) {
      object["count"] = value;
    } else {
      parts[BoundOf(family, metric, i)] = value;
    }
  }
  object[histogram ? "buckets" : "quantiles"] = std::move(parts);
  return object;
}

json FamilyJson(const Store::PushedFamily& pushed) {
  const Family& family = pushed.family;
  json object = {{"time_stamp", base::FormatRfc3339(pushed.pushed_ms)},
                 {"type", absl::AsciiStrToUpper(TypeWord(family.type))},
                 {"metrics", json::array()}};
  if (!family.help.empty()) object["help"] = family.help;
  const bool composite = family.type == model::MetricType::kHistogram ||
                         family.type == model::MetricType::kSummary;
  for (std::size_t i = 0; i < family.layout.metric_count(); ++i) {
    json metric =
        composite
            ? CompositeJson(family, i)
            : json{{"value", base::FormatFloatG(
                                 family.values[family.layout.first_line(i)])}};
    metric["labels"] = LabelsJson(SplitLabels(family.layout.labels(i)));
    object["metrics"].push_back(std::move(metric));
  }
  return object;
}

std::string Success(json data) {
  const json answer = {{"status", "success"}, {"data", std::move(data)}};
  // Help texts may hold anything: bad UTF-8 must not end the answer.
  return answer.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace

std::string MetricsJson(const std::vector<Store::Group>& groups) {
  json data = json::array();
  for (const Store::Group& group : groups) {
    json object = {{"labels", LabelsJson(group.labels)},
                   {"last_push_successful", group.last_push_successful}};
    for (const Store::PushedFamily& pushed : group.families) {
      object[pushed.family.name] = FamilyJson(pushed);
    }
    data.push_back(std::move(object));
  }
  return Success(std::move(data));
}

std::string StatusJson(
    const std::vector<std::pair<std::string, std::string>>& flags,
    std::int64_t start_time_ms) {
  json flag_values = json::object();
  for (const auto& [name, value] : flags) flag_values[name] = value;
  const service::BuildInfo& build = service::Build();
  return Success({{"build_information",
                   {{"version", build.version},
                    {"revision", build.revision},
                    {"branch", ""},
                    {"buildUser", ""},
                    {"buildDate", build.build_date},
                    {"goVersion", build.compiler}}},
                  {"flags", std::move(flag_values)},
                  {"start_time", base::FormatRfc3339(start_time_ms)}});
}

}  // namespace narthex::pushgateway
