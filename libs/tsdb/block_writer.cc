#include "libs/tsdb/block_writer.h"

#include <algorithm>
#include <numeric>
#include <optional>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "libs/base/file.h"
#include "libs/base/status.h"
#include "libs/base/varint.h"
#include "libs/tsdb/buffered_file.h"
#include "libs/tsdb/chunk_header.h"
#include "libs/tsdb/index_writer.h"
#include "libs/tsdb/tombstones.h"

namespace narthex::tsdb {
namespace {

/// An index begins with its sorted symbols, which are known only at the end:
/// until then the series wait in this file, with symbols numbered in order of
/// first sight.
constexpr absl::string_view kPendingSeriesFile = "series.tmp";

}  // namespace

struct BlockWriter::Rep {
  explicit Rep(BufferedFile file) : pending(std::move(file)) {}

  absl::Status CheckInterrupted() const {
    return options.interrupted != nullptr && options.interrupted->load()
               ? absl::CancelledError("writing of a block was interrupted")
               : absl::OkStatus();
  }
  std::uint32_t SymbolNumber(absl::string_view symbol);
  absl::Status CountSamples(const storage::Chunk& chunk);
  absl::Status WriteIndex();
  /// Copies the waiting series to `index`; `final_number` gives the place of
  /// a symbol among the sorted.
  absl::Status CopySeries(const std::vector<std::uint32_t>& final_number,
                          IndexWriter* index);

