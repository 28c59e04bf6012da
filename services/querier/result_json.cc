#include "services/querier/result_json.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "libs/base/float_format.h"
#include "libs/base/status.h"
#include "libs/model/histogram_buckets.h"

namespace narthex::querier {
namespace {

void AppendSample(std::int64_t timestamp_ms, double value, std::string* out) {
  out->push_back('[');
  AppendJsonTime(timestamp_ms, out);
  out->push_back(',');
  AppendJsonValue(value, out);
  out->push_back(']');
}

// {"count":"3","sum":"2.5","buckets":[[0,"1","2","3"]]}: the first number
// says which of the bounds, both or none, belong to the bucket.
void AppendHistogram(const model::FloatHistogram& histogram, std::string* out) {
  out->append("{\"count\":");
  AppendJsonValue(histogram.count, out);
  out->append(",\"sum\":");
  AppendJsonValue(histogram.sum, out);
  std::vector<model::HistogramBucket> buckets;
  model::AllBuckets(histogram, &buckets);
  bool any = false;
  for (const model::HistogramBucket& bucket : buckets) {
    if (bucket.count == 0) continue;
    out->append(any ? "," : ",\"buckets\":[");
    any = true;
    const int only_upper = bucket.upper_inclusive ? 0 : 2;
    const int with_lower = bucket.upper_inclusive ? 3 : 1;
    out->push_back('[');
    out->push_back(static_cast<char>(
        '0' + (bucket.lower_inclusive ? with_lower : only_upper)));
    for (const double value : {bucket.lower, bucket.upper, bucket.count}) {
      out->push_back(',');
      AppendJsonValue(value, out);
    }
    out->push_back(']');
  }
  if (any) out->push_back(']');
  out->push_back('}');
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
    if (sample.histogram != nullptr) {
      out->append(",\"histogram\":[");
      AppendJsonTime(value.timestamp_ms, out);
      out->push_back(',');
      AppendHistogram(*sample.histogram, out);
      out->append("]}");
    } else {
      out->append(",\"value\":");
      AppendSample(value.timestamp_ms, sample.value, out);
      out->push_back('}');
    }
    NARTHEX_RETURN_IF_ERROR(answer->Flush());
  }
  json.EndArray();
  return absl::OkStatus();
}

// Appends `,"values":[...]` and `,"histograms":[...]`, of which one or the
// other is left out when there are none.
void AppendSamples(const model::SampleColumns& samples,
                   TimestampTexts* timestamps, std::string* out) {
  const auto is_histogram = [&samples](std::size_t i) {
    return !samples.histograms.empty() && samples.histograms[i] != nullptr;
  };
  bool any = false;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    if (is_histogram(i)) continue;
    out->append(any ? "," : ",\"values\":[");
    any = true;
    const absl::string_view time = timestamps->Of(samples.timestamps_ms[i]);
    out->append(time.data(), time.size());
    AppendJsonValue(samples.values[i], out);
    out->push_back(']');
  }
  if (any) out->push_back(']');
  any = false;
  for (std::size_t i = 0; i < samples.histograms.size(); ++i) {
    if (!is_histogram(i)) continue;
    out->append(any ? "," : ",\"histograms\":[");
    any = true;
    const absl::string_view time = timestamps->Of(samples.timestamps_ms[i]);
    out->append(time.data(), time.size());
    AppendHistogram(*samples.histograms[i], out);
    out->push_back(']');
  }
  if (any) out->push_back(']');
}

absl::Status WriteMatrix(const promql::Value& value, Answer* answer) {
  TimestampTexts timestamps;
  JsonWriter& json = answer->data().BeginArray();
  for (const promql::MatrixSeries& series : value.matrix) {
    std::string* const out = json.Raw();
    out->append("{\"metric\":");
    AppendJsonLabels(series.labels, out);
    AppendSamples(series.samples, &timestamps, out);
    out->push_back('}');
    NARTHEX_RETURN_IF_ERROR(answer->Flush());
  }
  json.EndArray();
  return absl::OkStatus();
}

void WriteTrace(const promql::NodeTrace& trace, JsonWriter* json) {
  json->Key("seconds")
      .Double(static_cast<double>(trace.duration_ns) / 1e9)
      .Key("columns")
      .Int(trace.columns)
      .Key("seriesRead")
      .Int(trace.series_read)
      .Key("samplesRead")
      .Int(trace.samples_read);
  if (trace.same_as.has_value()) json->Key("sameAs").Int(*trace.same_as);
}

void WriteReply(const promql::FragmentReply& reply, JsonWriter* json) {
  json->BeginObject()
      .Key("ingester")
      .String(reply.place)
      .Key("seconds")
      .Double(static_cast<double>(reply.duration_ns) / 1e9)
      .Key("seriesRead")
      .Int(reply.stats.series)
      .Key("samplesRead")
      .Int(reply.stats.read)
      .Key("nodes")
      .BeginArray();
  for (const promql::NodeTrace& trace : reply.nodes) {
    json->BeginObject().Key("node").Int(trace.node);
    WriteTrace(trace, json);
    json->EndObject();
  }
  json->EndArray().EndObject();
}

// The plan, and what each of its nodes cost, here and in each ingester.
void WriteExplanation(const promql::QueryResult& result, JsonWriter* json) {
  json->Key("explain").BeginObject().Key("nodes").BeginArray();
  for (const promql::ExplainedNode& node : result.explained) {
    json->BeginObject()
        .Key("node")
        .Int(node.node)
        .Key("depth")
        .Int(static_cast<std::int64_t>(node.depth))
        .Key("expr")
        .String(node.text)
        .Key("pushedDown")
        .Bool(node.is_fragment);
    if (node.is_evaluated) WriteTrace(node.trace, json);
    json->EndObject();
  }
  json->EndArray().Key("fragments").BeginArray();
  for (const promql::FragmentTrace& fragment : result.fragments) {
    json->BeginObject()
        .Key("node")
        .Int(fragment.node)
        .Key("seconds")
        .Double(static_cast<double>(fragment.duration_ns) / 1e9)
        .Key("columns")
        .Int(static_cast<std::int64_t>(fragment.columns))
        .Key("ingesters")
        .BeginArray();
    for (const promql::FragmentReply& reply : fragment.replies) {
      WriteReply(reply, json);
    }
    json->EndArray().EndObject();
  }
  json->EndArray();
  if (!result.why_nowhere.empty()) {
    json->Key("note").String(result.why_nowhere);
  }
  json->EndObject();
}

}  // namespace

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
      .BeginObject();
  if (!stats.steps.empty()) {
    json->Key("totalQueryableSamplesPerStep").BeginArray();
    for (const promql::QueryStats::Step& step : stats.steps) {
      json->BeginArray()
          .Double(static_cast<double>(step.time_ms) / 1000)
          .Int(step.total_samples)
          .EndArray();
    }
    json->EndArray();
  }
  json->Key("totalQueryableSamples")
      .Int(stats.total_samples)
      .Key("samplesRead")
      .Int(stats.samples_read)
      .Key("peakSamples")
      .Int(stats.peak_samples)
      .EndObject()
      .EndObject();
}

absl::Status WriteResult(const promql::QueryResult& result, bool with_stats,
                         Answer* answer) {
  const promql::Value& value = result.value;
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
  if (with_stats) WriteStats(result.stats, &json);
  if (!result.explained.empty()) WriteExplanation(result, &json);
  json.EndObject();
  return absl::OkStatus();
}

}  // namespace narthex::querier
