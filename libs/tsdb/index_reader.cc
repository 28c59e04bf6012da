#include "libs/tsdb/index_reader.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/base/crc32c.h"
#include "libs/base/status.h"
#include "libs/base/varint.h"

namespace narthex::tsdb {
namespace {

using base::ByteReader;

/// Every how many symbols, and entries of a sorted postings offset table, a
/// position is kept in memory; those between are walked.
constexpr std::size_t kSymbolStride = 8;
constexpr std::size_t kTableStride = 32;

constexpr std::uint64_t kEntryKeys = 2;

/// Skips one text after its length.
void SkipText(ByteReader& reader) { reader.UvarintBytes(); }

/// Reads the chunks of a series' entry.
void ReadChunkMetas(ByteReader& reader, std::vector<ChunkMeta>* chunks) {
  chunks->clear();
  const std::uint64_t count = reader.Uvarint();
  for (std::uint64_t i = 0; i < count && reader.ok(); ++i) {
    ChunkMeta chunk;
    std::uint64_t min;
    if (i == 0) {
      min = static_cast<std::uint64_t>(reader.Varint());
    } else {
      min =
          static_cast<std::uint64_t>(chunks->back().max_ms) + reader.Uvarint();
    }
    chunk.min_ms = static_cast<std::int64_t>(min);
    chunk.max_ms = static_cast<std::int64_t>(min + reader.Uvarint());
    chunk.ref = i == 0 ? reader.Uvarint()
                       : chunks->back().ref +
                             static_cast<std::uint64_t>(reader.Varint());
    chunks->push_back(chunk);
  }
}

}  // namespace

IndexReader::IndexReader(std::string path, base::MappedFile file)
    : path_(std::move(path)), file_(std::move(file)) {}

absl::StatusOr<std::unique_ptr<IndexReader>> IndexReader::Open(
    const std::string& path) {
  NARTHEX_ASSIGN_OR_RETURN(base::MappedFile file, base::MappedFile::Open(path));
  std::unique_ptr<IndexReader> reader(new IndexReader(path, std::move(file)));
  NARTHEX_RETURN_IF_ERROR(reader->Load());
  return reader;
}

absl::Status IndexReader::Corrupt(std::uint64_t offset,
                                  absl::string_view what) const {
  return absl::DataLossError(
      absl::StrCat(path_, ": offset ", offset, ": ", what));
}

absl::Status IndexReader::Load() {
  const absl::string_view data = file_.data();
  ByteReader header(data);
  if (header.Be32() != index_format::kMagic) {
    return Corrupt(0, "bad magic number");
  }
  version_ = header.Byte();
  if (version_ < index_format::kVersion1 ||
      version_ > index_format::kVersion3) {
    return absl::InvalidArgumentError(absl::StrCat(
        path_, ": index format version ", version_, " is not read"));
  }
  if (data.size() < index_format::kHeaderBytes + index_format::kTocBytes) {
    return Corrupt(data.size(), "no table of contents");
  }
  const std::uint64_t toc_offset = data.size() - index_format::kTocBytes;
  const absl::string_view toc = data.substr(toc_offset);
  ByteReader reader(toc);
  const std::uint64_t symbols = reader.Be64();
  reader.Be64();  // Series.
  reader.Be64();  // Label indices.
  reader.Be64();  // Label offset table.
  reader.Be64();  // Postings.
  const std::uint64_t postings_table = reader.Be64();
  if (base::Crc32c(toc.substr(0, toc.size() - 4)) != reader.Be32()) {
    return Corrupt(toc_offset, "table of contents: checksum mismatch");
  }
  NARTHEX_RETURN_IF_ERROR(LoadSymbols(symbols));
  return LoadPostingsTable(postings_table);
}

absl::StatusOr<absl::string_view> IndexReader::ReadSection(
    std::uint64_t offset, absl::string_view what) const {
  const absl::string_view data = file_.data();
  if (offset > data.size()) {
    return Corrupt(offset, absl::StrCat(what, ": beyond the end"));
  }
  ByteReader reader(data.substr(offset));
  const absl::string_view body = reader.Bytes(reader.Be32());
  const std::uint32_t crc = reader.Be32();
  if (!reader.ok()) return Corrupt(offset, absl::StrCat(what, ": cut off"));
  if (base::Crc32c(body) != crc) {
    return Corrupt(offset, absl::StrCat(what, ": checksum mismatch"));
  }
  return body;
}

absl::Status IndexReader::LoadSymbols(std::uint64_t offset) {
  if (offset == 0) return absl::OkStatus();
  NARTHEX_ASSIGN_OR_RETURN(const absl::string_view body,
                           ReadSection(offset, "symbols"));
  ByteReader reader(body);
  symbol_count_ = reader.Be32();
  symbols_ = reader.rest();
  symbols_offset_ = offset;
  for (std::size_t i = 0; i < symbol_count_ && reader.ok(); ++i) {
    if (i % kSymbolStride == 0) {
      symbol_samples_.push_back(
          static_cast<std::uint32_t>(symbols_.size() - reader.remaining()));
    }
    SkipText(reader);
  }
  if (!reader.ok()) return Corrupt(offset, "symbols: fewer than counted");
  return absl::OkStatus();
}

absl::StatusOr<absl::string_view> IndexReader::Symbol(std::uint32_t ref) const {
  // In version 1 the number of a symbol is its offset in the file.
  if (version_ == index_format::kVersion1) {
    if (ref >= file_.data().size()) return Corrupt(ref, "no such symbol");
    ByteReader reader(file_.data().substr(ref));
    const absl::string_view symbol = reader.UvarintBytes();
    if (!reader.ok()) return Corrupt(ref, "no such symbol");
    return symbol;
  }
  if (ref >= symbol_count_) {
    return Corrupt(symbols_offset_, absl::StrCat("no symbol ", ref));
  }
  // Load walked all symbols: none is malformed.
  ByteReader reader(symbols_.substr(symbol_samples_[ref / kSymbolStride]));
  for (std::size_t i = 0; i < ref % kSymbolStride; ++i) SkipText(reader);
  return reader.UvarintBytes();
}

absl::StatusOr<IndexReader::Entry> IndexReader::ReadEntry(
    std::uint32_t offset) const {
  ByteReader reader(table_.substr(offset));
  Entry entry;
  const bool two_keys = reader.Uvarint() == kEntryKeys;
  entry.name = reader.UvarintBytes();
  entry.value = reader.UvarintBytes();
  entry.postings_offset = reader.Uvarint();
  if (!reader.ok() || !two_keys) {
    return Corrupt(table_offset_, absl::StrCat("postings offset table: "
                                               "malformed entry at ",
                                               offset));
  }
  entry.next = static_cast<std::uint32_t>(table_.size() - reader.remaining());
  return entry;
}

absl::Status IndexReader::LoadPostingsTable(std::uint64_t offset) {
  if (offset == 0) return absl::OkStatus();
  NARTHEX_ASSIGN_OR_RETURN(const absl::string_view body,
                           ReadSection(offset, "postings offset table"));
  ByteReader reader(body);
  const std::uint32_t count = reader.Be32();
  if (!reader.ok()) return Corrupt(offset, "postings offset table: no count");
  table_ = reader.rest();
  table_offset_ = offset;
  return version_ == index_format::kVersion1 ? LoadUnsortedTable(count)
                                             : LoadSortedTable(count);
}

absl::Status IndexReader::LoadSortedTable(std::uint32_t count) {
  stride_ = kTableStride;
  std::uint32_t at = 0;
  absl::string_view last_value;
  for (std::uint32_t i = 0; i < count; ++i) {
    NARTHEX_ASSIGN_OR_RETURN(const Entry entry, ReadEntry(at));
    if (names_.empty() || names_.back().name != entry.name) {
      if (!names_.empty() && entry.name < names_.back().name) {
        return Corrupt(table_offset_, "postings offset table: not sorted");
      }
      names_.push_back({entry.name, {}, 0});
    } else if (entry.value <= last_value) {
      return Corrupt(table_offset_, "postings offset table: not sorted");
    }
    last_value = entry.value;
    NameEntries& name = names_.back();
    if (name.count % stride_ == 0) name.samples.push_back(at);
    ++name.count;
    at = entry.next;
  }
  return absl::OkStatus();
}

absl::Status IndexReader::LoadUnsortedTable(std::uint32_t count) {
  stride_ = 1;
  std::vector<std::pair<Entry, std::uint32_t>> entries;
  std::uint32_t at = 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    NARTHEX_ASSIGN_OR_RETURN(const Entry entry, ReadEntry(at));
    entries.emplace_back(entry, at);
    at = entry.next;
  }
  std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) {
    if (a.first.name != b.first.name) return a.first.name < b.first.name;
    return a.first.value < b.first.value;
  });
  for (const auto& [entry, position] : entries) {
    if (names_.empty() || names_.back().name != entry.name) {
      names_.push_back({entry.name, {}, 0});
    }
    names_.back().samples.push_back(position);
    ++names_.back().count;
  }
  return absl::OkStatus();
}

