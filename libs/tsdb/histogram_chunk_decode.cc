#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/tsdb/histogram_chunk_reader.h"

namespace narthex::tsdb {

using storage::Encoding;

model::CounterReset ResetOfHistogramHeader(int bits) {
  using model::CounterReset;
  constexpr CounterReset kResets[] = {
      CounterReset::kUnknown, CounterReset::kNotReset, CounterReset::kReset,
      CounterReset::kGauge};
  return kResets[bits & 0b11];
}

absl::Status CorruptHistogramChunk(absl::string_view bytes,
                                   absl::string_view what) {
  return absl::DataLossError(absl::StrCat("histogram chunk of ", bytes.size(),
                                          " bytes is corrupt: ", what));
}

namespace {

void AppendSample(HistogramChunkReader<IntCounts>& reader,
                  StoredSample* sample) {
  sample->histogram.integer = std::make_shared<const model::IntHistogram>(
      reader.Sample<model::IntHistogram>());
}

void AppendSample(HistogramChunkReader<FloatCounts>& reader,
                  StoredSample* sample) {
  sample->histogram.floating = std::make_shared<const model::FloatHistogram>(
      reader.Sample<model::FloatHistogram>());
}

template <typename Counts>
absl::Status DecodeAs(Encoding encoding, absl::string_view bytes,
                      const storage::TimeRange& range,
                      std::vector<StoredSample>* out) {
  const std::size_t before = out->size();
  HistogramChunkReader<Counts> reader(encoding, bytes);
  NARTHEX_RETURN_IF_ERROR(reader.Open());
  absl::Status status;
  while (status.ok() && reader.Next()) {
    const std::int64_t time = reader.state().timestamp_ms;
    if (time < range.min_ms || time > range.max_ms) continue;
    StoredSample sample;
    sample.timestamp_ms = time;
    sample.start_ms = reader.start_ms();
    AppendSample(reader, &sample);
    out->push_back(std::move(sample));
    status = reader.CheckMemory(out->size() - before);
  }
  if (status.ok()) status = reader.status();
  if (!status.ok()) out->resize(before);
  return status;
}

template <typename Counts>
absl::Status DecodeAs(Encoding encoding, absl::string_view bytes,
                      const storage::TimeRange& range,
                      model::SampleColumns* out) {
  const std::size_t before = out->size();
  HistogramChunkReader<Counts> reader(encoding, bytes);
  NARTHEX_RETURN_IF_ERROR(reader.Open());
  model::SampleColumns samples;
  bool any_start = false;
  while (reader.Next()) {
    const std::int64_t time = reader.state().timestamp_ms;
    if (time < range.min_ms || time > range.max_ms) continue;
    std::shared_ptr<const model::FloatHistogram> histogram;
    double value = 0;
    if (model::IsStaleNan(reader.state().counts.sum())) {
      value = model::StaleNan();
    } else {
      histogram = std::make_shared<const model::FloatHistogram>(
          reader.template Sample<model::FloatHistogram>());
    }
    samples.timestamps_ms.push_back(time);
    samples.values.push_back(value);
    samples.histograms.push_back(std::move(histogram));
    samples.starts_ms.push_back(reader.start_ms());
    any_start = any_start || reader.start_ms() != 0;
    NARTHEX_RETURN_IF_ERROR(reader.CheckMemory(samples.size()));
  }
  NARTHEX_RETURN_IF_ERROR(reader.status());
  if (!any_start) samples.starts_ms.clear();
  if (before == 0) {
    *out = std::move(samples);
  } else {
    out->AppendRange(samples, 0, samples.size());
  }
  return absl::OkStatus();
}

template <typename Out>
absl::Status Decode(Encoding encoding, absl::string_view bytes,
                    const storage::TimeRange& range, Out* out) {
  switch (encoding) {
    case Encoding::kHistogram:
    case Encoding::kHistogramSt:
      return DecodeAs<IntCounts>(encoding, bytes, range, out);
    case Encoding::kFloatHistogram:
    case Encoding::kFloatHistogramSt:
      return DecodeAs<FloatCounts>(encoding, bytes, range, out);
    default:
      return absl::InvalidArgumentError(absl::StrCat("chunk encoding ",
                                                     static_cast<int>(encoding),
                                                     " holds no histograms"));
  }
}

}  // namespace

absl::Status DecodeHistogramChunk(Encoding encoding, absl::string_view bytes,
                                  const storage::TimeRange& range,
                                  std::vector<StoredSample>* out) {
  return Decode(encoding, bytes, range, out);
}

absl::Status DecodeHistogramChunk(Encoding encoding, absl::string_view bytes,
                                  const storage::TimeRange& range,
                                  model::SampleColumns* out) {
  return Decode(encoding, bytes, range, out);
}

}  // namespace narthex::tsdb
