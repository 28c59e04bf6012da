#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "libs/tsdb/index_format.h"
#include "libs/tsdb/postings.h"

namespace narthex::tsdb {

/// Writes a block's `index` file (Prometheus's format, version 2) from front
/// to back; in memory are the symbols and the postings lists. Order of calls:
/// every AddSymbol, every AddSeries, Finish.
class IndexWriter {
 public:
  static absl::StatusOr<std::unique_ptr<IndexWriter>> Create(
      const std::string& path);
  ~IndexWriter();

  /// Symbols come in ascending order, each once; the first has number 0.
  absl::Status AddSymbol(absl::string_view symbol);

  /// A label as the numbers of its name and value.
  using LabelSymbols = std::pair<std::uint32_t, std::uint32_t>;
  /// Series come in ascending order of labels, chunks in ascending time.
  absl::StatusOr<SeriesId> AddSeries(absl::Span<const LabelSymbols> labels,
                                     absl::Span<const ChunkMeta> chunks);

  /// Writes the rest, fsyncs and closes.
  absl::Status Finish();

  std::uint64_t bytes_written() const;

 private:
  struct Rep;
  explicit IndexWriter(std::unique_ptr<Rep> rep);
  std::unique_ptr<Rep> rep_;
};

}  // namespace narthex::tsdb
