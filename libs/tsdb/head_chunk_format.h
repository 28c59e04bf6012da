#pragma once

#include <cstddef>
#include <cstdint>

/// The files of `chunks_head`.
/// Source: Prometheus, tsdb/docs/format/head_chunks.md.
namespace narthex::tsdb::head_chunk_format {

inline constexpr std::uint32_t kMagic = 0x0130bc91;
inline constexpr std::uint8_t kVersion = 1;
inline constexpr std::size_t kHeaderBytes = 8;
/// In front of the length: reference, bounds and encoding.
inline constexpr std::size_t kBeforeLength = 8 + 8 + 8 + 1;
/// All but the bytes: that, the length and the checksum.
inline constexpr std::size_t kMostOverhead = kBeforeLength + 10 + 4;
/// Set in the encoding of a chunk of samples that came out of order.
inline constexpr std::uint8_t kOutOfOrderBit = 0x80;

}  // namespace narthex::tsdb::head_chunk_format
