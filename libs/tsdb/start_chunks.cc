#include "libs/tsdb/start_chunks.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "libs/base/status.h"
#include "libs/tsdb/chunk_header.h"
#include "libs/tsdb/chunk_series.h"
#include "libs/tsdb/histogram_chunk_reader.h"
#include "libs/tsdb/start_times.h"
#include "libs/tsdb/xor2_chunk.h"
#include "libs/tsdb/xor_chunk.h"

namespace narthex::tsdb {
namespace {

using storage::Encoding;

constexpr storage::TimeRange kAll{model::kMinTime, model::kMaxTime};
// The count of a histogram chunk with start times has 14 bits.
constexpr std::size_t kMostCounted = 0x3fff;

storage::Chunk Encoded(const storage::Chunk& like, Encoding encoding,
                       std::string bytes) {
  auto owner = std::make_shared<const std::string>(std::move(bytes));
  storage::Chunk chunk{like.min_ms, like.max_ms, encoding, *owner, nullptr};
  chunk.owner = std::move(owner);
  return chunk;
}

void CopyBits(const BitReader& from, std::size_t begin, std::size_t end,
              BitWriter* to) {
  constexpr std::size_t kAtOnce = 56;
  for (; begin < end; begin += kAtOnce) {
    const int n = static_cast<int>(std::min(kAtOnce, end - begin));
    to->Bits(from.Read(begin, n), n);
  }
}

Encoding Counterpart(Encoding encoding) {
  switch (encoding) {
    case Encoding::kHistogram:
      return Encoding::kHistogramSt;
    case Encoding::kFloatHistogram:
      return Encoding::kFloatHistogramSt;
    case Encoding::kHistogramSt:
      return Encoding::kHistogram;
    case Encoding::kFloatHistogramSt:
      return Encoding::kFloatHistogram;
    default:
      return encoding;
  }
}

// The two kinds of histogram chunks differ in the header and in what stands
// behind each sample; the bits of the samples are the same.
template <typename Counts>
absl::StatusOr<storage::Chunk> Recode(const storage::Chunk& chunk,
                                      const StartRuns* starts) {
  HistogramChunkReader<Counts> reader(chunk.encoding, chunk.bytes);
  NARTHEX_RETURN_IF_ERROR(reader.Open());
  if (starts != nullptr && reader.count() > kMostCounted) return chunk;
  const BitReader from(chunk.bytes);
  BitWriter to;
  to.Bits(0, kHistogramHeaderBytes * 8);
  StartTimesWriter writer;
  std::size_t copied = kHistogramHeaderBytes * 8;
  std::int64_t before_ms = 0;
  for (std::size_t i = 0; reader.Next(); ++i) {
    const std::int64_t time_ms = reader.state().timestamp_ms;
    CopyBits(from, copied, reader.sample_end(), &to);
    copied = reader.position();
    if (starts != nullptr) {
      writer.Write(i, i == 0 ? time_ms : before_ms, starts->At(time_ms), &to);
    }
    before_ms = time_ms;
  }
  NARTHEX_RETURN_IF_ERROR(reader.status());
  const std::size_t count = reader.count();
  const auto first = static_cast<std::uint8_t>(chunk.bytes[0]);
  const auto third = static_cast<std::uint8_t>(chunk.bytes[2]);
  to.SetByte(1, static_cast<std::uint8_t>(count & 0xff));
  // The two bits that tell of the counter before change their place.
  if (starts != nullptr) {
    to.SetByte(0, static_cast<std::uint8_t>((third & 0xc0) | count >> 8));
    to.SetByte(2, writer.header());
  } else {
    to.SetByte(0, static_cast<std::uint8_t>(count >> 8));
    to.SetByte(2, static_cast<std::uint8_t>(first & 0xc0));
  }
  return Encoded(chunk, Counterpart(chunk.encoding), std::string(to.bytes()));
}

absl::StatusOr<storage::Chunk> FloatsAsXor2(const storage::Chunk& chunk,
                                            const StartRuns& starts) {
  model::SampleColumns samples;
  NARTHEX_RETURN_IF_ERROR(DecodeChunk(chunk, kAll, &samples));
  starts.Fill(0, &samples);
  std::string bytes;
  EncodeXor2Chunk(samples, &bytes);
  return Encoded(chunk, Encoding::kXor2, std::move(bytes));
}

}  // namespace

absl::StatusOr<storage::Chunk> WithStartTimes(const storage::Chunk& chunk,
                                              const StartRuns& starts) {
  if (HasStartTimes(chunk.encoding) ||
      !starts.AnyWithin(chunk.min_ms, chunk.max_ms)) {
    return chunk;
  }
  switch (chunk.encoding) {
    case Encoding::kHistogram:
      return Recode<IntCounts>(chunk, &starts);
    case Encoding::kFloatHistogram:
      return Recode<FloatCounts>(chunk, &starts);
    default:
      break;
  }
  return FloatsAsXor2(chunk, starts);
}

absl::StatusOr<storage::Chunk> AsXor2(const storage::Chunk& chunk) {
  return FloatsAsXor2(chunk, StartRuns());
}

absl::StatusOr<storage::Chunk> WithoutStartTimes(const storage::Chunk& chunk) {
  switch (chunk.encoding) {
    case Encoding::kHistogramSt:
      return Recode<IntCounts>(chunk, nullptr);
    case Encoding::kFloatHistogramSt:
      return Recode<FloatCounts>(chunk, nullptr);
    case Encoding::kXor2:
      break;
    default:
      return chunk;
  }
  model::SampleColumns samples;
  NARTHEX_RETURN_IF_ERROR(DecodeChunk(chunk, kAll, &samples));
  XorChunk encoded;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    encoded.Append(samples.timestamps_ms[i], samples.values[i]);
  }
  return Encoded(chunk, Encoding::kXor, std::string(encoded.bytes()));
}

absl::Status NoteStartTimes(const storage::Chunk& chunk, StartRuns* starts) {
  if (!HasStartTimes(chunk.encoding)) {
    starts->Note(chunk.min_ms, 0);
    return absl::OkStatus();
  }
  model::SampleColumns samples;
  NARTHEX_RETURN_IF_ERROR(DecodeChunk(chunk, kAll, &samples));
  starts->Note(samples);
  return absl::OkStatus();
}

}  // namespace narthex::tsdb
