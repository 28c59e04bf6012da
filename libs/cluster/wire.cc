#include "libs/cluster/wire.h"

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "narthex/v1/ingester.pb.h"

namespace narthex::cluster {
namespace {

v1::Matcher::Type ToWireType(model::MatchType type) {
  switch (type) {
    case model::MatchType::kEqual:
      return v1::Matcher::TYPE_EQUAL;
    case model::MatchType::kNotEqual:
      return v1::Matcher::TYPE_NOT_EQUAL;
    case model::MatchType::kRegex:
      return v1::Matcher::TYPE_REGEX;
    case model::MatchType::kNotRegex:
      return v1::Matcher::TYPE_NOT_REGEX;
  }
  return v1::Matcher::TYPE_UNSPECIFIED;
}

absl::StatusOr<model::MatchType> FromWireType(v1::Matcher::Type type) {
  switch (type) {
    case v1::Matcher::TYPE_EQUAL:
      return model::MatchType::kEqual;
    case v1::Matcher::TYPE_NOT_EQUAL:
      return model::MatchType::kNotEqual;
    case v1::Matcher::TYPE_REGEX:
      return model::MatchType::kRegex;
    case v1::Matcher::TYPE_NOT_REGEX:
      return model::MatchType::kNotRegex;
    default:
      return absl::InvalidArgumentError(
          absl::StrCat("unknown matcher type ", static_cast<int>(type)));
  }
}

}  // namespace

void ToWire(const std::vector<model::Matcher>& matchers,
            google::protobuf::RepeatedPtrField<v1::Matcher>* out) {
  for (const model::Matcher& matcher : matchers) {
    v1::Matcher* wire = out->Add();
    wire->set_type(ToWireType(matcher.type()));
    wire->set_name(matcher.name());
    wire->set_value(matcher.value());
  }
}

void ToWire(const std::vector<std::vector<model::Matcher>>& sets,
            google::protobuf::RepeatedPtrField<v1::MatcherSet>* out) {
  for (const auto& set : sets) ToWire(set, out->Add()->mutable_matchers());
}

void ToWire(const storage::ChunkSeries& series, v1::SeriesChunks* out) {
  const absl::string_view labels = series.labels.encoded();
  out->set_labels(labels.data(), labels.size());
  for (const storage::Chunk& chunk : series.chunks) {
    v1::Chunk* wire = out->add_chunks();
    wire->set_min_ms(chunk.min_ms);
    wire->set_max_ms(chunk.max_ms);
    wire->set_encoding(static_cast<v1::ChunkEncoding>(chunk.encoding));
    wire->set_data(chunk.bytes.data(), chunk.bytes.size());
  }
}

absl::StatusOr<std::vector<model::Matcher>> FromWire(
    const google::protobuf::RepeatedPtrField<v1::Matcher>& matchers) {
  std::vector<model::Matcher> out;
  for (const v1::Matcher& wire : matchers) {
    NARTHEX_ASSIGN_OR_RETURN(const model::MatchType type,
                             FromWireType(wire.type()));
    NARTHEX_ASSIGN_OR_RETURN(
        model::Matcher matcher,
        model::Matcher::Create(type, wire.name(), wire.value()));
    out.push_back(std::move(matcher));
  }
  return out;
}

absl::StatusOr<std::vector<std::vector<model::Matcher>>> FromWire(
    const google::protobuf::RepeatedPtrField<v1::MatcherSet>& sets) {
  std::vector<std::vector<model::Matcher>> out;
  for (const v1::MatcherSet& set : sets) {
    NARTHEX_ASSIGN_OR_RETURN(std::vector<model::Matcher> matchers,
                             FromWire(set.matchers()));
    out.push_back(std::move(matchers));
  }
  return out;
}

absl::Status FromWire(v1::SeriesChunks* message, storage::ChunkSeries* series) {
  if (!model::Labels::FromEncoded(message->labels(), &series->labels)) {
    return absl::DataLossError("received a malformed label set");
  }
  series->chunks.clear();
  for (v1::Chunk& wire : *message->mutable_chunks()) {
    storage::Chunk chunk;
    chunk.min_ms = wire.min_ms();
    chunk.max_ms = wire.max_ms();
    chunk.encoding = static_cast<storage::Encoding>(wire.encoding());
    const auto bytes =
        std::make_shared<const std::string>(std::move(*wire.mutable_data()));
    chunk.bytes = *bytes;
    chunk.owner = bytes;
    series->chunks.push_back(std::move(chunk));
  }
  return absl::OkStatus();
}

namespace {

void SpansToWire(const std::vector<model::BucketSpan>& spans,
                 google::protobuf::RepeatedField<std::int32_t>* offsets,
                 google::protobuf::RepeatedField<std::uint32_t>* lengths) {
  for (const model::BucketSpan& span : spans) {
    offsets->Add(span.offset);
    lengths->Add(span.length);
  }
}

absl::Status SpansFromWire(
    const google::protobuf::RepeatedField<std::int32_t>& offsets,
    const google::protobuf::RepeatedField<std::uint32_t>& lengths,
    std::vector<model::BucketSpan>* spans) {
  if (offsets.size() != lengths.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("histogram has ", offsets.size(), " span offsets and ",
                     lengths.size(), " span lengths"));
  }
  for (int i = 0; i < offsets.size(); ++i) {
    spans->push_back({offsets[i], lengths[i]});
  }
  return absl::OkStatus();
}

template <typename T, typename Field>
void Fill(const std::vector<T>& values, Field* field) {
  field->Add(values.begin(), values.end());
}

template <typename T, typename Field>
void Take(const Field& field, std::vector<T>* values) {
  values->assign(field.begin(), field.end());
}

void LayoutToWire(const model::HistogramLayout& layout,
                  v1::NativeHistogram* out) {
  out->set_counter_reset(static_cast<std::uint32_t>(layout.counter_reset));
  out->set_schema(layout.schema);
  out->set_zero_threshold(layout.zero_threshold);
  SpansToWire(layout.positive_spans, out->mutable_positive_offsets(),
              out->mutable_positive_lengths());
  SpansToWire(layout.negative_spans, out->mutable_negative_offsets(),
              out->mutable_negative_lengths());
  Fill(layout.custom_bounds, out->mutable_custom_bounds());
}

absl::Status LayoutFromWire(const v1::NativeHistogram& wire,
                            model::HistogramLayout* layout) {
  if (wire.counter_reset() > 3) {
    return absl::InvalidArgumentError(absl::StrCat(
        "histogram has the unknown counter reset ", wire.counter_reset()));
  }
  layout->counter_reset =
      static_cast<model::CounterReset>(wire.counter_reset());
  layout->schema = wire.schema();
  layout->zero_threshold = wire.zero_threshold();
  Take(wire.custom_bounds(), &layout->custom_bounds);
  NARTHEX_RETURN_IF_ERROR(SpansFromWire(wire.positive_offsets(),
                                        wire.positive_lengths(),
                                        &layout->positive_spans));
  return SpansFromWire(wire.negative_offsets(), wire.negative_lengths(),
                       &layout->negative_spans);
}

}  // namespace

