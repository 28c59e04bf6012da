#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "libs/base/crc32c.h"
#include "libs/base/file.h"
#include "libs/base/status.h"
#include "libs/base/varint.h"
#include "libs/tsdb/block_meta.h"
#include "libs/tsdb/chunk_header.h"
#include "libs/tsdb/chunk_segments.h"
#include "libs/tsdb/chunk_series.h"
#include "libs/tsdb/index_reader.h"
#include "libs/tsdb/tombstones.h"
#include "libs/tsdb/verify.h"

namespace narthex::tsdb {
namespace {

constexpr storage::TimeRange kAllTime = {model::kMinTime, model::kMaxTime};

// Walks one block; everything found goes to the report.
class BlockCheck {
 public:
  BlockCheck(std::string directory, VerifyReport* report)
      : directory_(std::move(directory)), report_(*report) {}

  void Run();

 private:
  void Open();
  void CheckSymbols();
  void CheckSeries();
  void CheckSeriesEntry(SeriesId id);
  void CheckChunks(const std::string& where);
  void CheckChunk(const std::string& where, const ChunkMeta& meta);
  void CheckPostings();
  void CheckList(absl::string_view name, absl::string_view value,
                 const absl::StatusOr<PostingsView>& list);
  void CheckLabelIndices();
  absl::Status CheckSection(absl::string_view file, std::uint64_t offset,
                            absl::string_view* body) const;
  void CheckTombstones();
  void CheckStats();

  std::string Path(absl::string_view name) const {
    return absl::StrCat(directory_, "/", name);
  }

  const std::string directory_;
  VerifyReport& report_;
  std::optional<BlockMeta> meta_;
  std::unique_ptr<IndexReader> index_;
  std::unique_ptr<ChunkSegmentReader> segments_;

