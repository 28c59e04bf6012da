#include "libs/tsdb/index_writer.h"

#include <algorithm>
#include <limits>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "libs/base/crc32c.h"
#include "libs/base/status.h"
#include "libs/base/varint.h"
#include "libs/tsdb/buffered_file.h"

namespace narthex::tsdb {
namespace {

using index_format::kSeriesAlignment;

/// Lists of symbols and of postings are aligned to their numbers' size.
constexpr std::uint64_t kListAlignment = 4;

void PutText(absl::string_view text, std::string* out) {
  base::PutUvarint(text.size(), out);
  out->append(text.data(), text.size());
}

void PutCount(std::size_t count, std::string* out) {
  base::PutBe32(static_cast<std::uint32_t>(count), out);
}

/// One of the two offset tables: what to look up, and where it is.
struct OffsetTable {
  std::uint32_t count = 0;
  std::string entries;

  void Add(std::initializer_list<absl::string_view> keys,
           std::uint64_t offset) {
    ++count;
    entries.push_back(static_cast<char>(keys.size()));
    for (const absl::string_view key : keys) PutText(key, &entries);
    base::PutUvarint(offset, &entries);
  }
};

}  // namespace

struct IndexWriter::Rep {
  explicit Rep(BufferedFile f) : file(std::move(f)) {}

  absl::string_view SymbolAt(std::uint32_t ref) const;
  /// A length, `body` and its checksum.
  absl::Status WriteSection(absl::string_view body);
  absl::Status WriteSymbols();
  absl::Status WriteLabelIndices();
  absl::Status WritePostings();
  absl::Status WritePostingsList(const Postings& ids);
  absl::Status WriteOffsetTable(const OffsetTable& table);
  absl::Status WriteToc();

  BufferedFile file;
  std::string symbols;  // Each after its length, as in the file.
  std::vector<std::uint64_t> symbol_offsets;
  std::string last_symbol;
  Postings all;
  // By name << 32 | value: as symbols are sorted, so are the keys.
  absl::flat_hash_map<std::uint64_t, Postings> postings;
  std::vector<std::uint64_t> keys;
  std::string series;  // Reused between series.
  OffsetTable label_offsets;
  OffsetTable postings_offsets;

