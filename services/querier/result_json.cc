#include "services/querier/result_json.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "libs/base/float_format.h"
#include "libs/base/status.h"

namespace narthex::querier {
namespace {

void AppendSample(std::int64_t timestamp_ms, double value, std::string* out) {
  out->push_back('[');
  AppendJsonTime(timestamp_ms, out);
  out->push_back(',');
  AppendJsonValue(value, out);
  out->push_back(']');
}

// The series of a range query share their timestamps: each is made once.
class TimestampTexts {
 public:
  // `[1435781451.781,`
  absl::string_view Of(std::int64_t timestamp_ms) {
    // Series walk the steps in order, so the next one is usually right.
    if (next_ < entries_.size() && entries_[next_].first == timestamp_ms) {
      return entries_[next_++].second;
    }
    const auto it = std::lower_bound(
        entries_.begin(), entries_.end(), timestamp_ms,
        [](const Entry& e, std::int64_t t) { return e.first < t; });
    next_ = static_cast<std::size_t>(it - entries_.begin()) + 1;
    if (it != entries_.end() && it->first == timestamp_ms) return it->second;
    std::string text = "[";
    AppendJsonTime(timestamp_ms, &text);
    text.push_back(',');
    return entries_.emplace(it, timestamp_ms, std::move(text))->second;
  }

 private:
  using Entry = std::pair<std::int64_t, std::string>;
  std::vector<Entry> entries_;  // Ascending.
  std::size_t next_ = 0;
};

absl::Status WriteVector(const promql::Value& value, Answer* answer) {
  JsonWriter& json = answer->data().BeginArray();
  for (const promql::VectorSample& sample : value.vector) {
    std::string* const out = json.Raw();
    out->append("{\"metric\":");
    AppendJsonLabels(sample.labels, out);
    out->append(",\"value\":");
    AppendSample(value.timestamp_ms, sample.value, out);
    out->push_back('}');
    NARTHEX_RETURN_IF_ERROR(answer->Flush());
  }
  json.EndArray();
  return absl::OkStatus();
}

absl::Status WriteMatrix(const promql::Value& value, Answer* answer) {
  TimestampTexts timestamps;
  JsonWriter& json = answer->data().BeginArray();
  for (const promql::MatrixSeries& series : value.matrix) {
    std::string* const out = json.Raw();
    out->append("{\"metric\":");
    AppendJsonLabels(series.labels, out);
    out->append(",\"values\":[");
    const model::SampleColumns& samples = series.samples;
    for (std::size_t i = 0; i < samples.size(); ++i) {
      if (i != 0) out->push_back(',');
      const absl::string_view time = timestamps.Of(samples.timestamps_ms[i]);
      out->append(time.data(), time.size());
      AppendJsonValue(samples.values[i], out);
      out->push_back(']');
    }
    out->append("]}");
    NARTHEX_RETURN_IF_ERROR(answer->Flush());
  }
  json.EndArray();
  return absl::OkStatus();
}

void WriteStats(const promql::QueryStats& stats, JsonWriter* json) {
  const auto seconds = [](std::int64_t ns) {
    return static_cast<double>(ns) / 1e9;
  };
  const std::int64_t eval_total =
      stats.prepare_ns + stats.eval_ns + stats.sort_ns;
  json->Key("stats")
      .BeginObject()
      .Key("timings")
      .BeginObject()
      .Key("evalTotalTime")
      .Double(seconds(eval_total))
      .Key("resultSortTime")
      .Double(seconds(stats.sort_ns))
      .Key("queryPreparationTime")
      .Double(seconds(stats.prepare_ns))
      .Key("innerEvalTime")
      .Double(seconds(stats.eval_ns))
      .Key("execQueueTime")
      .Double(seconds(stats.queue_ns))
      .Key("execTotalTime")
      .Double(seconds(stats.queue_ns + eval_total))
      .EndObject()
      .Key("samples")
      .BeginObject()
      .Key("totalQueryableSamples")
      .Int(stats.total_samples)
      .Key("samplesRead")
      .Int(stats.samples_read)
      .Key("peakSamples")
      .Int(stats.peak_samples)
      .EndObject()
      .EndObject();
}

}  // namespace

absl::Status WriteResult(const promql::Value& value,
                         const promql::QueryStats* stats, Answer* answer) {
  JsonWriter& json = answer->data();
  json.BeginObject()
      .Key("resultType")
      .String(promql::ValueTypeApiName(value.type))
      .Key("result");
  switch (value.type) {
    case promql::ValueType::kVector:
      NARTHEX_RETURN_IF_ERROR(WriteVector(value, answer));
      break;
    case promql::ValueType::kMatrix:
      NARTHEX_RETURN_IF_ERROR(WriteMatrix(value, answer));
      break;
    case promql::ValueType::kScalar:
      // Unlike samples, without trailing zeros and never with an exponent.
      json.BeginArray()
          .Double(static_cast<double>(value.timestamp_ms) / 1000)
          .String(base::FormatFloat(value.scalar))
          .EndArray();
      break;
    case promql::ValueType::kString:
      json.BeginArray()
          .Double(static_cast<double>(value.timestamp_ms) / 1000)
          .String(value.text)
          .EndArray();
      break;
    case promql::ValueType::kNone:
      json.Null();
      break;
  }
  if (stats != nullptr) WriteStats(*stats, &json);
  json.EndObject();
  return absl::OkStatus();
}

}  // namespace narthex::querier
