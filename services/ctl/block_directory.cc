#include "services/ctl/block_directory.h"

#include <algorithm>
#include <array>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "libs/base/duration.h"
#include "libs/base/file.h"
#include "libs/base/status.h"
#include "libs/tsdb/ulid.h"

namespace narthex::ctl {
namespace {

using Row = std::array<std::string, 8>;

// Go's tabwriter as promtool sets it up.
constexpr std::size_t kMinWidth = 13;
constexpr std::size_t kPadding = 2;

std::string TimeText(std::int64_t ms, bool human_readable) {
  if (!human_readable) return absl::StrCat(ms);
  return absl::FormatTime("%Y-%m-%d %H:%M:%S +0000 UTC",
                          absl::FromUnixSeconds(ms / 1000),
                          absl::UTCTimeZone());
}

// "14KiB974B": every unit that is not zero.
std::string SizeText(std::uint64_t bytes, bool human_readable) {
  if (!human_readable) return absl::StrCat(bytes);
  constexpr std::array<const char*, 7> kUnits = {"B",   "KiB", "MiB", "GiB",
                                                 "TiB", "PiB", "EiB"};
  if (bytes == 0) return "0B";
  std::string text;
  for (std::size_t i = 0; i < kUnits.size() && bytes > 0; ++i) {
    if (bytes % 1024 != 0) {
      text.insert(0, absl::StrCat(bytes % 1024, kUnits[i]));
    }
    bytes /= 1024;
  }
  return text;
}

Row RowOf(const tsdb::Block& block, bool human_readable) {
  const tsdb::BlockMeta meta = block.meta();
  constexpr std::int64_t kNsPerMs = 1'000'000;
  return {meta.ulid.ToString(),
          TimeText(meta.min_ms, human_readable),
          TimeText(meta.max_ms, human_readable),
          base::FormatGoDuration((meta.max_ms - meta.min_ms) * kNsPerMs),
          absl::StrCat(meta.stats.samples),
          absl::StrCat(meta.stats.chunks),
          absl::StrCat(meta.stats.series),
          SizeText(block.size_bytes(), human_readable)};
}

}  // namespace

absl::Status CheckDatabase(const std::string& path) {
  if (base::Exists(path)) return absl::OkStatus();
  return absl::NotFoundError(absl::StrCat("opening the db dir: stat ", path,
                                          ": no such file or directory"));
}

absl::StatusOr<std::vector<std::shared_ptr<tsdb::Block>>> OpenBlocks(
    const std::string& path) {
  NARTHEX_RETURN_IF_ERROR(CheckDatabase(path));
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                           base::ListDirectory(path));
  std::vector<std::shared_ptr<tsdb::Block>> blocks;
  for (const std::string& name : names) {
    if (!tsdb::Ulid::Parse(name).ok()) continue;
    auto block = tsdb::Block::Open(absl::StrCat(path, "/", name));
    if (absl::IsNotFound(block.status())) continue;
    NARTHEX_RETURN_IF_ERROR(block);
    blocks.push_back(*std::move(block));
  }
  std::stable_sort(
      blocks.begin(), blocks.end(),
      [](const auto& a, const auto& b) { return a->min_ms() < b->min_ms(); });
  return blocks;
}

void PrintBlocks(const std::vector<std::shared_ptr<tsdb::Block>>& blocks,
                 bool header, bool human_readable, std::ostream& out) {
  std::vector<Row> rows;
  if (header) {
    rows.push_back({"BLOCK ULID", "MIN TIME", "MAX TIME", "DURATION",
                    "NUM SAMPLES", "NUM CHUNKS", "NUM SERIES", "SIZE"});
  }
  for (const auto& block : blocks) {
    rows.push_back(RowOf(*block, human_readable));
  }
  for (const Row& row : rows) {
    for (std::size_t i = 0; i + 1 < row.size(); ++i) {
      std::size_t width = kMinWidth;
      for (const Row& other : rows) {
        width = std::max(width, other[i].size() + kPadding);
      }
      out << row[i] << std::string(width - row[i].size(), ' ');
    }
    out << row.back() << "\n";
  }
}

}  // namespace narthex::ctl
