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

}  // namespace narthex::cluster
