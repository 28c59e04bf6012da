#include "libs/tsdb/stored_sample.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "libs/base/status.h"
#include "libs/tsdb/chunk_header.h"
#include "libs/tsdb/chunk_series.h"
#include "libs/tsdb/histogram_chunk.h"
#include "libs/tsdb/start_chunks.h"
#include "libs/tsdb/xor2_chunk.h"
#include "libs/tsdb/xor_chunk.h"

namespace narthex::tsdb {
namespace {

using model::CounterReset;
using storage::Encoding;

constexpr storage::TimeRange kAllTime = {model::kMinTime, model::kMaxTime};

enum class Kind { kFloat, kInteger, kFloating };

Kind KindOf(const StoredSample& sample) {
  if (sample.is_float()) return Kind::kFloat;
  return sample.histogram.integer != nullptr ? Kind::kInteger : Kind::kFloating;
}

template <typename Histogram>
void ForgetReset(std::shared_ptr<const Histogram>* histogram) {
  if (*histogram == nullptr ||
      (*histogram)->counter_reset == CounterReset::kGauge) {
    return;
  }
  auto changed = std::make_shared<Histogram>(**histogram);
  changed->counter_reset = CounterReset::kUnknown;
  *histogram = std::move(changed);
}

const model::IntHistogram& HistogramOf(const HistogramChunk*,
                                       const StoredSample& sample) {
  return *sample.histogram.integer;
}

const model::FloatHistogram& HistogramOf(const FloatHistogramChunk*,
                                         const StoredSample& sample) {
  return *sample.histogram.floating;
}

template <typename EncodedChunk>
void Emit(Encoding encoding, EncodedChunk encoded,
          std::vector<storage::Chunk>* chunks) {
  auto owner = std::make_shared<EncodedChunk>(std::move(encoded));
  owner->ShrinkToFit();
  storage::Chunk chunk;
  chunk.min_ms = owner->min_ms();
  chunk.max_ms = owner->max_ms();
  chunk.encoding = encoding;
  chunk.bytes = owner->bytes();
  chunk.owner = std::move(owner);
  chunks->push_back(std::move(chunk));
}

using Iterator = std::vector<StoredSample>::const_iterator;

bool AnyStart(Iterator begin, Iterator end) {
  return std::any_of(begin, end, [](const StoredSample& sample) {
    return sample.start_ms != 0;
  });
}

storage::Chunk EncodeStarting(Iterator begin, Iterator end) {
  model::SampleColumns samples;
  for (; begin != end; ++begin) {
    samples.timestamps_ms.push_back(begin->timestamp_ms);
    samples.values.push_back(begin->value);
    samples.starts_ms.push_back(begin->start_ms);
  }
  auto bytes = std::make_shared<std::string>();
  EncodeXor2Chunk(samples, bytes.get());
  bytes->shrink_to_fit();
  return {samples.timestamps_ms.front(), samples.timestamps_ms.back(),
          Encoding::kXor2, *bytes, bytes};
}

// Puts the start times into the chunks of these samples, from `first` on.
void AddStartTimes(Iterator begin, Iterator end, std::size_t first,
                   std::vector<storage::Chunk>* chunks) {
  if (!AnyStart(begin, end)) return;
  StartRuns starts;
  for (; begin != end; ++begin) {
    starts.Note(begin->timestamp_ms, begin->start_ms);
  }
  for (std::size_t i = first; i < chunks->size(); ++i) {
    // It was encoded here, so it can be decoded.
    auto starting = WithStartTimes((*chunks)[i], starts);
    if (starting.ok()) (*chunks)[i] = *std::move(starting);
  }
}

void EncodeFloats(Iterator begin, Iterator end, int samples_per_chunk,
                  std::vector<storage::Chunk>* chunks) {
  while (begin != end) {
    const Iterator until =
        begin + std::min<std::ptrdiff_t>(samples_per_chunk, end - begin);
    if (AnyStart(begin, until)) {
      chunks->push_back(EncodeStarting(begin, until));
      begin = until;
      continue;
    }
    XorChunk chunk;
    for (; begin != until; ++begin) {
      chunk.Append(begin->timestamp_ms, begin->value);
    }
    Emit(Encoding::kXor, std::move(chunk), chunks);
  }
}

template <typename EncodedChunk>
void EncodeHistograms(Encoding encoding, Iterator begin, Iterator end,
                      int samples_per_chunk,
                      std::vector<storage::Chunk>* chunks) {
  std::optional<EncodedChunk> open;
  for (; begin != end; ++begin) {
    const auto& histogram =
        HistogramOf(static_cast<EncodedChunk*>(nullptr), *begin);
    std::optional<EncodedChunk> next;
    if (!open.has_value()) {
      next.emplace(begin->timestamp_ms, histogram);
    } else if (open->count() >= samples_per_chunk) {
      next.emplace(begin->timestamp_ms, histogram, &*open);
    } else {
      next = open->Append(begin->timestamp_ms, histogram);
    }
    if (!next.has_value()) continue;
    if (open.has_value()) Emit(encoding, *std::move(open), chunks);
    open = std::move(next);
  }
  if (open.has_value()) Emit(encoding, *std::move(open), chunks);
}

}  // namespace

absl::Status DecodeStored(const storage::Chunk& chunk,
                          const storage::TimeRange& range,
                          std::vector<StoredSample>* out) {
  if (IsHistogramEncoding(chunk.encoding)) {
    return DecodeHistogramChunk(chunk.encoding, chunk.bytes, range, out);
  }
  model::SampleColumns samples;
  NARTHEX_RETURN_IF_ERROR(DecodeChunk(chunk, range, &samples));
  for (std::size_t i = 0; i < samples.size(); ++i) {
    StoredSample sample;
    sample.timestamp_ms = samples.timestamps_ms[i];
    sample.value = samples.values[i];
    if (!samples.starts_ms.empty()) sample.start_ms = samples.starts_ms[i];
    out->push_back(std::move(sample));
  }
  return absl::OkStatus();
}

absl::Status MergeStored(const std::vector<storage::Chunk>& chunks,
                         std::vector<StoredSample>* out) {
  struct FromChunk {
    StoredSample sample;
    std::size_t chunk = 0;
  };
  std::vector<FromChunk> all;
  std::vector<StoredSample> decoded;
  for (std::size_t i = 0; i < chunks.size(); ++i) {
    decoded.clear();
    NARTHEX_RETURN_IF_ERROR(DecodeStored(chunks[i], kAllTime, &decoded));
    for (StoredSample& sample : decoded) all.push_back({std::move(sample), i});
  }
  std::stable_sort(all.begin(), all.end(),
                   [](const FromChunk& a, const FromChunk& b) {
                     return a.sample.timestamp_ms < b.sample.timestamp_ms;
                   });
  const FromChunk* before = nullptr;
  for (FromChunk& one : all) {
    StoredSample& sample = one.sample;
    if (before != nullptr) {
      if (before->sample.timestamp_ms == sample.timestamp_ms) continue;
      if (before->chunk != one.chunk) {
        ForgetReset(&sample.histogram.integer);
        ForgetReset(&sample.histogram.floating);
      }
    }
    before = &one;
    out->push_back(sample);
  }
  return absl::OkStatus();
}

void EncodeStored(const std::vector<StoredSample>& samples,
                  int samples_per_chunk, std::vector<storage::Chunk>* chunks) {
  const int limit = std::clamp(samples_per_chunk, 1, kMaxSamplesPerChunk);
  auto begin = samples.begin();
  while (begin != samples.end()) {
    const Kind kind = KindOf(*begin);
    const std::size_t first = chunks->size();
    const auto end = std::find_if(
        begin, samples.end(),
        [kind](const StoredSample& sample) { return KindOf(sample) != kind; });
    switch (kind) {
      case Kind::kFloat:
        EncodeFloats(begin, end, limit, chunks);
        break;
      case Kind::kInteger:
        EncodeHistograms<HistogramChunk>(Encoding::kHistogram, begin, end,
                                         limit, chunks);
        break;
      case Kind::kFloating:
        EncodeHistograms<FloatHistogramChunk>(Encoding::kFloatHistogram, begin,
                                              end, limit, chunks);
        break;
    }
    if (kind != Kind::kFloat) AddStartTimes(begin, end, first, chunks);
    begin = end;
  }
}

}  // namespace narthex::tsdb
