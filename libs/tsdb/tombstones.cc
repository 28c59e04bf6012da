#include "libs/tsdb/tombstones.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "libs/base/crc32c.h"
#include "libs/base/file.h"
#include "libs/base/status.h"
#include "libs/base/varint.h"

namespace narthex::tsdb {
namespace {

constexpr std::uint32_t kMagic = 0x0130BA30;
constexpr std::uint8_t kVersion = 1;
constexpr std::size_t kMagicBytes = 4;
constexpr std::size_t kHeaderBytes = kMagicBytes + 1;
constexpr std::size_t kCrcBytes = 4;

std::string PathIn(const std::string& directory) {
  return absl::StrCat(directory, "/tombstones");
}

absl::Status UnreadVersion(int version) {
  return absl::InvalidArgumentError(
      absl::StrCat("version ", version, " is not read"));
}

absl::StatusOr<Tombstones> Parse(absl::string_view file) {
  base::ByteReader header(file);
  if (header.Be32() != kMagic) return absl::DataLossError("bad magic number");
  const int version = header.Byte();
  if (version != kVersion) return UnreadVersion(version);
  if (file.size() < kHeaderBytes + kCrcBytes) {
    return absl::DataLossError("file too short");
  }
  const absl::string_view stones =
      file.substr(kHeaderBytes, file.size() - kHeaderBytes - kCrcBytes);
  const std::uint32_t crc =
      base::ByteReader(file.substr(file.size() - kCrcBytes)).Be32();
  if (base::Crc32c(stones) != crc) {
    return absl::DataLossError("checksum mismatch");
  }
  return DecodeStones(file.substr(kMagicBytes, 1 + stones.size()));
}

}  // namespace

void AddInterval(const storage::TimeRange& range, Intervals* intervals) {
  if (range.min_ms > range.max_ms) return;
  storage::TimeRange joined = range;
  // The first that `range` overlaps or touches, by its end; written so that
  // the extremes of time do not overflow.
  const auto first = std::find_if(
      intervals->begin(), intervals->end(), [&](const storage::TimeRange& i) {
        return i.max_ms >= range.min_ms || i.max_ms + 1 == range.min_ms;
      });
  const auto last =
      std::find_if(first, intervals->end(), [&](const storage::TimeRange& i) {
        return i.min_ms > range.max_ms && i.min_ms - 1 != range.max_ms;
      });
  if (first != last) {
    joined.min_ms = std::min(joined.min_ms, first->min_ms);
    joined.max_ms = std::max(joined.max_ms, (last - 1)->max_ms);
  }
  const auto at = intervals->erase(first, last);
  intervals->insert(at, joined);
}

bool Covers(const Intervals& intervals, const storage::TimeRange& range) {
  return std::any_of(
      intervals.begin(), intervals.end(), [&](const storage::TimeRange& i) {
        return i.min_ms <= range.min_ms && i.max_ms >= range.max_ms;
      });
}

bool Overlaps(const Intervals& intervals, const storage::TimeRange& range) {
  return std::any_of(
      intervals.begin(), intervals.end(), [&](const storage::TimeRange& i) {
        return i.min_ms <= range.max_ms && i.max_ms >= range.min_ms;
      });
}

std::uint64_t CountIntervals(const Tombstones& tombstones) {
  std::uint64_t count = 0;
  for (const auto& [ref, intervals] : tombstones) count += intervals.size();
  return count;
}

void EncodeStones(const Tombstones& tombstones, std::string* out) {
  out->push_back(static_cast<char>(kVersion));
  for (const auto& [ref, intervals] : tombstones) {
    for (const storage::TimeRange& interval : intervals) {
      base::PutUvarint(ref, out);
      base::PutVarint(interval.min_ms, out);
      base::PutVarint(interval.max_ms, out);
    }
  }
}

absl::StatusOr<Tombstones> DecodeStones(absl::string_view encoded) {
  base::ByteReader reader(encoded);
  const int version = reader.Byte();
  if (reader.ok() && version != kVersion) return UnreadVersion(version);
  Tombstones tombstones;
  while (reader.ok() && reader.remaining() > 0) {
    const storage::SeriesRef ref = reader.Uvarint();
    storage::TimeRange range;
    range.min_ms = reader.Varint();
    range.max_ms = reader.Varint();
    if (reader.ok()) AddInterval(range, &tombstones[ref]);
  }
  if (!reader.ok()) return absl::DataLossError("malformed interval");
  return tombstones;
}

absl::StatusOr<Tombstones> ReadTombstones(const std::string& directory) {
  const auto file = base::ReadFile(PathIn(directory));
  if (absl::IsNotFound(file.status())) return Tombstones();
  if (!file.ok()) return file.status();
  auto tombstones = Parse(*file);
  if (!tombstones.ok()) {
    return base::Annotate(tombstones.status(), PathIn(directory));
  }
  return tombstones;
}

absl::Status WriteTombstones(const std::string& directory,
                             const Tombstones& tombstones) {
  std::string stones;
  EncodeStones(tombstones, &stones);
  std::string file;
  base::PutBe32(kMagic, &file);
  file += stones;
  // The checksum leaves out the version.
  base::PutBe32(base::Crc32c(absl::string_view(stones).substr(1)), &file);
  return base::WriteFileAtomically(PathIn(directory), file);
}

}  // namespace narthex::tsdb
