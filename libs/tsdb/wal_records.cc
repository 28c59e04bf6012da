#include "libs/tsdb/wal_records.h"

#include <bit>
#include <cstring>
#include <limits>

#include "absl/strings/str_cat.h"
#include "libs/base/varint.h"

namespace narthex::tsdb {
namespace {

constexpr absl::string_view kUnitField = "UNIT";
constexpr absl::string_view kHelpField = "HELP";

void PutString(absl::string_view text, std::string* out) {
  base::PutUvarint(text.size(), out);
  out->append(text.data(), text.size());
}

std::int64_t Difference(std::uint64_t a, std::uint64_t b) {
  return static_cast<std::int64_t>(a - b);
}

// Wraps around instead of overflowing on hostile input.
std::int64_t Sum(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) +
                                   static_cast<std::uint64_t>(b));
}

std::int64_t Difference(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) -
                                   static_cast<std::uint64_t>(b));
}

absl::Status Malformed(absl::string_view what, absl::string_view record,
                       const base::ByteReader& reader) {
  return absl::DataLossError(
      absl::StrCat("malformed ", what, " record of ", record.size(), " bytes, ",
                   reader.remaining(), " bytes before its end"));
}

// A reader of what follows the type byte.
base::ByteReader BodyOf(absl::string_view record) {
  return base::ByteReader(record.empty() ? record : record.substr(1));
}

char* WriteVarint(std::int64_t value, char* out) {
  auto bits = (static_cast<std::uint64_t>(value) << 1) ^
              (value < 0 ? ~std::uint64_t{0} : 0);
  while (bits >= 0x80) {
    *out++ = static_cast<char>(bits | 0x80);
    bits >>= 7;
  }
  *out++ = static_cast<char>(bits);
  return out;
}

// Reads a varint that lies in [*at, end). False when it does not.
bool ReadVarint(const char** at, const char* end, std::int64_t* value) {
  std::uint64_t bits = 0;
  for (int shift = 0; *at < end && shift < 64; shift += 7) {
    const auto byte = static_cast<std::uint8_t>(*(*at)++);
    bits |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) {
      *value = static_cast<std::int64_t>((bits >> 1) ^ (0 - (bits & 1)));
      return true;
    }
  }
  return false;
}

}  // namespace

std::uint8_t WalRecordTypeOf(absl::string_view record) {
  return record.empty() ? 0 : static_cast<std::uint8_t>(record[0]);
}

void EncodeSeries(absl::Span<const RefSeries> series, std::string* out) {
  if (series.empty()) return;
  out->push_back(static_cast<char>(WalRecordType::kSeries));
  for (const RefSeries& one : series) {
    base::PutBe64(one.ref, out);
    base::PutUvarint(one.labels.size(), out);
    // The encoding of a label set is what the format asks for.
    out->append(one.labels.encoded().data(), one.labels.encoded().size());
  }
}

void EncodeSamples(absl::Span<const RefSample> samples, std::string* out) {
  if (samples.empty()) return;
  // Two varints of at most ten bytes and a value: written in place, then cut.
  constexpr std::size_t kMostPerSample = 10 + 10 + 8;
  const RefSample& first = samples[0];
  out->push_back(static_cast<char>(WalRecordType::kSamples));
  base::PutBe64(first.ref, out);
  base::PutBe64(static_cast<std::uint64_t>(first.timestamp_ms), out);
  const std::size_t before = out->size();
  out->resize(before + samples.size() * kMostPerSample);
  char* at = out->data() + before;
  for (const RefSample& sample : samples) {
    at = WriteVarint(Difference(sample.ref, first.ref), at);
    at = WriteVarint(Difference(sample.timestamp_ms, first.timestamp_ms), at);
    const std::uint64_t bits =
        __builtin_bswap64(std::bit_cast<std::uint64_t>(sample.value));
    std::memcpy(at, &bits, sizeof(bits));
    at += sizeof(bits);
  }
  out->resize(static_cast<std::size_t>(at - out->data()));
}

void EncodeTombstones(absl::Span<const RefTombstone> tombstones,
                      std::string* out) {
  if (tombstones.empty()) return;
  out->push_back(static_cast<char>(WalRecordType::kTombstones));
  for (const RefTombstone& one : tombstones) {
    base::PutBe64(one.ref, out);
    base::PutVarint(one.range.min_ms, out);
    base::PutVarint(one.range.max_ms, out);
  }
}

