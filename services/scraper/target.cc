#include "services/scraper/target.h"

#include <map>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "libs/base/duration.h"
#include "libs/base/hash.h"
#include "libs/base/quote.h"
#include "libs/base/status.h"
#include "libs/base/url_query.h"
#include "libs/http/dial_url.h"

namespace narthex::scraper {
namespace {

constexpr absl::string_view kAddress = "__address__";
constexpr absl::string_view kScheme = "__scheme__";
constexpr absl::string_view kMetricsPath = "__metrics_path__";
constexpr absl::string_view kInterval = "__scrape_interval__";
constexpr absl::string_view kTimeout = "__scrape_timeout__";
constexpr absl::string_view kUnixSocket = "__unix_socket__";
constexpr absl::string_view kNativeHistograms = "__scrape_native_histograms__";
constexpr absl::string_view kClassicHistograms =
    "__always_scrape_classic_histograms__";
constexpr absl::string_view kCustomBuckets =
    "__convert_classic_histograms_to_nhcb__";
constexpr absl::string_view kParamPrefix = "__param_";

std::string EscapedPath(absl::string_view path) {
  std::string out;
  for (const char c : path) {
    if (absl::ascii_isalnum(c) || absl::StrContains("-_.~/$&+,:;=@", c)) {
      out += c;
    } else {
      absl::StrAppendFormat(&out, "%%%02X", static_cast<unsigned char>(c));
    }
  }
  return out;
}

std::string QueryOf(const config::ScrapeConfig& config,
                    const model::Labels& labels) {
  std::map<std::string, std::vector<std::string>> params = config.params;
  for (const model::Label& label : labels) {
    if (!absl::StartsWith(label.name, kParamPrefix)) continue;
    auto& values = params[std::string(label.name.substr(kParamPrefix.size()))];
    if (values.empty()) values.emplace_back();
    values[0] = std::string(label.value);
  }
  std::string query;
  for (const auto& [name, values] : params) {
    for (const std::string& value : values) {
      absl::StrAppend(&query, query.empty() ? "?" : "&",
                      base::EscapeUrlQuery(name), "=",
                      base::EscapeUrlQuery(value));
    }
  }
  return query;
}

void SetDefault(absl::string_view name, absl::string_view value,
                model::LabelsBuilder* builder) {
  if (builder->Get(name).empty()) builder->Set(name, value);
}

// What relabelling sees.
model::Labels DiscoveredLabels(const config::ScrapeConfig& config,
                               const model::Labels& target_labels,
                               const model::Labels& group_labels) {
  model::LabelsBuilder builder(group_labels);
  for (const model::Label& label : target_labels) {
    builder.Set(label.name, label.value);
  }
  SetDefault(model::kJob, config.job_name, &builder);
  SetDefault(kInterval, base::FormatDuration(config.scrape_interval_ms),
             &builder);
  SetDefault(kTimeout, base::FormatDuration(config.scrape_timeout_ms),
             &builder);
  SetDefault(kMetricsPath, config.metrics_path, &builder);
  SetDefault(kScheme, config.scheme, &builder);
  const auto set_switch = [&](absl::string_view name, bool value) {
    SetDefault(name, value ? "true" : "false", &builder);
  };
  set_switch(kNativeHistograms, config.scrape_native_histograms);
  set_switch(kClassicHistograms, config.always_scrape_classic_histograms);
  set_switch(kCustomBuckets, config.convert_classic_histograms_to_nhcb);
  for (const auto& [name, values] : config.params) {
    if (values.empty()) continue;
    SetDefault(absl::StrCat(kParamPrefix, name), values[0], &builder);
  }
  return builder.Build();
}

absl::Status ReadTimes(const model::Labels& labels, Target* target) {
  const auto interval = base::ParseDuration(labels.Get(kInterval));
  NARTHEX_RETURN_IF_ERROR(
      base::Annotate(interval.status(), "error parsing scrape interval"));
  const auto timeout = base::ParseDuration(labels.Get(kTimeout));
  NARTHEX_RETURN_IF_ERROR(
      base::Annotate(timeout.status(), "error parsing scrape timeout"));
  if (*interval == 0) {
    return absl::InvalidArgumentError("scrape interval cannot be 0");
  }
  if (*timeout == 0) {
    return absl::InvalidArgumentError("scrape timeout cannot be 0");
  }
  if (*timeout > *interval) {
    return absl::InvalidArgumentError(absl::StrCat(
        "scrape timeout cannot be greater than scrape interval (\"",
        labels.Get(kTimeout), "\" > \"", labels.Get(kInterval), "\")"));
  }
  target->interval_ms = *interval;
  target->timeout_ms = *timeout;
  return absl::OkStatus();
}

// The spellings that Go's strconv.ParseBool takes.
absl::Status ReadSwitch(const model::Labels& labels, absl::string_view name,
                        bool* value) {
  const absl::string_view text = labels.Get(name);
  for (const char* yes : {"1", "t", "T", "true", "TRUE", "True"}) {
    if (text != yes) continue;
    *value = true;
    return absl::OkStatus();
  }
  for (const char* no : {"0", "f", "F", "false", "FALSE", "False"}) {
    if (text != no) continue;
    *value = false;
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("label ", name, " is no boolean: ", base::Quote(text)));
}

absl::Status FillTarget(const config::ScrapeConfig& config,
                        model::LabelsBuilder* builder, Target* target) {
  const model::Labels labels = builder->Build();
  const std::string address(labels.Get(kAddress));
  if (address.empty()) return absl::InvalidArgumentError("no address");
  if (absl::StrContains(address, '/')) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", address, "\" is not a valid hostname"));
  }
  NARTHEX_RETURN_IF_ERROR(ReadTimes(labels, target));
  NARTHEX_RETURN_IF_ERROR(
      ReadSwitch(labels, kNativeHistograms, &target->native_histograms));
  NARTHEX_RETURN_IF_ERROR(
      ReadSwitch(labels, kClassicHistograms, &target->classic_beside_native));
  NARTHEX_RETURN_IF_ERROR(
      ReadSwitch(labels, kCustomBuckets, &target->custom_buckets));
  target->unix_socket = std::string(labels.Get(kUnixSocket));
  const std::string path = EscapedPath(labels.Get(kMetricsPath));
  const bool rooted = path.empty() || path[0] == '/';
  target->url = absl::StrCat(labels.Get(kScheme), "://", address,
                             rooted ? "" : "/", path, QueryOf(config, labels));
  for (const model::Label& label : labels) {
    if (absl::StartsWith(label.name, "__")) builder->Del(label.name);
    if (!base::IsValidUtf8(label.value)) {
      return absl::InvalidArgumentError(
          absl::StrCat("invalid label value for \"", label.name,
                       "\": ", base::Quote(label.value)));
    }
  }
  SetDefault(model::kInstance, address, builder);
  target->labels = builder->Build();
  target->hash =
      base::XxHash64(absl::StrCat(target->labels.encoded(), target->url));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::variant<Target, Dropped>> MakeTarget(
    const config::ScrapeConfig& config, const model::Labels& target_labels,
    const model::Labels& group_labels) {
  Target target;
  target.discovered = DiscoveredLabels(config, target_labels, group_labels);
  model::LabelsBuilder builder(target.discovered);
  if (!relabel::Apply(config.relabel_configs, &builder)) {
    return Dropped{std::move(target.discovered)};
  }
  NARTHEX_RETURN_IF_ERROR(base::Annotate(FillTarget(config, &builder, &target),
                                         target.discovered.ToString()));
  return target;
}

std::string GlobalUrl(const std::string& url,
                      const std::string& external_host) {
  for (const absl::string_view local :
       {"://localhost", "://127.0.0.1", "://[::1]"}) {
    const std::size_t at = url.find(std::string(local));
    if (at == std::string::npos) continue;
    const std::size_t end = at + local.size();
    // "localhost.example" is another host.
    if (end < url.size() && url[end] != ':' && url[end] != '/') continue;
    std::string global =
        absl::StrCat(url.substr(0, at), "://", external_host, url.substr(end));
    return http::WithoutEmptyPort(global);
  }
  return url;
}

}  // namespace narthex::scraper