  // The table of contents, in its order; zero until the section begins.
  std::uint64_t symbols_at = 0;
  std::uint64_t series_at = 0;
  std::uint64_t label_indices_at = 0;
  std::uint64_t label_offsets_at = 0;
  std::uint64_t postings_at = 0;
  std::uint64_t postings_offsets_at = 0;
};

absl::string_view IndexWriter::Rep::SymbolAt(std::uint32_t ref) const {
  return base::ByteReader(
             absl::string_view(symbols).substr(symbol_offsets[ref]))
      .UvarintBytes();
}

absl::Status IndexWriter::Rep::WriteSection(absl::string_view body) {
  if (body.size() > std::numeric_limits<std::uint32_t>::max()) {
    return absl::ResourceExhaustedError(
        absl::StrCat(file.path(), ": a section of ", body.size(),
                     " bytes exceeds the format's 4 GiB"));
  }
  std::string length;
  PutCount(body.size(), &length);
  std::string crc;
  base::PutBe32(base::Crc32c(body), &crc);
  NARTHEX_RETURN_IF_ERROR(file.Append(length));
  NARTHEX_RETURN_IF_ERROR(file.Append(body));
  return file.Append(crc);
}

absl::Status IndexWriter::Rep::WriteSymbols() {
  symbols_at = file.offset();
  std::string body;
  body.reserve(symbols.size() + 4);
  PutCount(symbol_offsets.size(), &body);
  body += symbols;
  NARTHEX_RETURN_IF_ERROR(WriteSection(body));
  series_at = file.offset();
  return absl::OkStatus();
}

// Readers skip the label indices of a version 2 index; Prometheus writes them
// all the same, and so do we.
absl::Status IndexWriter::Rep::WriteLabelIndices() {
  label_indices_at = file.offset();
  for (std::size_t i = 0; i < keys.size();) {
    const std::uint64_t name = keys[i] >> 32;
    std::size_t end = i;
    while (end < keys.size() && keys[end] >> 32 == name) ++end;
    NARTHEX_RETURN_IF_ERROR(file.Pad(kListAlignment));
    label_offsets.Add({SymbolAt(static_cast<std::uint32_t>(name))},
                      file.offset());
    std::string body;
    PutCount(1, &body);
    PutCount(end - i, &body);
    for (; i < end; ++i) {
      base::PutBe32(static_cast<std::uint32_t>(keys[i]), &body);
    }
    NARTHEX_RETURN_IF_ERROR(WriteSection(body));
  }
  return absl::OkStatus();
}

absl::Status IndexWriter::Rep::WritePostingsList(const Postings& ids) {
  std::string body;
  body.reserve(4 * (ids.size() + 1));
  PutCount(ids.size(), &body);
  for (const SeriesId id : ids) base::PutBe32(id, &body);
  return WriteSection(body);
}

absl::Status IndexWriter::Rep::WritePostings() {
  postings_at = file.offset();
  NARTHEX_RETURN_IF_ERROR(file.Pad(kListAlignment));
  postings_offsets.Add({"", ""}, file.offset());
  NARTHEX_RETURN_IF_ERROR(WritePostingsList(all));
  for (const std::uint64_t key : keys) {
    NARTHEX_RETURN_IF_ERROR(file.Pad(kListAlignment));
    postings_offsets.Add({SymbolAt(static_cast<std::uint32_t>(key >> 32)),
                          SymbolAt(static_cast<std::uint32_t>(key))},
                         file.offset());
    NARTHEX_RETURN_IF_ERROR(WritePostingsList(postings[key]));
  }
  return absl::OkStatus();
}

absl::Status IndexWriter::Rep::WriteOffsetTable(const OffsetTable& table) {
  std::string body;
  body.reserve(table.entries.size() + 4);
  PutCount(table.count, &body);
  body += table.entries;
  return WriteSection(body);
}

absl::Status IndexWriter::Rep::WriteToc() {
  std::string toc;
  for (const std::uint64_t offset :
       {symbols_at, series_at, label_indices_at, label_offsets_at, postings_at,
        postings_offsets_at}) {
    base::PutBe64(offset, &toc);
  }
  base::PutBe32(base::Crc32c(toc), &toc);
  return file.Append(toc);
}

absl::StatusOr<std::unique_ptr<IndexWriter>> IndexWriter::Create(
    const std::string& path) {
  NARTHEX_ASSIGN_OR_RETURN(BufferedFile file, BufferedFile::Create(path));
  std::string header;
  base::PutBe32(index_format::kMagic, &header);
  header.push_back(static_cast<char>(index_format::kVersion2));
  NARTHEX_RETURN_IF_ERROR(file.Append(header));
  return std::unique_ptr<IndexWriter>(
      new IndexWriter(std::make_unique<Rep>(std::move(file))));
}

IndexWriter::IndexWriter(std::unique_ptr<Rep> rep) : rep_(std::move(rep)) {}

IndexWriter::~IndexWriter() = default;

absl::Status IndexWriter::AddSymbol(absl::string_view symbol) {
  Rep& rep = *rep_;
  if (rep.series_at != 0) {
    return absl::FailedPreconditionError("symbols come before all series");
  }
  if (!rep.symbol_offsets.empty() && symbol <= rep.last_symbol) {
    return absl::InvalidArgumentError(absl::StrCat(
        "symbol \"", symbol, "\" is not after \"", rep.last_symbol, "\""));
  }
  rep.symbol_offsets.push_back(rep.symbols.size());
  PutText(symbol, &rep.symbols);
  rep.last_symbol.assign(symbol.data(), symbol.size());
  return absl::OkStatus();
}

absl::StatusOr<SeriesId> IndexWriter::AddSeries(
    absl::Span<const LabelSymbols> labels, absl::Span<const ChunkMeta> chunks) {
  Rep& rep = *rep_;
  if (rep.series_at == 0) NARTHEX_RETURN_IF_ERROR(rep.WriteSymbols());
  NARTHEX_RETURN_IF_ERROR(rep.file.Pad(kSeriesAlignment));
  const std::uint64_t number = rep.file.offset() / kSeriesAlignment;
  if (number > std::numeric_limits<SeriesId>::max()) {
    return absl::ResourceExhaustedError(
        absl::StrCat(rep.file.path(), ": series exceed the format's 64 GiB"));
  }
  const auto id = static_cast<SeriesId>(number);

  std::string& body = rep.series;
  body.clear();
  base::PutUvarint(labels.size(), &body);
  for (const auto& [name, value] : labels) {
    if (std::max(name, value) >= rep.symbol_offsets.size()) {
      return absl::InvalidArgumentError(
          absl::StrCat("no symbol ", std::max(name, value)));
    }
    base::PutUvarint(name, &body);
    base::PutUvarint(value, &body);
    rep.postings[std::uint64_t{name} << 32 | value].push_back(id);
  }
  rep.all.push_back(id);
  base::PutUvarint(chunks.size(), &body);
  for (std::size_t i = 0; i < chunks.size(); ++i) {
    const ChunkMeta& chunk = chunks[i];
    const auto min = static_cast<std::uint64_t>(chunk.min_ms);
    if (i == 0) {
      base::PutVarint(chunk.min_ms, &body);
    } else {
      base::PutUvarint(min - static_cast<std::uint64_t>(chunks[i - 1].max_ms),
                       &body);
    }
    base::PutUvarint(static_cast<std::uint64_t>(chunk.max_ms) - min, &body);
    if (i == 0) {
      base::PutUvarint(chunk.ref, &body);
    } else {
      base::PutVarint(static_cast<std::int64_t>(chunk.ref - chunks[i - 1].ref),
                      &body);
    }
  }
  std::string length;
  base::PutUvarint(body.size(), &length);
  NARTHEX_RETURN_IF_ERROR(rep.file.Append(length));
  base::PutBe32(base::Crc32c(body), &body);
  NARTHEX_RETURN_IF_ERROR(rep.file.Append(body));
  return id;
}

absl::Status IndexWriter::Finish() {
  Rep& rep = *rep_;
  if (rep.series_at == 0) NARTHEX_RETURN_IF_ERROR(rep.WriteSymbols());
  rep.keys.reserve(rep.postings.size());
  for (const auto& [key, ids] : rep.postings) rep.keys.push_back(key);
  std::sort(rep.keys.begin(), rep.keys.end());

  NARTHEX_RETURN_IF_ERROR(rep.WriteLabelIndices());
  NARTHEX_RETURN_IF_ERROR(rep.WritePostings());
  rep.label_offsets_at = rep.file.offset();
  NARTHEX_RETURN_IF_ERROR(rep.WriteOffsetTable(rep.label_offsets));
  rep.postings_offsets_at = rep.file.offset();
  NARTHEX_RETURN_IF_ERROR(rep.WriteOffsetTable(rep.postings_offsets));
  NARTHEX_RETURN_IF_ERROR(rep.WriteToc());
  return rep.file.Close(/*sync=*/true);
}

std::uint64_t IndexWriter::bytes_written() const { return rep_->file.offset(); }

}  // namespace narthex::tsdb
