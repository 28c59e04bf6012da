#include "services/pushgateway/own_metrics.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "libs/exposition/parser.h"
#include "libs/service/process.h"

namespace narthex::pushgateway {

Metrics::Metrics(metrics::Registry& registry)
    : requests(registry.NewCounterFamily(
          "pushgateway_http_requests_total",
          "Total HTTP requests processed by the Pushgateway, excluding "
          "scrapes.",
          {"code", "handler", "method"})),
      push_seconds(registry.NewHistogramFamily(
          "pushgateway_http_push_duration_seconds",
          "HTTP request duration for pushes to the Pushgateway.", {"method"},
          metrics::DefaultBuckets())),
      push_bytes(registry.NewHistogramFamily(
          "pushgateway_http_push_size_bytes",
          "HTTP request size for pushes to the Pushgateway.", {"method"},
          metrics::ExponentialBuckets(100, 10, 7))) {
  registry
      .NewGauge("pushgateway_build_info",
                "A metric with a constant '1' value labeled by version and "
                "revision from which the Pushgateway was built.",
                {{"version", service::Build().version},
                 {"revision", service::Build().revision}})
      .Set(1);
}

std::map<std::string, std::string> SplitFamilies(absl::string_view exposition) {
  std::map<std::string, std::string> families;
  std::string* current = nullptr;
  for (absl::string_view line : absl::StrSplit(exposition, '\n')) {
    if (line.empty()) continue;
    if (absl::StartsWith(line, "# HELP ") ||
        absl::StartsWith(line, "# TYPE ")) {
      absl::string_view name = line.substr(7);
      name = name.substr(0, name.find(' '));
      current = &families[std::string(name)];
    }
    if (current != nullptr) absl::StrAppend(current, line, "\n");
  }
  return families;
}

absl::flat_hash_map<std::string, model::MetricType> FamilyTypes(
    absl::string_view exposition) {
  absl::flat_hash_map<std::string, model::MetricType> types;
  const auto parser =
      exposition::Parser::Create(exposition::Format::kText, exposition);
  while (true) {
    const auto entry = parser->Next();
    if (entry == exposition::Entry::kEnd ||
        entry == exposition::Entry::kError) {
      return types;
    }
    if (entry == exposition::Entry::kType) {
      types[std::string(parser->metric())] = parser->type();
    }
  }
}

}  // namespace narthex::pushgateway