void EncodeMetadata(absl::Span<const RefMetadata> metadata, std::string* out) {
  if (metadata.empty()) return;
  out->push_back(static_cast<char>(WalRecordType::kMetadata));
  for (const RefMetadata& one : metadata) {
    base::PutUvarint(one.ref, out);
    out->push_back(static_cast<char>(one.type));
    base::PutUvarint(2, out);
    PutString(kUnitField, out);
    PutString(one.unit, out);
    PutString(kHelpField, out);
    PutString(one.help, out);
  }
}

absl::Status DecodeSeries(absl::string_view record,
                          std::vector<RefSeries>* out) {
  base::ByteReader reader = BodyOf(record);
  std::vector<std::pair<std::string, std::string>> pairs;
  while (reader.remaining() > 0) {
    RefSeries series;
    series.ref = reader.Be64();
    const std::uint64_t count = reader.Uvarint();
    const absl::string_view start = reader.rest();
    for (std::uint64_t i = 0; i < count && reader.ok(); ++i) {
      reader.UvarintBytes();
      reader.UvarintBytes();
    }
    if (!reader.ok()) return Malformed("series", record, reader);
    const absl::string_view encoded =
        start.substr(0, start.size() - reader.remaining());
    if (!model::Labels::FromEncoded(encoded, &series.labels)) {
      // Unsorted or with empty values: legal, and put in order here.
      pairs.clear();
      base::ByteReader labels(encoded);
      for (std::uint64_t i = 0; i < count; ++i) {
        const absl::string_view name = labels.UvarintBytes();
        const absl::string_view value = labels.UvarintBytes();
        pairs.emplace_back(std::string(name), std::string(value));
      }
      series.labels = model::Labels(pairs);
    }
    out->push_back(std::move(series));
  }
  return absl::OkStatus();
}

absl::Status DecodeSamples(absl::string_view record,
                           std::vector<RefSample>* out) {
  base::ByteReader reader = BodyOf(record);
  if (reader.remaining() == 0) return absl::OkStatus();
  const std::uint64_t base_ref = reader.Be64();
  const auto base_time = static_cast<std::int64_t>(reader.Be64());
  const char* at = reader.rest().data();
  const char* const end = at + reader.rest().size();
  while (reader.ok() && at < end) {
    std::int64_t ref = 0;
    std::int64_t time = 0;
    std::uint64_t bits = 0;
    if (!ReadVarint(&at, end, &ref) || !ReadVarint(&at, end, &time) ||
        end - at < static_cast<std::ptrdiff_t>(sizeof(bits))) {
      return Malformed("samples", record, reader);
    }
    std::memcpy(&bits, at, sizeof(bits));
    at += sizeof(bits);
    out->push_back({base_ref + static_cast<std::uint64_t>(ref),
                    Sum(base_time, time),
                    std::bit_cast<double>(__builtin_bswap64(bits))});
  }
  if (!reader.ok()) return Malformed("samples", record, reader);
  return absl::OkStatus();
}

absl::Status DecodeTombstones(absl::string_view record,
                              std::vector<RefTombstone>* out) {
  base::ByteReader reader = BodyOf(record);
  while (reader.remaining() > 0) {
    RefTombstone one;
    one.ref = reader.Be64();
    one.range.min_ms = reader.Varint();
    one.range.max_ms = reader.Varint();
    if (!reader.ok()) return Malformed("tombstones", record, reader);
    out->push_back(one);
  }
  return absl::OkStatus();
}

absl::Status DecodeMetadata(absl::string_view record,
                            std::vector<RefMetadata>* out) {
  base::ByteReader reader = BodyOf(record);
  while (reader.remaining() > 0) {
    RefMetadata one;
    one.ref = reader.Uvarint();
    one.type = reader.Byte();
    const std::uint64_t fields = reader.Uvarint();
    for (std::uint64_t i = 0; i < fields && reader.ok(); ++i) {
      const absl::string_view name = reader.UvarintBytes();
      const absl::string_view value = reader.UvarintBytes();
      if (name == kUnitField) one.unit = std::string(value);
      if (name == kHelpField) one.help = std::string(value);
    }
    if (!reader.ok()) return Malformed("metadata", record, reader);
    out->push_back(std::move(one));
  }
  return absl::OkStatus();
}

bool BaseOfRecord(absl::string_view record, storage::SeriesRef* ref,
                  std::int64_t* timestamp_ms) {
  const auto type = static_cast<WalRecordType>(WalRecordTypeOf(record));
  const bool has_base = type == WalRecordType::kExemplars ||
                        (type >= WalRecordType::kHistograms &&
                         type <= WalRecordType::kCustomBucketFloatHistograms);
  if (!has_base) return false;
  base::ByteReader reader = BodyOf(record);
  *ref = reader.Be64();
  *timestamp_ms = static_cast<std::int64_t>(reader.Be64());
  return reader.ok();
}

}  // namespace narthex::tsdb
