#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/base/file.h"
#include "libs/model/labels.h"
#include "libs/tsdb/index_format.h"
#include "libs/tsdb/postings.h"

namespace narthex::tsdb {

/// A mapped `index` file of format version 1, 2 or 3. The table of contents,
/// the symbols and the postings offset table are checked at Open, everything
/// else when it is read: kDataLoss names file and offset. Thread-safe. Views
/// live as long as the reader.
class IndexReader : public PostingsSource {
 public:
  static absl::StatusOr<std::unique_ptr<IndexReader>> Open(
      const std::string& path);

  const std::string& path() const { return path_; }
  int version() const { return version_; }
  std::uint64_t size_bytes() const { return file_.data().size(); }
  std::size_t symbol_count() const { return symbol_count_; }
  /// What finding symbols takes in memory.
  std::uint64_t symbol_table_bytes() const {
    return symbol_samples_.size() * sizeof(symbol_samples_[0]);
  }

  absl::StatusOr<absl::string_view> Symbol(std::uint32_t ref) const;

  /// Names of all labels, sorted.
  std::vector<std::string> LabelNames() const;
  /// Values of a label, sorted; none for an unknown name.
  absl::StatusOr<std::vector<std::string>> LabelValues(
      absl::string_view name) const;

  absl::StatusOr<PostingsView> All() const override;
  absl::StatusOr<PostingsView> Find(absl::string_view name,
                                    absl::string_view value) const override;
  /// Values come sorted.
  absl::Status ForEachValue(absl::string_view name, absl::string_view prefix,
                            const Visit& visit) const override;

  /// Labels and chunks of a series; either may be null.
  absl::Status Series(SeriesId id, model::Labels* labels,
                      std::vector<ChunkMeta>* chunks) const;
  /// The value of one label of a series, empty when it has none.
  absl::StatusOr<absl::string_view> LabelValue(SeriesId id,
                                               absl::string_view name) const;

 private:
  /// The entries of one label name in the postings offset table. `samples`
  /// holds the offset, in the table, of every stride_-th entry.
  struct NameEntries {
    absl::string_view name;
    std::vector<std::uint32_t> samples;
    std::size_t count = 0;
  };
  struct Entry {
    absl::string_view name;
    absl::string_view value;
    std::uint64_t postings_offset = 0;
    std::uint32_t next = 0;  // Offset of the entry after it in the table.
  };

  IndexReader(std::string path, base::MappedFile file);

  absl::Status Load();
  absl::Status LoadSymbols(std::uint64_t offset);
  absl::Status LoadPostingsTable(std::uint64_t offset);
  absl::Status LoadSortedTable(std::uint32_t count);
  absl::Status LoadUnsortedTable(std::uint32_t count);
  absl::Status Corrupt(std::uint64_t offset, absl::string_view what) const;
  absl::StatusOr<absl::string_view> ReadSection(std::uint64_t offset,
                                                absl::string_view what) const;
  absl::StatusOr<Entry> ReadEntry(std::uint32_t offset) const;
  const NameEntries* FindName(absl::string_view name) const;
  /// Calls `visit` on entries of `entries` from the first not below `from`
  /// until it returns false.
  absl::Status Scan(
      const NameEntries& entries, absl::string_view from,
      const std::function<absl::StatusOr<bool>(const Entry&)>& visit) const;
  absl::StatusOr<PostingsView> PostingsAt(std::uint64_t offset) const;
  std::uint64_t SeriesOffset(SeriesId id) const;
  absl::StatusOr<absl::string_view> SeriesBody(SeriesId id) const;

  std::string path_;
  base::MappedFile file_;
  int version_ = 0;
  absl::string_view symbols_;  // The entries, after the count.
  std::uint64_t symbols_offset_ = 0;
  std::size_t symbol_count_ = 0;
  std::vector<std::uint32_t> symbol_samples_;
  absl::string_view table_;  // The postings offset table, after the count.
  std::uint64_t table_offset_ = 0;
  std::size_t stride_ = 1;
  std::vector<NameEntries> names_;  // Sorted by name.
};

}  // namespace narthex::tsdb