  // What the series say, to be compared with the rest.
  std::set<SeriesId> ids_;
  std::map<std::pair<std::string, std::string>, Postings> pairs_;
  model::Labels labels_;
  model::Labels last_labels_;
  std::vector<ChunkMeta> chunks_;
  model::SampleColumns samples_;
  BlockStats counted_;
};

void BlockCheck::Open() {
  auto meta = ReadBlockMeta(directory_);
  if (meta.ok()) {
    meta_ = *std::move(meta);
  } else {
    report_.Add(Path("meta.json"), meta.status().message());
  }
  auto index = IndexReader::Open(Path("index"));
  if (index.ok()) {
    index_ = *std::move(index);
  } else {
    report_.Add(Path("index"), index.status().message());
  }
  auto segments = ChunkSegmentReader::Open(Path("chunks"));
  if (segments.ok()) {
    segments_ = *std::move(segments);
  } else {
    report_.Add(Path("chunks"), segments.status().message());
  }
}

void BlockCheck::Run() {
  ++report_.blocks;
  Open();
  if (index_ != nullptr) {
    CheckSymbols();
    CheckSeries();
    CheckPostings();
    CheckLabelIndices();
  }
  CheckTombstones();
  if (meta_.has_value() && index_ != nullptr && segments_ != nullptr) {
    CheckStats();
  }
}

void BlockCheck::CheckSymbols() {
  // In version 1 symbols have offsets for numbers; there the order is of no
  // use to readers.
  if (index_->version() == index_format::kVersion1) return;
  std::string last;
  for (std::size_t i = 0; i < index_->symbol_count(); ++i) {
    const auto symbol = index_->Symbol(static_cast<std::uint32_t>(i));
    if (!symbol.ok()) {
      report_.Add(Path("index"), symbol.status().message());
      return;
    }
    if (i > 0 && *symbol <= last) {
      report_.Add(Path("index"), absl::StrCat("symbol ", i, " not in order"));
    }
    last = std::string(*symbol);
  }
}

void BlockCheck::CheckSeries() {
  const auto all = index_->All();
  if (!all.ok()) {
    report_.Add(Path("index"), all.status().message());
    return;
  }
  for (std::size_t i = 0; i < all->size(); ++i) CheckSeriesEntry((*all)[i]);
  report_.series += ids_.size();
}

void BlockCheck::CheckSeriesEntry(SeriesId id) {
  if (!ids_.empty() && id <= *ids_.rbegin()) {
    report_.Add(Path("index"), absl::StrCat("series ", id, " not in order"));
  }
  ids_.insert(id);
  ++counted_.series;
  const absl::Status status = index_->Series(id, &labels_, &chunks_);
  if (!status.ok()) {
    report_.Add(Path("index"), status.message());
    return;
  }
  const std::string where =
      absl::StrCat(Path("index"), ": series ", labels_.ToMetricString());
  if (counted_.series > 1 && !(last_labels_ < labels_)) {
    report_.Add(where, "labels not in order");
  }
  for (const model::Label& label : labels_) {
    pairs_[{std::string(label.name), std::string(label.value)}].push_back(id);
  }
  last_labels_ = labels_;
  if (chunks_.empty()) report_.Add(where, "no chunks");
  if (segments_ != nullptr) CheckChunks(where);
}

void BlockCheck::CheckChunks(const std::string& where) {
  for (std::size_t i = 0; i < chunks_.size(); ++i) {
    const ChunkMeta& meta = chunks_[i];
    if (i > 0 && meta.min_ms <= chunks_[i - 1].max_ms) {
      report_.Add(where, absl::StrCat("chunk ", i, " overlaps the one before"));
    }
    if (meta_.has_value() &&
        (meta.min_ms < meta_->min_ms || meta.max_ms >= meta_->max_ms)) {
      report_.Add(where, absl::StrCat("chunk ", i, " is outside of the block"));
    }
    CheckChunk(absl::StrCat(where, ": chunk ", i), meta);
  }
}

void BlockCheck::CheckChunk(const std::string& where, const ChunkMeta& meta) {
  ++counted_.chunks;
  ++report_.chunks;
  const auto view = segments_->Read(meta.ref);
  if (!view.ok()) {
    report_.Add(where, view.status().message());
    return;
  }
  const auto count = ChunkSampleCount(view->encoding, view->bytes);
  counted_.samples += count.ok() ? static_cast<std::uint64_t>(*count) : 0;
  storage::Chunk chunk;
  chunk.min_ms = meta.min_ms;
  chunk.max_ms = meta.max_ms;
  chunk.encoding = view->encoding;
  chunk.bytes = view->bytes;
  samples_.clear();
  const absl::Status status = DecodeChunk(chunk, kAllTime, &samples_);
  if (!status.ok()) {
    report_.Add(where, status.message());
    return;
  }
  report_.samples += samples_.size();
  const std::vector<std::int64_t>& times = samples_.timestamps_ms;
  if (!count.ok() || times.size() != static_cast<std::size_t>(*count)) {
    report_.Add(where, "holds another number of samples than it says");
  } else if (times.empty() || times.front() != meta.min_ms ||
             times.back() != meta.max_ms) {
    report_.Add(where, "the samples are not where the index says");
  } else if (std::adjacent_find(times.begin(), times.end(),
                                std::greater_equal<>()) != times.end()) {
    report_.Add(where, "samples not in order");
  }
}

void BlockCheck::CheckPostings() {
  for (const std::string& name : index_->LabelNames()) {
    const absl::Status status = index_->ForEachValue(
        name, "",
        [&](absl::string_view value,
            const PostingsSource::Fetch& fetch) -> absl::Status {
          CheckList(name, value, fetch());
          return absl::OkStatus();
        });
    if (!status.ok()) report_.Add(Path("index"), status.message());
  }
  for (const auto& [pair, ids] : pairs_) {
    report_.Add(Path("index"),
                absl::StrCat("no postings of ", pair.first, "=", pair.second));
  }
}

void BlockCheck::CheckList(absl::string_view name, absl::string_view value,
                           const absl::StatusOr<PostingsView>& list) {
  const auto expected = pairs_.find({std::string(name), std::string(value)});
  const std::string where =
      absl::StrCat(Path("index"), ": postings of ", name, "=", value);
  if (!list.ok()) {
    report_.Add(where, list.status().message());
  } else {
    Postings ids;
    list->AppendTo(&ids);
    const Postings none;
    if (ids != (expected == pairs_.end() ? none : expected->second)) {
      report_.Add(where, "are not the series that have the pair");
    }
  }
  if (expected != pairs_.end()) pairs_.erase(expected);
}

absl::Status BlockCheck::CheckSection(absl::string_view file,
                                      std::uint64_t offset,
                                      absl::string_view* body) const {
  base::ByteReader reader(
      file.substr(std::min<std::uint64_t>(offset, file.size())));
  *body = reader.Bytes(reader.Be32());
  const std::uint32_t crc = reader.Be32();
  if (!reader.ok()) return absl::DataLossError("cut off");
  if (base::Crc32c(*body) != crc) {
    return absl::DataLossError("checksum mismatch");
  }
  return absl::OkStatus();
}

// Sections that only old readers use; ours does not look at them.
void BlockCheck::CheckLabelIndices() {
  const auto file = base::MappedFile::Open(index_->path());
  if (!file.ok()) return;
  const absl::string_view data = file->data();
  base::ByteReader toc(data.substr(data.size() - index_format::kTocBytes));
  toc.Be64();  // Symbols.
  toc.Be64();  // Series.
  toc.Be64();  // The first label index.
  const std::uint64_t table = toc.Be64();
  if (table == 0) return;
  const std::string where = absl::StrCat(Path("index"), ": label offset table");
  absl::string_view body;
  const absl::Status status = CheckSection(data, table, &body);
  if (!status.ok()) {
    report_.Add(where, status.message());
    return;
  }
  base::ByteReader reader(body);
  const std::uint32_t count = reader.Be32();
  for (std::uint32_t i = 0; i < count && reader.ok(); ++i) {
    for (std::uint64_t keys = reader.Uvarint(); keys > 0 && reader.ok();
         --keys) {
      reader.UvarintBytes();
    }
    const std::uint64_t offset = reader.Uvarint();
    absl::string_view unused;
    const absl::Status entry = CheckSection(data, offset, &unused);
    if (!entry.ok()) {
      report_.Add(absl::StrCat(Path("index"), ": label index at ", offset),
                  entry.message());
    }
  }
  if (!reader.ok()) report_.Add(where, "fewer entries than counted");
}

void BlockCheck::CheckTombstones() {
  const auto tombstones = ReadTombstones(directory_);
  if (!tombstones.ok()) {
    report_.Add(Path("tombstones"), tombstones.status().message());
    return;
  }
  for (const auto& [ref, intervals] : *tombstones) {
    if (index_ != nullptr && !ids_.contains(static_cast<SeriesId>(ref))) {
      report_.Add(Path("tombstones"), absl::StrCat("no series ", ref));
    }
  }
}

// Not the tombstones: their count is written after them, and counted anew when
// a block is opened.
void BlockCheck::CheckStats() {
  const auto compare = [this](absl::string_view what, std::uint64_t said,
                              std::uint64_t counted) {
    if (said == counted) return;
    report_.Add(Path("meta.json"), absl::StrCat("counts ", said, " ", what,
                                                ", there are ", counted));
  };
  compare("series", meta_->stats.series, counted_.series);
  compare("chunks", meta_->stats.chunks, counted_.chunks);
  compare("samples", meta_->stats.samples, counted_.samples);
}

}  // namespace

void VerifyBlock(const std::string& directory, VerifyReport* report) {
  BlockCheck(directory, report).Run();
}

}  // namespace narthex::tsdb
