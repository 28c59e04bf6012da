#include "libs/exposition/internal/protobuf_parser.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "libs/base/float_format.h"
#include "libs/base/proto_field.h"
#include "libs/base/quote.h"
#include "libs/base/status.h"
#include "libs/exposition/internal/native_histogram.h"
#include "libs/exposition/writer.h"

namespace narthex::exposition::internal {
namespace {

using base::ProtoField;

double DoubleOf(const ProtoField& field) {
  return std::bit_cast<double>(field.number_value);
}

// Counters, gauges and untyped metrics.
struct SimpleValue {
  double value = 0;
  absl::string_view exemplar;
  std::int64_t start_ms = 0;
};

bool ReadSimple(absl::string_view bytes, SimpleValue* simple) {
  ProtoField field;
  while (!bytes.empty()) {
    if (!base::ReadField(&bytes, &field)) return false;
    if (field.number == 1) simple->value = DoubleOf(field);
    if (field.number == 2) simple->exemplar = field.bytes;
    if (field.number == 3 && !ReadTimestamp(field.bytes, &simple->start_ms)) {
      return false;
    }
  }
  return true;
}

bool ReadPair(absl::string_view bytes, absl::string_view* name,
              absl::string_view* value) {
  ProtoField field;
  while (!bytes.empty()) {
    if (!base::ReadField(&bytes, &field)) return false;
    if (field.type != base::kBytes) continue;
    if (field.number == 1) *name = field.bytes;
    if (field.number == 2) *value = field.bytes;
  }
  return true;
}

bool HasTimestamp(absl::string_view exemplar) {
  ProtoField field;
  while (!exemplar.empty()) {
    if (!base::ReadField(&exemplar, &field)) return false;
    if (field.number == 3 && field.type == base::kBytes) return true;
  }
  return false;
}

bool ReadExemplar(absl::string_view bytes, Exemplar* exemplar) {
  *exemplar = Exemplar();
  model::LabelsBuilder labels;
  ProtoField field;
  while (!bytes.empty()) {
    if (!base::ReadField(&bytes, &field)) return false;
    if (field.number == 1 && field.type == base::kBytes) {
      absl::string_view name;
      absl::string_view value;
      if (!ReadPair(field.bytes, &name, &value)) return false;
      labels.Set(name, value);
    } else if (field.number == 2) {
      exemplar->value = DoubleOf(field);
    } else if (field.number == 3 && field.type == base::kBytes) {
      exemplar->has_timestamp = true;
      if (!ReadTimestamp(field.bytes, &exemplar->timestamp_ms)) return false;
    }
  }
  exemplar->labels = labels.Build();
  return true;
}

// In the order of the message's numbers.
constexpr model::MetricType kTypes[] = {
    model::MetricType::kCounter,   model::MetricType::kGauge,
    model::MetricType::kSummary,   model::MetricType::kUnknown,
    model::MetricType::kHistogram, model::MetricType::kGaugeHistogram};

// As OpenMetrics writes it: "1.0".
std::string FloatLabel(double value) {
  std::string text;
  NormalizeFloatLabel(base::FormatFloat(value), &text);
  return text;
}

}  // namespace

Entry ProtobufParser::Fail(absl::string_view reason) {
  status_ = absl::InvalidArgumentError(
      absl::StrCat("metric family ", families_, ": ", reason));
  return Entry::kError;
}

bool ProtobufParser::ReadFamily() {
  ++families_;
  // The length before the message is that of a field without its tag.
  std::uint64_t length = 0;
  int shift = 0;
  while (true) {
    if (rest_.empty() || shift > 28) {
      Fail("malformed length");
      return false;
    }
    const auto byte = static_cast<unsigned char>(rest_[0]);
    rest_.remove_prefix(1);
    length |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
    if ((byte & 0x80) == 0) break;
    shift += 7;
  }
  if (length > rest_.size()) {
    Fail("the body ends in its middle");
    return false;
  }
  absl::string_view message = rest_.substr(0, length);
  rest_.remove_prefix(length);
  name_.clear();
  help_.clear();
  unit_.clear();
  metrics_.clear();
  metric_index_ = 0;
  std::uint64_t type = 0;
  ProtoField field;
  while (!message.empty()) {
    if (!base::ReadField(&message, &field)) {
      Fail("malformed message");
      return false;
    }
    switch (field.number) {
      case 1:
        name_ = std::string(field.bytes);
        break;
      case 2:
        help_ = std::string(field.bytes);
        break;
      case 3:
        type = field.number_value;
        break;
      case 4:
        metrics_.push_back(field.bytes);
        break;
      case 5:
        unit_ = std::string(field.bytes);
        break;
      default:
        break;
    }
  }
  if (!model::IsUtf8Name(name_)) {
    Fail(absl::StrCat("invalid metric name: ", name_));
    return false;
  }
  if (type >= std::size(kTypes)) {
    Fail(absl::StrCat("unknown metric type for metric ", base::Quote(name_)));
    return false;
  }
  type_ = kTypes[type];
  return CheckUnit();
}

bool ProtobufParser::CheckUnit() {
  absl::string_view name = name_;
  if (type_ == model::MetricType::kCounter)
    absl::ConsumeSuffix(&name, "_total");
  if (unit_.empty() || absl::EndsWith(name, absl::StrCat("_", unit_))) {
    return true;
  }
  Fail(absl::StrCat("unit ", base::Quote(unit_), " not a suffix of metric ",
                    base::Quote(name)));
  return false;
}

void ProtobufParser::AddLine(absl::string_view suffix, double value,
                             std::vector<absl::string_view> exemplars) {
  Line& line = lines_.emplace_back();
  line.suffix = suffix;
  line.value = value;
  line.exemplars = std::move(exemplars);
}

void ProtobufParser::AddBound(absl::string_view suffix, absl::string_view name,
                              double bound, double value,
                              std::vector<absl::string_view> exemplars) {
  AddLine(suffix, value, std::move(exemplars));
  lines_.back().bound_name = name;
  lines_.back().bound = FloatLabel(bound);
}

bool ProtobufParser::AddValue(absl::string_view message) {
  SimpleValue simple;
  if (!ReadSimple(message, &simple)) return false;
  AddLine("", simple.value);
  if (type_ != model::MetricType::kCounter) return true;
  metric_start_ms_ = simple.start_ms;
  if (!simple.exemplar.empty()) {
    lines_.back().exemplars.push_back(simple.exemplar);
  }
  return true;
}

bool ProtobufParser::AddSummary(absl::string_view message) {
  double count = 0;
  double sum = 0;
  std::vector<std::pair<double, double>> quantiles;
  ProtoField field;
  while (!message.empty()) {
    if (!base::ReadField(&message, &field)) return false;
    if (field.number == 1) count = static_cast<double>(field.number_value);
    if (field.number == 2) sum = DoubleOf(field);
    if (field.number == 4 && !ReadTimestamp(field.bytes, &metric_start_ms_)) {
      return false;
    }
    if (field.number != 3 || field.type != base::kBytes) continue;
    auto& [quantile, value] = quantiles.emplace_back();
    absl::string_view bytes = field.bytes;
    while (!bytes.empty()) {
      if (!base::ReadField(&bytes, &field)) return false;
      if (field.number == 1) quantile = DoubleOf(field);
      if (field.number == 2) value = DoubleOf(field);
    }
  }
  AddLine("_count", count);
  AddLine("_sum", sum);
  for (const auto& [quantile, value] : quantiles) {
    AddBound("", "quantile", quantile, value);
  }
  return true;
}

bool ProtobufParser::AddHistogram(absl::string_view bytes) {
  HistogramMessage message;
  if (!ReadHistogramMessage(bytes, type_ == model::MetricType::kGaugeHistogram,
                            &message)) {
    return false;
  }
  metric_start_ms_ = message.start_ms;
  const bool native = message.native.has_value() && options_.native_histograms;
  if (native) {
    histogram_ = *message.native;
    std::vector<absl::string_view> exemplars = message.exemplars;
    for (const ClassicBucket& bucket : message.buckets) {
      if (message.exemplars.empty() && !bucket.exemplar.empty()) {
        exemplars.push_back(bucket.exemplar);
      }
    }
    // When they were observed must be known.
    std::erase_if(exemplars,
                  [](absl::string_view one) { return !HasTimestamp(one); });
    AddLine("", 0, std::move(exemplars));
    lines_.back().is_histogram = true;
    if (!options_.classic_beside_native || message.buckets.empty()) return true;
  }
  AddLine("_count", message.count);
  AddLine("_sum", message.sum);
  bool infinite = false;
  for (const ClassicBucket& bucket : message.buckets) {
    infinite = infinite ||
               bucket.upper_bound == std::numeric_limits<double>::infinity();
    std::vector<absl::string_view> exemplars;
    if (!bucket.exemplar.empty()) exemplars.push_back(bucket.exemplar);
    AddBound("_bucket", "le", bucket.upper_bound, bucket.count,
             std::move(exemplars));
  }
  if (!infinite) {
    AddBound("_bucket", "le", std::numeric_limits<double>::infinity(),
             message.count);
  }
  return true;
}

bool ProtobufParser::ReadMetric() {
  // The field that holds the value of each type, in the order of kTypes.
  absl::string_view values[8];
  absl::string_view message = metrics_[metric_index_++];
  labels_.clear();
  lines_.clear();
  line_index_ = 0;
  timestamp_ms_ = 0;
  metric_start_ms_ = 0;
  ProtoField field;
  while (!message.empty()) {
    if (!base::ReadField(&message, &field)) return false;
    if (field.number == 1 && field.type == base::kBytes) {
      Label& label = labels_.emplace_back();
      if (!ReadPair(field.bytes, &label.name, &label.value)) return false;
    } else if (field.number == 6) {
      timestamp_ms_ = static_cast<std::int64_t>(field.number_value);
    } else if (field.number < std::size(values) && field.type == base::kBytes) {
      values[field.number] = field.bytes;
    }
  }
  has_timestamp_ = timestamp_ms_ != 0;
  switch (type_) {
    case model::MetricType::kGauge:
      return AddValue(values[2]);
    case model::MetricType::kCounter:
      return AddValue(values[3]);
    case model::MetricType::kSummary:
      return AddSummary(values[4]);
    case model::MetricType::kHistogram:
    case model::MetricType::kGaugeHistogram:
      return AddHistogram(values[7]);
    default:
      return AddValue(values[5]);
  }
}

Entry ProtobufParser::TakeLine() {
  const Line& line = lines_[line_index_++];
  key_.assign(name_);
  absl::StrAppend(&key_, line.suffix);
  const auto add = [this](absl::string_view name, absl::string_view value) {
    absl::StrAppend(&key_, "\xff", name, "\xff", value);
  };
  for (const Label& label : labels_) add(label.name, label.value);
  if (!line.bound_name.empty()) add(line.bound_name, line.bound);
  series_ = key_;
  value_ = std::isnan(line.value) ? model::NormalNan() : line.value;
  has_exemplar_ = !line.exemplars.empty();
  start_ms_ = options_.start_timestamps ? metric_start_ms_ : 0;
  return line.is_histogram ? Entry::kHistogram : Entry::kSeries;
}

Entry ProtobufParser::Next(absl::string_view) {
  if (!status_.ok()) return Entry::kError;
  while (true) {
    switch (next_) {
      case Next::kFamily:
        if (rest_.empty()) return Entry::kEnd;
        if (!ReadFamily()) return Entry::kError;
        next_ = Next::kHelp;
        break;
      case Next::kHelp:
        next_ = unit_.empty() ? Next::kType : Next::kUnit;
        metric_ = name_;
        text_ = help_;
        return Entry::kHelp;
      case Next::kUnit:
        next_ = Next::kType;
        metric_ = name_;
        text_ = unit_;
        return Entry::kUnit;
      case Next::kType:
        next_ = Next::kLines;
        lines_.clear();
        line_index_ = 0;
        metric_ = name_;
        return Entry::kType;
      case Next::kLines:
        if (line_index_ < lines_.size()) return TakeLine();
        if (metric_index_ == metrics_.size()) {
          next_ = Next::kFamily;
        } else if (!ReadMetric()) {
          return Fail(absl::StrCat("malformed metric of ", name_));
        }
        break;
    }
  }
}

absl::Status ProtobufParser::ParseLabels(model::Labels* labels) {
  const Line& line = lines_[line_index_ - 1];
  model::LabelsBuilder builder;
  builder.Set(model::kMetricName, absl::StrCat(name_, line.suffix));
  // The builder is quick only with labels in order.
  std::vector<Label> sorted = labels_;
  std::stable_sort(
      sorted.begin(), sorted.end(),
      [](const Label& a, const Label& b) { return a.name < b.name; });
  for (const Label& label : sorted) {
    if (!model::IsUtf8Name(label.name) || !base::IsValidUtf8(label.value)) {
      return absl::InvalidArgumentError(
          absl::StrCat("invalid label name or value of metric ", name_, ": ",
                       base::Quote(label.name)));
    }
    builder.Set(label.name, label.value);
  }
  if (!line.bound_name.empty()) builder.Set(line.bound_name, line.bound);
  *labels = builder.Build();
  return absl::OkStatus();
}

std::vector<std::string> ProtobufParser::EmptyLabelNames() const {
  std::vector<std::string> names;
  for (const Label& label : labels_) {
    if (label.value.empty()) names.emplace_back(label.name);
  }
  return names;
}

absl::Status ProtobufParser::ParseExemplar(Exemplar* exemplar) {
  if (ReadExemplar(lines_[line_index_ - 1].exemplars.front(), exemplar)) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("malformed exemplar of metric ", name_));
}

absl::Status ProtobufParser::ParseExemplars(std::vector<Exemplar>* exemplars) {
  for (const absl::string_view bytes : lines_[line_index_ - 1].exemplars) {
    if (!ReadExemplar(bytes, &exemplars->emplace_back())) {
      return absl::InvalidArgumentError(
          absl::StrCat("malformed exemplar of metric ", name_));
    }
  }
  return absl::OkStatus();
}

}  // namespace narthex::exposition::internal
