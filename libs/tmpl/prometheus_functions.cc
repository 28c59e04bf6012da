#include "libs/tmpl/prometheus_functions.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "libs/base/duration.h"
#include "libs/base/float_format.h"
#include "libs/base/status.h"
#include "libs/base/url_query.h"
#include "libs/tmpl/go_time.h"
#include "libs/tmpl/humanize.h"
#include "libs/tmpl/text_functions.h"

namespace narthex::tmpl {
namespace {

using Args = absl::Span<const Value>;
using Kind = Value::Kind;

const Type& SampleType() {
  static const Type type = {"*template.sample", {}, {}};
  return type;
}

const Type& QueryResultType() {
  static const Type type = {"template.queryResult", {}, {}};
  return type;
}

Function NumberFunction(std::string (*format)(double)) {
  return {"a", [format](Args args) -> absl::StatusOr<Value> {
            NARTHEX_ASSIGN_OR_RETURN(const double v, ToNumber(args[0]));
            return Value::String(format(v));
          }};
}

absl::StatusOr<Value> HumanizeTimestamp(Args args) {
  NARTHEX_ASSIGN_OR_RETURN(const double v, ToNumber(args[0]));
  if (!std::isfinite(v)) return Value::String(base::FormatFloat(v));
  NARTHEX_ASSIGN_OR_RETURN(const Time time, SecondsToTime(v));
  return Value::String(TimeString(time));
}

absl::StatusOr<Value> ToTime(Args args) {
  NARTHEX_ASSIGN_OR_RETURN(const double v, ToNumber(args[0]));
  NARTHEX_ASSIGN_OR_RETURN(const Time time, SecondsToTime(v));
  return Value::OfTime(time);
}

absl::StatusOr<Value> ToDuration(Args args) {
  NARTHEX_ASSIGN_OR_RETURN(const double v, ToNumber(args[0]));
  if (!(std::fabs(v * 1e9) < 9223372036854775807.0)) {
    return absl::InvalidArgumentError(absl::StrCat(
        base::FormatFloatG(v),
        " cannot be represented as a nanoseconds duration since it overflows "
        "int64"));
  }
  return Value::Duration(static_cast<std::int64_t>(v * 1e9));
}

absl::StatusOr<Value> ParseDuration(Args args) {
  absl::string_view text = args[0].string_value();
  const bool negative = absl::ConsumePrefix(&text, "-");
  NARTHEX_ASSIGN_OR_RETURN(const std::int64_t ms, base::ParseDuration(text));
  const double seconds = static_cast<double>(ms) / 1000;
  return Value::Float(negative ? -seconds : seconds);
}

struct HostPort {
  absl::string_view host;
  absl::string_view port;
};

// "host:port" and "[v6]:port"; false for anything else.
bool SplitHostPort(absl::string_view text, HostPort* out) {
  const std::size_t colon = text.rfind(':');
  if (colon == absl::string_view::npos) return false;
  absl::string_view host = text.substr(0, colon);
  if (absl::StartsWith(text, "[")) {
    const std::size_t end = text.find(']');
    if (end == absl::string_view::npos || end + 1 != colon) return false;
    host = text.substr(1, end - 1);
  } else if (absl::StrContains(host, ":")) {
    return false;
  }
  if (absl::StrContains(host, "[") || absl::StrContains(host, "]")) {
    return false;
  }
  *out = {host, text.substr(colon + 1)};
  return true;
}

bool IsAddress(absl::string_view host) {
  const std::string text(host);
  in_addr v4;
  in6_addr v6;
  return inet_pton(AF_INET, text.c_str(), &v4) == 1 ||
         inet_pton(AF_INET6, text.c_str(), &v6) == 1;
}

absl::StatusOr<Value> StripPort(Args args) {
  HostPort parts;
  const std::string& text = args[0].string_value();
  return Value::String(SplitHostPort(text, &parts) ? std::string(parts.host)
                                                   : text);
}

absl::StatusOr<Value> StripDomain(Args args) {
  const std::string& text = args[0].string_value();
  HostPort parts{text, {}};
  SplitHostPort(text, &parts);
  if (IsAddress(parts.host)) return Value::String(text);
  std::string host(parts.host.substr(0, parts.host.find('.')));
  if (!parts.port.empty()) absl::StrAppend(&host, ":", parts.port);
  return Value::String(std::move(host));
}

Function LinkFunction(int tab) {
  return {"s", [tab](Args args) {
            return Value::String(absl::StrCat(
                "/graph?g0.expr=", base::EscapeUrlQuery(args[0].string_value()),
                "&g0.tab=", tab));
          }};
}

std::string LabelOf(const Value& sample, const std::string& name) {
  const Value* labels = sample.Field("Labels");
  if (labels == nullptr || labels->kind() != Kind::kMap) return "";
  const auto it = labels->map().find(name);
  return it == labels->map().end() || !it->second.is_string()
             ? ""
             : it->second.string_value();
}

absl::Status CheckSample(const Value& value) {
  if (value.Field("Labels") != nullptr) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("wrong type for value; expected *template.sample; got ",
                   value.TypeName()));
}

absl::StatusOr<Value> SampleLabel(Args args) {
  NARTHEX_RETURN_IF_ERROR(CheckSample(args[1]));
  return Value::String(LabelOf(args[1], args[0].string_value()));
}

absl::StatusOr<Value> StringValue(Args args) {
  NARTHEX_RETURN_IF_ERROR(CheckSample(args[0]));
  return Value::String(LabelOf(args[0], "__value__"));
}

absl::StatusOr<Value> NumberOf(Args args) {
  const Value* value = args[0].Field("Value");
  if (value == nullptr) return CheckSample(args[0]);
  return *value;
}

absl::StatusOr<Value> First(Args args) {
  if (args[0].list().empty()) {
    return absl::InvalidArgumentError(
        "first() called on vector with no elements");
  }
  return Value(args[0].list()[0]);
}

absl::StatusOr<Value> SortByLabel(Args args) {
  Value::List sorted = args[1].list();
  const std::string& name = args[0].string_value();
  std::stable_sort(sorted.begin(), sorted.end(),
                   [&name](const Value& a, const Value& b) {
                     return LabelOf(a, name) < LabelOf(b, name);
                   });
  return Value::OfList(std::move(sorted), args[1].type());
}

absl::StatusOr<Value> ArgsMap(Args args) {
  Value::Map map;
  for (std::size_t i = 0; i < args.size(); ++i) {
    map[absl::StrCat("arg", i)] = args[i];
  }
  return Value::OfMap(std::move(map));
}

std::string PathOf(absl::string_view url) {
  const std::size_t scheme = url.find("://");
  if (scheme != absl::string_view::npos) url.remove_prefix(scheme + 3);
  const std::size_t slash = url.find('/');
  if (slash == absl::string_view::npos) return "";
  const absl::string_view path = url.substr(slash);
  return std::string(path.substr(0, path.find_first_of("?#")));
}

absl::StatusOr<Value> RunQuery(const PrometheusContext& context, Args args) {
  if (!context.query) {
    return absl::FailedPreconditionError("no queries can be made here");
  }
  NARTHEX_ASSIGN_OR_RETURN(
      const std::vector<QuerySample> samples,
      context.query(args[0].string_value(), context.time_ms));
  Value::List list;
  list.reserve(samples.size());
  for (const QuerySample& sample : samples) list.push_back(SampleValue(sample));
  return Value::OfList(std::move(list), &QueryResultType());
}

// The name is known to every set; what it runs depends on the execution.
absl::StatusOr<Value> NoTemplates(Args) {
  return absl::FailedPreconditionError("no templates can be called here");
}

}  // namespace

