#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "libs/model/exemplar.h"
#include "libs/model/histogram.h"
#include "libs/model/matcher.h"
#include "libs/model/sample.h"
#include "libs/storage/storage.h"

namespace google::protobuf {
template <typename T>
class RepeatedPtrField;
}  // namespace google::protobuf
namespace narthex::v1 {
class Exemplar;
class Matcher;
class MatcherSet;
class MetricMetadata;
class NativeHistogram;
class SeriesChunks;
}  // namespace narthex::v1

namespace narthex::cluster {

/// The conversions between our model and the messages that carry it.
void ToWire(const std::vector<model::Matcher>& matchers,
            google::protobuf::RepeatedPtrField<v1::Matcher>* out);
void ToWire(const std::vector<std::vector<model::Matcher>>& sets,
            google::protobuf::RepeatedPtrField<v1::MatcherSet>* out);
void ToWire(const storage::ChunkSeries& series, v1::SeriesChunks* out);
void ToWire(const model::HistogramValue& value, v1::NativeHistogram* out);
void ToWire(const model::Exemplar& exemplar, v1::Exemplar* out);
void ToWire(const model::Metadata& metadata, v1::MetricMetadata* out);

/// kInvalidArgument for unknown types and malformed expressions.
absl::StatusOr<std::vector<model::Matcher>> FromWire(
    const google::protobuf::RepeatedPtrField<v1::Matcher>& matchers);
absl::StatusOr<std::vector<std::vector<model::Matcher>>> FromWire(
    const google::protobuf::RepeatedPtrField<v1::MatcherSet>& sets);
/// Takes the bytes out of `*message`. kDataLoss for malformed label sets.
absl::Status FromWire(v1::SeriesChunks* message, storage::ChunkSeries* series);
/// kInvalidArgument when the spans are not pairs or too many to be meant; says
/// nothing of whether the histogram is consistent.
absl::Status FromWire(const v1::NativeHistogram& wire,
                      model::HistogramValue* value);
/// kInvalidArgument for malformed labels.
absl::Status FromWire(const v1::Exemplar& wire, model::Exemplar* exemplar);
model::Metadata FromWire(const v1::MetricMetadata& wire);

}  // namespace narthex::cluster
