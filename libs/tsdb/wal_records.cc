#include "libs/tsdb/wal_records.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

#include "libs/base/status.h"
#include "libs/base/varint.h"
#include "libs/tsdb/wal_fields.h"

namespace narthex::tsdb {
namespace {

constexpr absl::string_view kUnitField = "UNIT";
constexpr absl::string_view kHelpField = "HELP";

void PutString(absl::string_view text, std::string* out) {
  base::PutUvarint(text.size(), out);
  out->append(text.data(), text.size());
}

absl::Status DecodeStartingSamples(absl::string_view record,
                                   std::vector<RefSample>* out,
                                   std::vector<std::int64_t>* starts_ms) {
  base::ByteReader reader = BodyOfRecord(record);
  StartingFields starting;
  while (reader.remaining() > 0) {
    const SampleFields fields = starting.Get(&reader);
    const std::uint64_t bits = reader.Be64();
    if (!reader.ok()) return MalformedRecord("samples", record);
    out->push_back(
        {fields.ref, fields.timestamp_ms, std::bit_cast<double>(bits)});
    if (starts_ms != nullptr) {
      starts_ms->resize(out->size() - 1);
      starts_ms->push_back(fields.start_ms);
    }
  }
  return absl::OkStatus();
}

}  // namespace

// The encoding of a label set is what the format asks for.
void PutLabels(const model::Labels& labels, std::string* out) {
  base::PutUvarint(labels.size(), out);
  out->append(labels.encoded().data(), labels.encoded().size());
}

bool GetLabels(base::ByteReader* in, model::Labels* labels) {
  const std::uint64_t count = in->Uvarint();
  const absl::string_view start = in->rest();
  for (std::uint64_t i = 0; i < count && in->ok(); ++i) {
    in->UvarintBytes();
    in->UvarintBytes();
  }
  if (!in->ok()) return false;
  const absl::string_view encoded =
      start.substr(0, start.size() - in->remaining());
  if (model::Labels::FromEncoded(encoded, labels)) return true;
  // Unsorted or with empty values: legal, and put in order here.
  std::vector<std::pair<std::string, std::string>> pairs;
  base::ByteReader reader(encoded);
  for (std::uint64_t i = 0; i < count; ++i) {
    const absl::string_view name = reader.UvarintBytes();
    const absl::string_view value = reader.UvarintBytes();
    pairs.emplace_back(std::string(name), std::string(value));
  }
  *labels = model::Labels(pairs);
  return true;
}

std::uint8_t WalRecordTypeOf(absl::string_view record) {
  return record.empty() ? 0 : static_cast<std::uint8_t>(record[0]);
}

void EncodeSeries(absl::Span<const RefSeries> series, std::string* out) {
  if (series.empty()) return;
  out->push_back(static_cast<char>(WalRecordType::kSeries));
  for (const RefSeries& one : series) {
    base::PutBe64(one.ref, out);
    PutLabels(one.labels, out);
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
    at = base::WriteVarint(Difference(sample.ref, first.ref), at);
    at = base::WriteVarint(Difference(sample.timestamp_ms, first.timestamp_ms),
                           at);
    const std::uint64_t bits =
        __builtin_bswap64(std::bit_cast<std::uint64_t>(sample.value));
    std::memcpy(at, &bits, sizeof(bits));
    at += sizeof(bits);
  }
  out->resize(static_cast<std::size_t>(at - out->data()));
}

void EncodeSamples(absl::Span<const RefSample> samples,
                   absl::Span<const std::int64_t> starts_ms, std::string* out) {
  const bool any =
      std::any_of(starts_ms.begin(), starts_ms.end(),
                  [](std::int64_t start_ms) { return start_ms != 0; });
  if (any) {
    EncodeStartingSamples(samples, starts_ms, out);
  } else {
    EncodeSamples(samples, out);
  }
}

void EncodeStartingSamples(absl::Span<const RefSample> samples,
                           absl::Span<const std::int64_t> starts_ms,
                           std::string* out) {
  if (samples.empty()) return;
  out->push_back(static_cast<char>(WalRecordType::kSamplesV2));
  StartingFields starting;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    starting.Put({samples[i].ref, samples[i].timestamp_ms, starts_ms[i]}, out);
    base::PutBe64(std::bit_cast<std::uint64_t>(samples[i].value), out);
  }
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

void EncodeExemplars(absl::Span<const RefExemplar> exemplars,
                     std::string* out) {
  if (exemplars.empty()) return;
  out->push_back(static_cast<char>(WalRecordType::kExemplars));
  const RefExemplar& first = exemplars[0];
  base::PutBe64(first.ref, out);
  base::PutBe64(static_cast<std::uint64_t>(first.timestamp_ms), out);
  for (const RefExemplar& one : exemplars) {
    base::PutVarint(Difference(one.ref, first.ref), out);
    base::PutVarint(Difference(one.timestamp_ms, first.timestamp_ms), out);
    base::PutBe64(std::bit_cast<std::uint64_t>(one.value), out);
    PutLabels(one.labels, out);
  }
}

void EncodeMmapMarkers(absl::Span<const RefMmapMarker> markers,
                       std::string* out) {
  if (markers.empty()) return;
  out->push_back(static_cast<char>(WalRecordType::kMmapMarkers));
  for (const RefMmapMarker& one : markers) {
    base::PutBe64(one.ref, out);
    base::PutBe64(one.chunk_ref, out);
  }
}

absl::Status DecodeSeries(absl::string_view record,
                          std::vector<RefSeries>* out) {
  base::ByteReader reader = BodyOfRecord(record);
  while (reader.remaining() > 0) {
    RefSeries series;
    series.ref = reader.Be64();
    if (!GetLabels(&reader, &series.labels)) {
      return MalformedRecord("series", record);
    }
    out->push_back(std::move(series));
  }
  return absl::OkStatus();
}

absl::Status DecodeSamples(absl::string_view record,
                           std::vector<RefSample>* out,
                           std::vector<std::int64_t>* starts_ms) {
  if (static_cast<WalRecordType>(WalRecordTypeOf(record)) ==
      WalRecordType::kSamplesV2) {
    return DecodeStartingSamples(record, out, starts_ms);
  }
  base::ByteReader reader = BodyOfRecord(record);
  if (reader.remaining() == 0) return absl::OkStatus();
  const std::uint64_t base_ref = reader.Be64();
  const auto base_time = static_cast<std::int64_t>(reader.Be64());
  const char* at = reader.rest().data();
  const char* const end = at + reader.rest().size();
  while (reader.ok() && at < end) {
    std::int64_t ref = 0;
    std::int64_t time = 0;
    std::uint64_t bits = 0;
    if (!base::ReadVarint(&at, end, &ref) ||
        !base::ReadVarint(&at, end, &time) ||
        end - at < static_cast<std::ptrdiff_t>(sizeof(bits))) {
      return MalformedRecord("samples", record);
    }
    std::memcpy(&bits, at, sizeof(bits));
    at += sizeof(bits);
    out->push_back({base_ref + static_cast<std::uint64_t>(ref),
                    WrappingSum(base_time, time),
                    std::bit_cast<double>(__builtin_bswap64(bits))});
  }
  if (!reader.ok()) return MalformedRecord("samples", record);
  return absl::OkStatus();
}

absl::Status DecodeTombstones(absl::string_view record,
                              std::vector<RefTombstone>* out) {
  base::ByteReader reader = BodyOfRecord(record);
  while (reader.remaining() > 0) {
    RefTombstone one;
    one.ref = reader.Be64();
    one.range.min_ms = reader.Varint();
    one.range.max_ms = reader.Varint();
    if (!reader.ok()) return MalformedRecord("tombstones", record);
    out->push_back(one);
  }
  return absl::OkStatus();
}

absl::Status DecodeMetadata(absl::string_view record,
                            std::vector<RefMetadata>* out) {
  base::ByteReader reader = BodyOfRecord(record);
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
    if (!reader.ok()) return MalformedRecord("metadata", record);
    out->push_back(std::move(one));
  }
  return absl::OkStatus();
}