void ToWire(const model::HistogramValue& value, v1::NativeHistogram* out) {
  if (value.integer != nullptr) {
    const model::IntHistogram& histogram = *value.integer;
    LayoutToWire(histogram, out);
    out->set_sum(histogram.sum);
    out->set_count(histogram.count);
    out->set_zero_count(histogram.zero_count);
    Fill(histogram.positive_deltas, out->mutable_positive_deltas());
    Fill(histogram.negative_deltas, out->mutable_negative_deltas());
    return;
  }
  const model::FloatHistogram& histogram = *value.floating;
  LayoutToWire(histogram, out);
  out->set_is_float(true);
  out->set_sum(histogram.sum);
  out->set_float_count(histogram.count);
  out->set_float_zero_count(histogram.zero_count);
  Fill(histogram.positive_buckets, out->mutable_float_positive());
  Fill(histogram.negative_buckets, out->mutable_float_negative());
}

absl::Status FromWire(const v1::NativeHistogram& wire,
                      model::HistogramValue* value) {
  if (wire.is_float()) {
    auto histogram = std::make_shared<model::FloatHistogram>();
    NARTHEX_RETURN_IF_ERROR(LayoutFromWire(wire, histogram.get()));
    histogram->sum = wire.sum();
    histogram->count = wire.float_count();
    histogram->zero_count = wire.float_zero_count();
    Take(wire.float_positive(), &histogram->positive_buckets);
    Take(wire.float_negative(), &histogram->negative_buckets);
    *value = {nullptr, std::move(histogram)};
    return absl::OkStatus();
  }
  auto histogram = std::make_shared<model::IntHistogram>();
  NARTHEX_RETURN_IF_ERROR(LayoutFromWire(wire, histogram.get()));
  histogram->sum = wire.sum();
  histogram->count = wire.count();
  histogram->zero_count = wire.zero_count();
  Take(wire.positive_deltas(), &histogram->positive_deltas);
  Take(wire.negative_deltas(), &histogram->negative_deltas);
  *value = {std::move(histogram), nullptr};
  return absl::OkStatus();
}

void ToWire(const model::Exemplar& exemplar, v1::Exemplar* out) {
  const absl::string_view labels = exemplar.labels.encoded();
  out->set_labels(labels.data(), labels.size());
  out->set_value(exemplar.value);
  out->set_timestamp_ms(exemplar.timestamp_ms);
}

absl::Status FromWire(const v1::Exemplar& wire, model::Exemplar* exemplar) {
  if (!model::Labels::FromEncoded(wire.labels(), &exemplar->labels)) {
    return absl::InvalidArgumentError("exemplar with malformed labels");
  }
  exemplar->value = wire.value();
  exemplar->timestamp_ms = wire.timestamp_ms();
  return absl::OkStatus();
}

// The wire counts from 1, as 0 is what is not said.
void ToWire(const model::Metadata& metadata, v1::MetricMetadata* out) {
  out->set_metric(metadata.metric);
  out->set_type(
      static_cast<v1::MetricType>(static_cast<int>(metadata.type) + 1));
  out->set_help(metadata.help);
  out->set_unit(metadata.unit);
}

model::Metadata FromWire(const v1::MetricMetadata& wire) {
  model::Metadata metadata;
  metadata.metric = wire.metric();
  const int type = static_cast<int>(wire.type()) - 1;
  if (type >= 0 && type <= static_cast<int>(model::MetricType::kStateset)) {
    metadata.type = static_cast<model::MetricType>(type);
  }
  metadata.help = wire.help();
  metadata.unit = wire.unit();
  return metadata;
}

}  // namespace narthex::cluster
