#include "services/ctl/chunk_statistics.h"

#include <algorithm>
#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "libs/base/status.h"
#include "libs/tsdb/chunk_header.h"
#include "libs/tsdb/chunk_segments.h"
#include "libs/tsdb/chunk_series.h"
#include "libs/tsdb/postings.h"

namespace narthex::ctl {
namespace {

constexpr storage::TimeRange kAllTime = {model::kMinTime, model::kMaxTime};

using Sizes = std::vector<std::int64_t>;

struct ChunkSizes {
  Sizes float_samples;
  Sizes float_bytes;
  Sizes histogram_samples;
  Sizes histogram_bytes;
  Sizes histogram_buckets;
};

using ChunkView = tsdb::ChunkSegmentReader::View;

absl::StatusOr<std::int64_t> CountBuckets(const ChunkView& view) {
  storage::Chunk chunk;
  chunk.encoding = view.encoding;
  chunk.bytes = view.bytes;
  model::SampleColumns samples;
  NARTHEX_RETURN_IF_ERROR(tsdb::DecodeChunk(chunk, kAllTime, &samples));
  std::size_t buckets = 0;
  for (const auto& histogram : samples.histograms) {
    if (histogram == nullptr) continue;
    buckets +=
        histogram->positive_buckets.size() + histogram->negative_buckets.size();
  }
  return static_cast<std::int64_t>(buckets);
}

absl::Status Add(const ChunkView& chunk, ChunkSizes* sizes) {
  NARTHEX_ASSIGN_OR_RETURN(const int samples,
                           tsdb::ChunkSampleCount(chunk.encoding, chunk.bytes));
  const auto bytes = static_cast<std::int64_t>(chunk.bytes.size());
  switch (chunk.encoding) {
    case storage::Encoding::kHistogram:
    case storage::Encoding::kFloatHistogram:
    case storage::Encoding::kHistogramSt:
    case storage::Encoding::kFloatHistogramSt: {
      NARTHEX_ASSIGN_OR_RETURN(const std::int64_t buckets, CountBuckets(chunk));
      sizes->histogram_samples.push_back(samples);
      sizes->histogram_bytes.push_back(bytes);
      sizes->histogram_buckets.push_back(buckets);
      break;
    }
    default:
      sizes->float_samples.push_back(samples);
      sizes->float_bytes.push_back(bytes);
  }
  return absl::OkStatus();
}

// The width of a row: a power of ten that makes about ten of them.
std::int64_t StepFor(std::int64_t span) {
  std::int64_t step = 10;
  while (step < span / 10 && step <= 10000) step *= 10;
  return step;
}

// Rows of "#" that together make `total` per cent.
void PrintSpread(absl::string_view what, const Sizes& sizes, std::size_t total,
                 std::ostream& out) {
  if (sizes.empty()) {
    out << what << ": N/A\n\n";
    return;
  }
  const auto [min, max] = std::minmax_element(sizes.begin(), sizes.end());
  const std::int64_t step = StepFor(*max - *min);
  const std::int64_t start = *min - *min % step;
  const std::int64_t end = *max - *max % step + step;
  std::vector<std::int64_t> rows(
      static_cast<std::size_t>((end - start) / step + 1));
  std::int64_t sum = 0;
  for (const std::int64_t size : sizes) {
    sum += size;
    ++rows[static_cast<std::size_t>((size - start) / step)];
  }
  out << what << " (min/avg/max): " << *min << "/"
      << sum / static_cast<std::int64_t>(sizes.size()) << "/" << *max << "\n";
  const auto width_of = [](std::int64_t number) {
    return static_cast<int>(absl::StrCat(number).size());
  };
  const int count_width = width_of(*std::max_element(rows.begin(), rows.end()));
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::int64_t from = start + static_cast<std::int64_t>(i) * step;
    const auto share = static_cast<std::size_t>(100 * rows[i]) / total;
    out << absl::StrFormat("[%*d, %*d]: %*d ", width_of(end), from + 1,
                           width_of(end + step), from + step, count_width,
                           rows[i])
        << std::string(share, '#') << "\n";
  }
  out << "\n";
}

}  // namespace

absl::Status PrintChunkStatistics(const tsdb::Block& block,
                                  const std::vector<model::Matcher>& matchers,
                                  std::ostream& out) {
  // As they lie in the files, deleted samples included.
  NARTHEX_ASSIGN_OR_RETURN(const auto segments,
                           tsdb::ChunkSegmentReader::Open(
                               absl::StrCat(block.directory(), "/chunks")));
  NARTHEX_ASSIGN_OR_RETURN(const tsdb::Postings postings,
                           tsdb::PostingsForMatchers(block.index(), matchers));
  ChunkSizes sizes;
  std::size_t total = 0;
  std::vector<tsdb::ChunkMeta> metas;
  for (const tsdb::SeriesId id : postings) {
    NARTHEX_RETURN_IF_ERROR(block.index().Series(id, nullptr, &metas));
    for (const tsdb::ChunkMeta& meta : metas) {
      NARTHEX_ASSIGN_OR_RETURN(const auto view, segments->Read(meta.ref));
      NARTHEX_RETURN_IF_ERROR(Add(view, &sizes));
      ++total;
    }
  }
  out << "\nCompaction analysis:\n\n";
  PrintSpread("samples per float chunk", sizes.float_samples, total, out);
  PrintSpread("bytes per float chunk", sizes.float_bytes, total, out);
  PrintSpread("samples per histogram chunk", sizes.histogram_samples, total,
              out);
  PrintSpread("bytes per histogram chunk", sizes.histogram_bytes, total, out);
  PrintSpread("buckets per histogram chunk", sizes.histogram_buckets, total,
              out);
  return absl::OkStatus();
}

}  // namespace narthex::ctl
