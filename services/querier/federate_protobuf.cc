#include "services/querier/federate_protobuf.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "libs/base/proto_field.h"
#include "libs/base/varint.h"
#include "services/querier/written_histogram.h"

namespace narthex::querier {
namespace {

// Numbers of io.prometheus.client.MetricType.
constexpr int kUntyped = 3;
constexpr int kHistogram = 4;
constexpr int kGaugeHistogram = 5;

void AppendCounts(std::uint32_t number, const std::vector<double>& counts,
                  std::string* out) {
  for (const double count : counts) {
    base::AppendDoubleField(number, count, out);
  }
}

// io.prometheus.client.Histogram.
std::string Encode(const model::FloatHistogram& histogram) {
  std::string out;
  base::AppendDoubleField(4, histogram.count, &out);
  base::AppendDoubleField(2, histogram.sum, &out);
  base::AppendVarintField(5, base::ToZigZag(histogram.schema), &out);
  base::AppendDoubleField(6, histogram.zero_threshold, &out);
  base::AppendDoubleField(8, histogram.zero_count, &out);
  AppendSpans(9, histogram.negative_spans, &out);
  AppendCounts(11, histogram.negative_buckets, &out);
  AppendSpans(12, histogram.positive_spans, &out);
  AppendCounts(14, histogram.positive_buckets, &out);
  // One without buckets is told from a classic one by an empty span.
  if (histogram.positive_spans.empty() && histogram.negative_spans.empty()) {
    base::AppendBytesField(12, "", &out);
  }
  return out;
}

double QualityOf(const std::vector<absl::string_view>& parts) {
  double quality = 1;
  for (absl::string_view part : parts) {
    part = absl::StripAsciiWhitespace(part);
    if (absl::ConsumePrefix(&part, "q=") && !absl::SimpleAtod(part, &quality)) {
      return 0;
    }
  }
  return quality;
}

}  // namespace

bool PrefersProtobuf(absl::string_view accept) {
  double protobuf = 0;
  double text = 0;
  for (const absl::string_view entry : absl::StrSplit(accept, ',')) {
    const std::vector<absl::string_view> parts = absl::StrSplit(entry, ';');
    const absl::string_view media = absl::StripAsciiWhitespace(parts[0]);
    const double quality = QualityOf(parts);
    if (media == "application/vnd.google.protobuf") {
      const bool delimited =
          absl::StrContains(entry, "proto=io.prometheus.client.MetricFamily") &&
          absl::StrContains(entry, "encoding=delimited");
      if (delimited) protobuf = std::max(protobuf, quality);
    } else if (media == "text/plain" ||
               media == "application/openmetrics-text") {
      text = std::max(text, quality);
    }
  }
  return protobuf > 0 && protobuf >= text;
}

void FederationWriter::Add(const model::Labels& labels,
                           std::int64_t timestamp_ms, double value,
                           const model::FloatHistogram* histogram) {
  const bool gauge = histogram != nullptr &&
                     histogram->counter_reset == model::CounterReset::kGauge;
  const int type = histogram == nullptr ? kUntyped
                   : gauge              ? kGaugeHistogram
                                        : kHistogram;
  if (labels.metric_name() != name_ || type != type_) {
    EndFamily();
    name_ = std::string(labels.metric_name());
    type_ = type;
  }
  std::string metric;
  for (const model::Label& label : labels) {
    if (label.name == model::kMetricName) continue;
    std::string pair;
    base::AppendBytesField(1, label.name, &pair);
    base::AppendBytesField(2, label.value, &pair);
    base::AppendBytesField(1, pair, &metric);
  }
  if (!labels.Has(model::kInstance)) {
    // The sample belongs to no target: who federates must not add its own.
    std::string pair;
    base::AppendBytesField(1, model::kInstance, &pair);
    base::AppendBytesField(2, "", &pair);
    base::AppendBytesField(1, pair, &metric);
  }
  if (histogram == nullptr) {
    std::string untyped;
    base::AppendDoubleField(1, value, &untyped);
    base::AppendBytesField(5, untyped, &metric);
  } else {
    base::AppendBytesField(7, Encode(*histogram), &metric);
  }
  base::AppendVarintField(6, static_cast<std::uint64_t>(timestamp_ms), &metric);
  base::AppendBytesField(4, metric, &metrics_);
}

void FederationWriter::EndFamily() {
  if (type_ < 0) return;
  std::string family;
  base::AppendBytesField(1, name_, &family);
  base::AppendVarintField(3, static_cast<std::uint64_t>(type_), &family);
  family += metrics_;
  metrics_.clear();
  base::PutUvarint(family.size(), &out_);
  out_ += family;
}

std::string FederationWriter::Take() {
  EndFamily();
  type_ = -1;
  return std::move(out_);
}

}  // namespace narthex::querier
