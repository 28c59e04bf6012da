#include "tests/fuzz/checksums.h"

#include <cstdint>
#include <vector>

#include "libs/base/crc32c.h"
#include "libs/base/varint.h"
#include "libs/tsdb/index_format.h"
#include "libs/tsdb/wal_frames.h"

namespace narthex::fuzz {
namespace {

namespace format = tsdb::index_format;

constexpr std::size_t kCrcBytes = 4;
constexpr std::size_t kTombstonesHeaderBytes = 5;

// Puts the checksum of [from, from + size) behind it.
void PutChecksum(std::size_t from, std::size_t size, std::size_t at,
                 std::string* file) {
  std::string crc;
  base::PutBe32(base::Crc32c(absl::string_view(*file).substr(from, size)),
                &crc);
  file->replace(at, crc.size(), crc);
}

// A section of an index: length, body, checksum.
void FixSection(std::uint64_t offset, std::string* index) {
  if (offset > index->size()) return;
  base::ByteReader reader(absl::string_view(*index).substr(offset));
  const std::uint64_t size = reader.Be32();
  if (!reader.ok() || size + kCrcBytes > reader.remaining()) return;
  PutChecksum(offset + 4, size, offset + 4 + size, index);
}

// A series: length as varint, body, checksum.
void FixSeries(std::uint64_t offset, std::string* index) {
  if (offset > index->size()) return;
  base::ByteReader reader(absl::string_view(*index).substr(offset));
  const std::uint64_t size = reader.Uvarint();
  if (!reader.ok() || size > reader.remaining() ||
      size + kCrcBytes > reader.remaining()) {
    return;
  }
  const std::uint64_t body = index->size() - reader.remaining();
  PutChecksum(body, size, body + size, index);
}

// The lists of the postings offset table and the series in the first of them,
// which holds all.
void FixPostings(std::uint64_t table, std::string* index) {
  if (table > index->size()) return;
  const std::string copy = index->substr(table);
  base::ByteReader reader(copy);
  reader.Be32();
  const std::uint32_t count = reader.Be32();
  for (std::uint32_t i = 0; i < count && reader.ok(); ++i) {
    reader.Uvarint();
    reader.UvarintBytes();
    reader.UvarintBytes();
    const std::uint64_t offset = reader.Uvarint();
    if (!reader.ok() || offset > index->size()) return;
    FixSection(offset, index);
    if (i > 0) continue;
    base::ByteReader list(absl::string_view(*index).substr(offset));
    list.Be32();
    const std::uint32_t entries = list.Be32();
    std::vector<std::uint64_t> series;
    for (std::uint32_t k = 0; k < entries && list.ok(); ++k) {
      series.push_back(std::uint64_t{list.Be32()} * format::kSeriesAlignment);
    }
    for (const std::uint64_t at : series) FixSeries(at, index);
  }
}

}  // namespace

void FixWalChecksums(std::string* segment) {
  constexpr std::size_t kHeader = tsdb::kWalFragmentHeaderBytes;
  std::size_t at = 0;
  while (at + kHeader <= segment->size()) {
    if ((*segment)[at] == '\0') {
      at = (at / tsdb::kWalPageBytes + 1) * tsdb::kWalPageBytes;
      continue;
    }
    base::ByteReader reader(absl::string_view(*segment).substr(at + 1));
    const std::size_t size = reader.Be16();
    if (at + kHeader + size > segment->size()) return;
    PutChecksum(at + kHeader, size, at + 3, segment);
    at += kHeader + size;
  }
}

void FixIndexChecksums(std::string* index) {
  if (index->size() < format::kHeaderBytes + format::kTocBytes) return;
  const std::size_t toc = index->size() - format::kTocBytes;
  base::ByteReader reader(absl::string_view(*index).substr(toc));
  const std::uint64_t symbols = reader.Be64();
  reader.Be64();
  reader.Be64();
  reader.Be64();
  reader.Be64();
  const std::uint64_t table = reader.Be64();
  FixPostings(table, index);
  FixSection(symbols, index);
  FixSection(table, index);
  PutChecksum(toc, format::kTocBytes - kCrcBytes, index->size() - kCrcBytes,
              index);
}

void FixTombstonesChecksum(std::string* tombstones) {
  if (tombstones->size() < kTombstonesHeaderBytes + kCrcBytes) return;
  const std::size_t end = tombstones->size() - kCrcBytes;
  PutChecksum(kTombstonesHeaderBytes, end - kTombstonesHeaderBytes, end,
              tombstones);
}

}  // namespace narthex::fuzz
