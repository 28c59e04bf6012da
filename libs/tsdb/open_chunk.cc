#include "libs/tsdb/open_chunk.h"

#include "libs/base/varint.h"
#include "libs/tsdb/decimal_values.h"
#include "libs/tsdb/xor_chunk.h"

namespace narthex::tsdb {

void OpenChunk::Begin(SampleArena& arena, std::int64_t timestamp_ms,
                      double value, const ChunkRules& rules) {
  track_ = arena.times.Begin(timestamp_ms, rules);
  values_ = ValueStream(value);
  count_ = 1;
  // The number of samples, a varint, and the value.
  bits_ = (16 + 8 * base::UvarintSize(ZigZag(timestamp_ms)) + 64) & 0x3fff;
}

bool OpenChunk::Append(SampleArena& arena, std::int64_t timestamp_ms,
                       double value, const ChunkRules& rules) {
  const TimeTracks::Step step =
      arena.times.Follow(track_, count_, timestamp_ms, rules);
  if (step.track == TimeTracks::kNone) return false;
  track_ = step.track;
  const int bits = step.bits + values_.Append(arena.blocks, count_, value);
  bits_ = (bits_ + static_cast<unsigned>(bits)) & 0x3fff;
  count_ = (count_ + 1) & 0x1fff;
  return true;
}

void OpenChunk::Read(const SampleArena& arena,
                     model::SampleColumns* out) const {
  const std::size_t before = out->size();
  out->timestamps_ms.resize(before + count_);
  out->values.resize(before + count_);
  arena.times.Decode(track_, count_, out->timestamps_ms.data() + before);
  values_.Decode(arena.blocks, count_, out->values.data() + before);
}

void OpenChunk::Encode(const SampleArena& arena, std::string* out) const {
  model::SampleColumns samples;
  Read(arena, &samples);
  EncodeXorChunk(samples, size(), out);
}

void OpenChunk::Clear(SampleArena& arena) {
  if (empty()) return;
  arena.times.Leave(track_);
  values_.Clear(arena.blocks);
  Forget();
}

OpenChunk OpenChunk::Release() {
  const OpenChunk released = *this;
  values_.Release();
  Forget();
  return released;
}

void OpenChunk::Forget() {
  track_ = TimeTracks::kNone;
  count_ = 0;
  bits_ = 0;
}

}  // namespace narthex::tsdb