const IndexReader::NameEntries* IndexReader::FindName(
    absl::string_view name) const {
  const auto it = std::lower_bound(
      names_.begin(), names_.end(), name,
      [](const NameEntries& a, absl::string_view b) { return a.name < b; });
  return it == names_.end() || it->name != name ? nullptr : &*it;
}

absl::Status IndexReader::Scan(
    const NameEntries& entries, absl::string_view from,
    const std::function<absl::StatusOr<bool>(const Entry&)>& visit) const {
  // The last sampled entry that is not above `from` begins the stretch.
  std::size_t low = 0;
  std::size_t high = entries.samples.size();
  while (high - low > 1) {
    const std::size_t middle = low + (high - low) / 2;
    NARTHEX_ASSIGN_OR_RETURN(const Entry entry,
                             ReadEntry(entries.samples[middle]));
    (entry.value <= from ? low : high) = middle;
  }
  std::uint32_t next = 0;
  for (std::size_t i = low * stride_; i < entries.count; ++i) {
    const std::uint32_t at =
        i % stride_ == 0 ? entries.samples[i / stride_] : next;
    NARTHEX_ASSIGN_OR_RETURN(const Entry entry, ReadEntry(at));
    next = entry.next;
    if (entry.value < from) continue;
    NARTHEX_ASSIGN_OR_RETURN(const bool go_on, visit(entry));
    if (!go_on) break;
  }
  return absl::OkStatus();
}