Value LabelsValue(const model::Labels& labels) {
  Value::Map map;
  for (const model::Label& label : labels) {
    map.emplace_hint(map.end(), std::string(label.name),
                     Value::String(std::string(label.value)));
  }
  return Value::StringMap(std::move(map));
}

Value SampleValue(const QuerySample& sample) {
  return Value::Struct({{"Labels", LabelsValue(sample.labels)},
                        {"Value", Value::Float(sample.value)}},
                       &SampleType());
}

FuncMap PrometheusFunctions() {
  FuncMap functions = {
      {"first", {"l", First}},
      {"label", {"sa", SampleLabel}},
      {"value", {"a", NumberOf}},
      {"strvalue", {"a", StringValue}},
      {"sortByLabel", {"sl", SortByLabel}},
      {"args", {"a*", ArgsMap}},
      {"humanize", NumberFunction(Humanize)},
      {"humanize1024", NumberFunction(Humanize1024)},
      {"humanizePercentage", NumberFunction(HumanizePercentage)},
      {"humanizeTimestamp", {"a", HumanizeTimestamp}},
      {"toTime", {"a", ToTime}},
      {"toDuration", {"a", ToDuration}},
      {"parseDuration", {"s", ParseDuration}},
      {"title",
       {"s",
        [](Args args) {
          return Value::String(Title(args[0].string_value(), false));
        }}},
      {"graphLink", LinkFunction(0)},
      {"tableLink", LinkFunction(1)},
      {"stripPort", {"s", StripPort}},
      {"stripDomain", {"s", StripDomain}},
      {"urlQueryEscape",
       {"s",
        [](Args args) {
          return Value::String(base::EscapeUrlQuery(args[0].string_value()));
        }}},
      {"tmpl", {"sa", NoTemplates}},
  };
  functions.merge(TextFunctions());
  return functions;
}

FuncMap PrometheusContextFunctions(PrometheusContext context) {
  const std::string url = context.external_url;
  const double now = static_cast<double>(context.time_ms) / 1000;
  return {
      {"query",
       {"s", [context = std::move(context)](
                 Args args) { return RunQuery(context, args); }}},
      {"now", {"", [now](Args) { return Value::Float(now); }}},
      {"externalURL", {"", [url](Args) { return Value::String(url); }}},
      {"pathPrefix", {"", [url](Args) { return Value::String(PathOf(url)); }}},
  };
}

Function TemplateCall(const TemplateSet& set, const ExecuteOptions& options) {
  return {"sa", [&set, &options](Args args) -> absl::StatusOr<Value> {
            NARTHEX_ASSIGN_OR_RETURN(
                std::string out,
                set.Execute(args[0].string_value(), args[1], options));
            return Value::String(std::move(out), Safety::kHtml);
          }};
}

absl::StatusOr<std::string> ExpandPrometheus(
    absl::string_view name, absl::string_view text, const Value& data,
    const PrometheusContext& context, MissingKey missing_key, bool html) {
  FuncMap functions = PrometheusFunctions();
  functions.merge(PrometheusContextFunctions(context));
  TemplateSet set(std::move(functions));
  NARTHEX_RETURN_IF_ERROR(set.Parse(name, text));
  FuncMap overrides;
  const ExecuteOptions options{html, missing_key, &overrides};
  overrides["tmpl"] = TemplateCall(set, options);
  return set.Execute(name, data, options);
}

}  // namespace narthex::tmpl