absl::Status DecodeExemplars(absl::string_view record,
                             std::vector<RefExemplar>* out) {
  base::ByteReader reader = BodyOfRecord(record);
  if (reader.remaining() == 0) return absl::OkStatus();
  const RecordBase base = RecordBase::Get(&reader);
  while (reader.remaining() > 0) {
    const SampleFields fields = base.Next(&reader);
    RefExemplar one;
    one.ref = fields.ref;
    one.timestamp_ms = fields.timestamp_ms;
    one.value = std::bit_cast<double>(reader.Be64());
    if (!GetLabels(&reader, &one.labels)) {
      return MalformedRecord("exemplars", record);
    }
    out->push_back(std::move(one));
  }
  return reader.ok() ? absl::OkStatus() : MalformedRecord("exemplars", record);
}

absl::Status DecodeMmapMarkers(absl::string_view record,
                               std::vector<RefMmapMarker>* out) {
  base::ByteReader reader = BodyOfRecord(record);
  while (reader.remaining() > 0) {
    RefMmapMarker one;
    one.ref = reader.Be64();
    one.chunk_ref = reader.Be64();
    if (!reader.ok()) return MalformedRecord("mmap markers", record);
    out->push_back(one);
  }
  return absl::OkStatus();
}

}  // namespace narthex::tsdb
