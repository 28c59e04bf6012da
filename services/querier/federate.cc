#include "services/querier/federate.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "libs/base/float_format.h"
#include "libs/base/status.h"
#include "libs/model/sample.h"
#include "libs/promql/parser.h"
#include "services/querier/federate_protobuf.h"
#include "services/querier/params.h"

namespace narthex::querier {
namespace {

constexpr absl::string_view kContentType =
    "text/plain; version=0.0.4; charset=utf-8; escaping=underscores";

struct Latest {
  model::Labels labels;
  std::int64_t timestamp_ms = 0;
  double value = 0;
  // When set, this is the value.
  std::shared_ptr<const model::FloatHistogram> histogram;
};

// Names beyond the legacy set are written with underscores: the version of
// the format has no other way.
std::string EscapedName(absl::string_view name) {
  if (model::IsLegacyMetricName(name)) return std::string(name);
  std::string out;
  for (std::size_t i = 0; i < name.size(); ++i) {
    const auto c = static_cast<unsigned char>(name[i]);
    if ((c & 0xc0) == 0x80) continue;  // The rest of a multi-byte character.
    const bool legacy = c == '_' || c == ':' || (c >= 'a' && c <= 'z') ||
                        (c >= 'A' && c <= 'Z') ||
                        (i > 0 && c >= '0' && c <= '9');
    out.push_back(legacy ? static_cast<char>(c) : '_');
  }
  return out;
}

void AppendLabel(absl::string_view name, absl::string_view value, bool* first,
                 std::string* out) {
  absl::StrAppend(out, *first ? "{" : ",", EscapedName(name), "=\"",
                  absl::StrReplaceAll(
                      value, {{"\\", "\\\\"}, {"\"", "\\\""}, {"\n", "\\n"}}),
                  "\"");
  *first = false;
}

void AppendSample(const Latest& sample, const std::string& name,
                  const model::Labels& external, std::string* out) {
  out->append(name);
  bool first = true;
  for (const model::Label& label : sample.labels) {
    if (label.name != model::kMetricName) {
      AppendLabel(label.name, label.value, &first, out);
    }
  }
  for (const model::Label& label : external) {
    if (!sample.labels.Has(label.name)) {
      AppendLabel(label.name, label.value, &first, out);
    }
  }
  // An empty instance says that the sample belongs to no target, so that the
  // one who federates does not add its own.
  if (!sample.labels.Has(model::kInstance) && !external.Has(model::kInstance)) {
    AppendLabel(model::kInstance, "", &first, out);
  }
  if (!first) out->push_back('}');
  absl::StrAppend(out, " ", base::FormatFloatG(sample.value), " ",
                  sample.timestamp_ms, "\n");
}

std::string AsProtobuf(const std::vector<Latest>& samples,
                       const model::Labels& external) {
  FederationWriter writer;
  for (const Latest& sample : samples) {
    if (sample.labels.metric_name().empty()) continue;
    model::LabelsBuilder labels(sample.labels);
    for (const model::Label& label : external) {
      if (!sample.labels.Has(label.name)) labels.Set(label.name, label.value);
    }
    writer.Add(labels.Build(), sample.timestamp_ms, sample.value,
               sample.histogram.get());
  }
  return writer.Take();
}

absl::StatusOr<std::vector<Latest>> Collect(
    const FederationSource& source,
    const std::vector<std::vector<model::Matcher>>& sets) {
  const std::int64_t now_ms = source.clock.NowMs();
  storage::SelectHints hints;
  hints.range = {now_ms - source.lookback_delta_ms, now_ms};
  std::vector<Latest> found;
  model::SampleColumns samples;
  for (const std::vector<model::Matcher>& matchers : sets) {
    NARTHEX_ASSIGN_OR_RETURN(const auto set,
                             source.storage.Select(hints, matchers));
    while (set->Next()) {
      const auto series = set->At();
      samples.clear();
      NARTHEX_RETURN_IF_ERROR(series->Read(&samples));
      if (samples.empty() || model::IsStaleNan(samples.values.back())) {
        continue;
      }
      found.push_back({series->labels(), samples.timestamps_ms.back(),
                       samples.values.back(),
                       samples.histograms.empty()
                           ? nullptr
                           : std::move(samples.histograms.back())});
    }
    NARTHEX_RETURN_IF_ERROR(set->status());
  }
  std::sort(found.begin(), found.end(), [](const Latest& a, const Latest& b) {
    return a.labels < b.labels;
  });
  found.erase(std::unique(found.begin(), found.end(),
                          [](const Latest& a, const Latest& b) {
                            return a.labels == b.labels;
                          }),
              found.end());
  std::stable_sort(found.begin(), found.end(),
                   [](const Latest& a, const Latest& b) {
                     return a.labels.metric_name() < b.labels.metric_name();
                   });
  return found;
}

void Federate(const FederationSource& source, const http::Request& request,
              http::Response& response) {
  std::vector<std::vector<model::Matcher>> sets;
  for (const std::string& text : request.params.GetAll("match[]")) {
    auto matchers = promql::ParseMetricSelector(text);
    if (!matchers.ok()) {
      response.Error(400, matchers.status().message());
      return;
    }
    sets.push_back(*std::move(matchers));
  }
  const auto samples = Collect(source, sets);
  if (!samples.ok()) {
    source.metrics.federation_errors.Inc();
    response.Error(absl::IsUnavailable(samples.status()) ? 503 : 500,
                   samples.status().message());
    return;
  }
  const auto external = source.external_labels();
  if (PrefersProtobuf(request.headers.Get("Accept"))) {
    response.Send(200, kProtobufContentType, AsProtobuf(*samples, *external));
    return;
  }
  std::string body;
  absl::string_view family;
  std::string name;
  for (const Latest& sample : *samples) {
    const absl::string_view metric = sample.labels.metric_name();
    // Text has no form for native histograms.
    if (metric.empty() || sample.histogram != nullptr) continue;
    if (metric != family) {
      family = metric;
      name = EscapedName(metric);
      absl::StrAppend(&body, "# TYPE ", name, " untyped\n");
    }
    AppendSample(sample, name, *external, &body);
  }
  response.Send(200, kContentType, std::move(body));
}

}  // namespace

void AddFederation(http::Router& router, FederationSource source) {
  router.Get("/federate",
             [source = std::move(source)](const http::Request& request,
                                          http::Response& response) {
               Federate(source, request, response);
             });
}

}  // namespace narthex::querier
