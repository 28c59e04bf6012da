#pragma once

#include <cstdint>

namespace narthex::tsdb {

/// When a head chunk ends and the next begins.
struct ChunkRules {
  /// Chunks do not cross multiples of this span: those are blocks' edges.
  /// Below 2^32.
  std::int64_t range_ms = 0;
  /// What is aimed at; a chunk may become up to twice as long.
  int samples_per_chunk = 120;

  /// How many samples tell how dense a chunk's are.
  int predicting_samples() const { return samples_per_chunk / 4; }
};

/// The first multiple of the span after `timestamp_ms`, as Prometheus rounds:
/// towards zero.
std::int64_t RangeEnd(std::int64_t timestamp_ms, const ChunkRules& rules);

/// Where to end a chunk that began at `start` and has its predicting samples at
/// `current`, so that the time until `end` is shared evenly by full chunks.
std::int64_t PredictEnd(std::int64_t start, std::int64_t current,
                        std::int64_t end);

}  // namespace narthex::tsdb