absl::StatusOr<PostingsView> IndexReader::PostingsAt(
    std::uint64_t offset) const {
  NARTHEX_ASSIGN_OR_RETURN(const absl::string_view body,
                           ReadSection(offset, "postings"));
  ByteReader reader(body);
  const std::uint32_t count = reader.Be32();
  if (!reader.ok() || reader.remaining() != std::uint64_t{count} * 4) {
    return Corrupt(offset, "postings: count does not fit the length");
  }
  return PostingsView::BigEndian(reader.rest());
}

absl::StatusOr<PostingsView> IndexReader::All() const { return Find("", ""); }

absl::StatusOr<PostingsView> IndexReader::Find(absl::string_view name,
                                               absl::string_view value) const {
  const NameEntries* entries = FindName(name);
  if (entries == nullptr) return PostingsView();
  PostingsView postings;
  NARTHEX_RETURN_IF_ERROR(
      Scan(*entries, value, [&](const Entry& entry) -> absl::StatusOr<bool> {
        if (entry.value != value) return false;
        NARTHEX_ASSIGN_OR_RETURN(postings, PostingsAt(entry.postings_offset));
        return false;
      }));
  return postings;
}

absl::Status IndexReader::ForEachValue(absl::string_view name,
                                       absl::string_view prefix,
                                       const Visit& visit) const {
  // The entry without a name holds all series, it is not a label.
  const NameEntries* entries = name.empty() ? nullptr : FindName(name);
  if (entries == nullptr) return absl::OkStatus();
  return Scan(
      *entries, prefix, [&](const Entry& entry) -> absl::StatusOr<bool> {
        if (!absl::StartsWith(entry.value, prefix)) return false;
        const std::uint64_t offset = entry.postings_offset;
        NARTHEX_RETURN_IF_ERROR(
            visit(entry.value, [this, offset] { return PostingsAt(offset); }));
        return true;
      });
}

