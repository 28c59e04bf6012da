#pragma once

#include <cstddef>
#include <cstdint>

namespace narthex::tsdb {

/// What an index says about a chunk.
struct ChunkMeta {
  std::uint64_t ref = 0;    ///< Segment number << 32 | offset in it.
  std::int64_t min_ms = 0;  ///< Of the first sample.
  std::int64_t max_ms = 0;  ///< Of the last sample.
  friend bool operator==(const ChunkMeta&, const ChunkMeta&) = default;
};

namespace index_format {

inline constexpr std::uint32_t kMagic = 0xBAAAD700;
inline constexpr std::uint8_t kVersion1 = 1;
inline constexpr std::uint8_t kVersion2 = 2;
/// Read as version 2.
inline constexpr std::uint8_t kVersion3 = 3;
inline constexpr std::size_t kHeaderBytes = 5;
inline constexpr std::size_t kTocBytes = 6 * 8 + 4;
/// A series' id is its offset divided by this.
inline constexpr std::uint32_t kSeriesAlignment = 16;

}  // namespace index_format
}  // namespace narthex::tsdb