  std::string final_directory;
  std::string directory;
  BlockWriterOptions options;
  BlockMeta meta;
  std::unique_ptr<ChunkSegmentWriter> chunks;
  BufferedFile pending;
  absl::flat_hash_map<std::string, std::uint32_t> symbols;
  std::optional<model::Labels> last_labels;
  std::string scratch;
  bool finished = false;
};

std::uint32_t BlockWriter::Rep::SymbolNumber(absl::string_view symbol) {
  const auto next = static_cast<std::uint32_t>(symbols.size());
  return symbols.try_emplace(symbol, next).first->second;
}

absl::Status BlockWriter::Rep::CountSamples(const storage::Chunk& chunk) {
  NARTHEX_ASSIGN_OR_RETURN(const int count,
                           ChunkSampleCount(chunk.encoding, chunk.bytes));
  const auto samples = static_cast<std::uint64_t>(count);
  meta.stats.samples += samples;
  (IsHistogramEncoding(chunk.encoding) ? meta.stats.histogram_samples
                                       : meta.stats.float_samples) += samples;
  ++meta.stats.chunks;
  return absl::OkStatus();
}

absl::Status BlockWriter::Rep::WriteIndex() {
  std::vector<const std::string*> texts(symbols.size());
  for (const auto& [text, number] : symbols) texts[number] = &text;
  std::vector<std::uint32_t> sorted(texts.size());
  std::iota(sorted.begin(), sorted.end(), 0U);
  std::sort(
      sorted.begin(), sorted.end(),
      [&](std::uint32_t a, std::uint32_t b) { return *texts[a] < *texts[b]; });

  NARTHEX_ASSIGN_OR_RETURN(const auto index,
                           IndexWriter::Create(directory + "/index"));
  std::vector<std::uint32_t> final_number(texts.size());
  for (std::uint32_t i = 0; i < sorted.size(); ++i) {
    final_number[sorted[i]] = i;
    NARTHEX_RETURN_IF_ERROR(index->AddSymbol(*texts[sorted[i]]));
  }
  NARTHEX_RETURN_IF_ERROR(CopySeries(final_number, index.get()));
  return index->Finish();
}

absl::Status BlockWriter::Rep::CopySeries(
    const std::vector<std::uint32_t>& final_number, IndexWriter* index) {
  NARTHEX_RETURN_IF_ERROR(pending.Close(/*sync=*/false));
  NARTHEX_ASSIGN_OR_RETURN(const base::MappedFile file,
                           base::MappedFile::Open(pending.path()));
  base::ByteReader reader(file.data());
  std::vector<IndexWriter::LabelSymbols> labels;
  std::vector<ChunkMeta> metas;
  while (reader.remaining() > 0) {
    NARTHEX_RETURN_IF_ERROR(CheckInterrupted());
    labels.resize(reader.Uvarint());
    for (auto& [name, value] : labels) {
      name = final_number[reader.Uvarint()];
      value = final_number[reader.Uvarint()];
    }
    metas.resize(reader.Uvarint());
    for (ChunkMeta& chunk : metas) {
      chunk.min_ms = reader.Varint();
      chunk.max_ms = reader.Varint();
      chunk.ref = reader.Uvarint();
    }
    NARTHEX_RETURN_IF_ERROR(index->AddSeries(labels, metas));
  }
  return base::RemoveAll(pending.path());
}

BlockWriter::BlockWriter(std::unique_ptr<Rep> rep) : rep_(std::move(rep)) {}

BlockWriter::~BlockWriter() {
  // What is left behind after an error here is removed at the next start.
  if (!rep_->finished) base::RemoveAll(rep_->directory).IgnoreError();
}

absl::StatusOr<std::unique_ptr<BlockWriter>> BlockWriter::Create(
    const std::string& parent_directory, BlockMeta meta,
    BlockWriterOptions options) {
  const std::string final_directory =
      absl::StrCat(parent_directory, "/", meta.ulid.ToString());
  const std::string directory = absl::StrCat(final_directory, kCreationSuffix);
  NARTHEX_RETURN_IF_ERROR(base::RemoveAll(directory));
  NARTHEX_RETURN_IF_ERROR(base::CreateDirectories(directory));
  NARTHEX_ASSIGN_OR_RETURN(
      BufferedFile pending,
      BufferedFile::Create(absl::StrCat(directory, "/", kPendingSeriesFile)));

  auto rep = std::make_unique<Rep>(std::move(pending));
  // The empty text, the key of the list of all series, is a symbol too.
  rep->SymbolNumber("");
  rep->final_directory = final_directory;
  rep->directory = directory;
  rep->options = options;
  rep->meta = std::move(meta);
  rep->meta.stats = {};
  if (rep->meta.compaction.sources.empty()) {
    rep->meta.compaction.sources.push_back(rep->meta.ulid);
  }
  NARTHEX_ASSIGN_OR_RETURN(
      rep->chunks,
      ChunkSegmentWriter::Create(directory + "/chunks", options.segment_bytes));
  return std::unique_ptr<BlockWriter>(new BlockWriter(std::move(rep)));
}

absl::Status BlockWriter::AddSeries(const model::Labels& labels,
                                    absl::Span<const storage::Chunk> chunks) {
  Rep& rep = *rep_;
  NARTHEX_RETURN_IF_ERROR(rep.CheckInterrupted());
  if (rep.last_labels.has_value() && !(*rep.last_labels < labels)) {
    return absl::InvalidArgumentError(
        absl::StrCat("series ", labels.ToString(), " is not after ",
                     rep.last_labels->ToString()));
  }
  for (std::size_t i = 0; i < chunks.size(); ++i) {
    if (chunks[i].min_ms > chunks[i].max_ms ||
        (i > 0 && chunks[i].min_ms <= chunks[i - 1].max_ms)) {
      return absl::InvalidArgumentError(
          absl::StrCat("chunks of series ", labels.ToString(), " overlap at ",
                       chunks[i].min_ms));
    }
  }
  rep.last_labels = labels;
  ++rep.meta.stats.series;

  std::string& entry = rep.scratch;
  entry.clear();
  base::PutUvarint(labels.size(), &entry);
  for (const model::Label& label : labels) {
    base::PutUvarint(rep.SymbolNumber(label.name), &entry);
    base::PutUvarint(rep.SymbolNumber(label.value), &entry);
  }
  base::PutUvarint(chunks.size(), &entry);
  for (const storage::Chunk& chunk : chunks) {
    NARTHEX_RETURN_IF_ERROR(rep.CountSamples(chunk));
    NARTHEX_ASSIGN_OR_RETURN(const std::uint64_t ref,
                             rep.chunks->Write(chunk.encoding, chunk.bytes));
    base::PutVarint(chunk.min_ms, &entry);
    base::PutVarint(chunk.max_ms, &entry);
    base::PutUvarint(ref, &entry);
  }
  return rep.pending.Append(entry);
}

std::uint64_t BlockWriter::series_count() const {
  return rep_->meta.stats.series;
}

absl::StatusOr<BlockMeta> BlockWriter::Finish() {
  Rep& rep = *rep_;
  NARTHEX_RETURN_IF_ERROR(rep.chunks->Finish());
  NARTHEX_RETURN_IF_ERROR(rep.WriteIndex());
  NARTHEX_RETURN_IF_ERROR(WriteTombstones(rep.directory, {}));
  NARTHEX_RETURN_IF_ERROR(WriteBlockMeta(rep.directory, rep.meta));
  NARTHEX_RETURN_IF_ERROR(base::SyncDirectory(rep.directory));
  NARTHEX_RETURN_IF_ERROR(
      base::RenameDurably(rep.directory, rep.final_directory));
  rep.finished = true;
  return rep.meta;
}

}  // namespace narthex::tsdb