std::vector<std::string> IndexReader::LabelNames() const {
  std::vector<std::string> names;
  for (const NameEntries& entries : names_) {
    if (!entries.name.empty()) names.emplace_back(entries.name);
  }
  return names;
}

absl::StatusOr<std::vector<std::string>> IndexReader::LabelValues(
    absl::string_view name) const {
  std::vector<std::string> values;
  NARTHEX_RETURN_IF_ERROR(
      ForEachValue(name, "", [&](absl::string_view value, const Fetch&) {
        values.emplace_back(value);
        return absl::OkStatus();
      }));
  return values;
}

std::uint64_t IndexReader::SeriesOffset(SeriesId id) const {
  if (version_ == index_format::kVersion1) return id;
  return std::uint64_t{id} * index_format::kSeriesAlignment;
}

absl::StatusOr<absl::string_view> IndexReader::SeriesBody(SeriesId id) const {
  const std::uint64_t offset = SeriesOffset(id);
  if (offset >= file_.data().size()) return Corrupt(offset, "no such series");
  ByteReader reader(file_.data().substr(offset));
  const absl::string_view body = reader.UvarintBytes();
  const std::uint32_t crc = reader.Be32();
  if (!reader.ok()) return Corrupt(offset, "series: cut off");
  if (base::Crc32c(body) != crc) {
    return Corrupt(offset, "series: checksum mismatch");
  }
  return body;
}

absl::Status IndexReader::Series(SeriesId id, model::Labels* labels,
                                 std::vector<ChunkMeta>* chunks) const {
  NARTHEX_ASSIGN_OR_RETURN(const absl::string_view body, SeriesBody(id));
  ByteReader reader(body);
  std::string encoded;
  const std::uint64_t count = reader.Uvarint();
  for (std::uint64_t i = 0; i < 2 * count && reader.ok(); ++i) {
    const std::uint64_t ref = reader.Uvarint();
    if (labels == nullptr) continue;
    NARTHEX_ASSIGN_OR_RETURN(const absl::string_view symbol,
                             Symbol(static_cast<std::uint32_t>(ref)));
    base::PutUvarint(symbol.size(), &encoded);
    encoded.append(symbol.data(), symbol.size());
  }
  if (chunks != nullptr && reader.ok()) ReadChunkMetas(reader, chunks);
  if (!reader.ok() ||
      (labels != nullptr && !model::Labels::FromEncoded(encoded, labels))) {
    return Corrupt(SeriesOffset(id), "series: malformed");
  }
  return absl::OkStatus();
}

absl::StatusOr<absl::string_view> IndexReader::LabelValue(
    SeriesId id, absl::string_view name) const {
  NARTHEX_ASSIGN_OR_RETURN(const absl::string_view body, SeriesBody(id));
  ByteReader reader(body);
  const std::uint64_t count = reader.Uvarint();
  for (std::uint64_t i = 0; i < count && reader.ok(); ++i) {
    const auto name_ref = static_cast<std::uint32_t>(reader.Uvarint());
    const auto value_ref = static_cast<std::uint32_t>(reader.Uvarint());
    NARTHEX_ASSIGN_OR_RETURN(const absl::string_view symbol, Symbol(name_ref));
    if (symbol == name) return Symbol(value_ref);
  }
  if (!reader.ok()) return Corrupt(SeriesOffset(id), "series: malformed");
  return absl::string_view();
}

}  // namespace narthex::tsdb
