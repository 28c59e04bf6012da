#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/duration.h"
#include "libs/base/status.h"
#include "libs/promql/parser.h"
#include "libs/tsdb/postings.h"
#include "services/ctl/block_directory.h"
#include "services/ctl/chunk_statistics.h"
#include "services/ctl/commands.h"

namespace narthex::ctl {
namespace {

using Counts = std::vector<std::pair<std::string, std::uint64_t>>;

// How long, in ms, series with a label lacked samples, and how many there are.
struct Churn {
  std::map<std::string, std::uint64_t> uncovered_by_name;
  std::map<std::string, std::uint64_t> uncovered_by_pair;
  std::map<std::string, std::uint64_t> series_by_pair;
  std::uint64_t entries = 0;
};

class TsdbAnalyze : public Command {
 public:
  absl::string_view words() const override { return "tsdb analyze"; }
  absl::string_view summary() const override {
    return "Analyze churn, label pair cardinality and compaction efficiency.";
  }

  void Declare(service::FlagSet& flags) override {
    flags.Int("limit", &limit_, "How many items to show in each list.");
    flags.Bool("extended", &extended_, "Run extended analysis.");
    flags.String("match", &selector_,
                 "Series selector to analyze. Only 1 set of matchers is "
                 "supported now.");
    flags.Argument("db path", &path_, "Database path (default is data/).",
                   /*required=*/false);
    flags.Argument("block id", &ulid_,
                   "Block to analyze (default is the last block).",
                   /*required=*/false);
  }

  absl::StatusOr<int> Run(std::ostream& out) override {
    if (!selector_.empty()) {
      NARTHEX_ASSIGN_OR_RETURN(matchers_,
                               promql::ParseMetricSelector(selector_));
    }
    NARTHEX_RETURN_IF_ERROR(OpenBlock());
    NARTHEX_ASSIGN_OR_RETURN(
        postings_, tsdb::PostingsForMatchers(block_->index(), matchers_));
    NARTHEX_RETURN_IF_ERROR(PrintHead(out));
    NARTHEX_RETURN_IF_ERROR(PrintChurn(out));
    NARTHEX_RETURN_IF_ERROR(PrintValues(out));
    if (extended_) {
      NARTHEX_RETURN_IF_ERROR(PrintChunkStatistics(*block_, matchers_, out));
    }
    return 0;
  }

 private:
  absl::Status OpenBlock();
  absl::Status PrintHead(std::ostream& out);
  absl::Status PrintChurn(std::ostream& out);
  absl::Status PrintValues(std::ostream& out);
  absl::StatusOr<Churn> MeasureChurn() const;
  void PrintLargest(absl::string_view title, Counts counts,
                    std::ostream& out) const;
  Counts InBlocks(const std::map<std::string, std::uint64_t>& uncovered) const;
  std::uint64_t span_ms() const {
    return static_cast<std::uint64_t>(block_->max_ms() - block_->min_ms());
  }

  std::string path_ = "data/";
  std::string ulid_;
  std::string selector_;
  std::int64_t limit_ = 20;
  bool extended_ = false;

  std::vector<model::Matcher> matchers_;
  std::shared_ptr<tsdb::Block> block_;
  tsdb::Postings postings_;
};

absl::Status TsdbAnalyze::OpenBlock() {
  NARTHEX_ASSIGN_OR_RETURN(const auto blocks, OpenBlocks(path_));
  if (ulid_.empty()) {
    if (blocks.empty()) return absl::NotFoundError("no blocks found");
    block_ = blocks.back();
    return absl::OkStatus();
  }
  const auto wanted = tsdb::Ulid::Parse(ulid_);
  const auto it =
      std::find_if(blocks.begin(), blocks.end(), [&](const auto& block) {
        return wanted.ok() && block->ulid() == *wanted;
      });
  if (it == blocks.end()) {
    return absl::NotFoundError(absl::StrCat("invalid block ID ", ulid_));
  }
  block_ = *it;
  return absl::OkStatus();
}

absl::Status TsdbAnalyze::PrintHead(std::ostream& out) {
  const tsdb::BlockMeta meta = block_->meta();
  constexpr std::int64_t kNsPerMs = 1'000'000;
  out << "Block ID: " << meta.ulid.ToString() << "\nDuration: "
      << base::FormatGoDuration((meta.max_ms - meta.min_ms) * kNsPerMs)
      << "\nTotal Series: " << meta.stats.series << "\n";
  if (!selector_.empty()) out << "Matcher: " << selector_ << "\n";
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                           block_->LabelNames(matchers_));
  out << "Label names: " << names.size() << "\n";
  if (!selector_.empty()) out << "Matched series: " << postings_.size() << "\n";
  return absl::OkStatus();
}

absl::StatusOr<Churn> TsdbAnalyze::MeasureChurn() const {
  Churn churn;
  model::Labels labels;
  std::vector<tsdb::ChunkMeta> chunks;
  for (const tsdb::SeriesId id : postings_) {
    NARTHEX_RETURN_IF_ERROR(block_->index().Series(id, &labels, &chunks));
    if (chunks.empty()) continue;
    const std::uint64_t uncovered =
        span_ms() - static_cast<std::uint64_t>(chunks.back().max_ms -
                                               chunks.front().min_ms);
    for (const model::Label& label : labels) {
      const std::string pair = absl::StrCat(label.name, "=", label.value);
      churn.uncovered_by_name[std::string(label.name)] += uncovered;
      churn.uncovered_by_pair[pair] += uncovered;
      ++churn.series_by_pair[pair];
      ++churn.entries;
    }
  }
  return churn;
}

// How many times the span of the block was not covered.
Counts TsdbAnalyze::InBlocks(
    const std::map<std::string, std::uint64_t>& uncovered) const {
  Counts counts;
  const auto span = static_cast<double>(std::max<std::uint64_t>(span_ms(), 1));
  for (const auto& [name, ms] : uncovered) {
    counts.emplace_back(
        name, static_cast<std::uint64_t>(static_cast<double>(ms) / span));
  }
  return counts;
}

void TsdbAnalyze::PrintLargest(absl::string_view title, Counts counts,
                               std::ostream& out) const {
  std::stable_sort(
      counts.begin(), counts.end(),
      [](const auto& a, const auto& b) { return a.second > b.second; });
  out << "\n" << title << ":\n";
  for (std::size_t i = 0;
       i < counts.size() && static_cast<std::int64_t>(i) < limit_; ++i) {
    out << counts[i].second << " " << counts[i].first << "\n";
  }
}

absl::Status TsdbAnalyze::PrintChurn(std::ostream& out) {
  NARTHEX_ASSIGN_OR_RETURN(const Churn churn, MeasureChurn());
  out << "Postings (unique label pairs): " << churn.series_by_pair.size()
      << "\nPostings entries (total label pairs): " << churn.entries << "\n";
  PrintLargest("Label pairs most involved in churning",
               InBlocks(churn.uncovered_by_pair), out);
  PrintLargest("Label names most involved in churning",
               InBlocks(churn.uncovered_by_name), out);
  PrintLargest("Most common label pairs",
               Counts(churn.series_by_pair.begin(), churn.series_by_pair.end()),
               out);
  return absl::OkStatus();
}

absl::Status TsdbAnalyze::PrintValues(std::ostream& out) {
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                           block_->LabelNames(matchers_));
  Counts lengths;
  Counts values_of;
  for (const std::string& name : names) {
    NARTHEX_ASSIGN_OR_RETURN(const std::vector<std::string> values,
                             block_->LabelValues(name, matchers_));
    std::uint64_t bytes = 0;
    for (const std::string& value : values) bytes += value.size();
    lengths.emplace_back(name, bytes);
    values_of.emplace_back(name, values.size());
  }
  PrintLargest("Label names with highest cumulative label value length",
               std::move(lengths), out);
  PrintLargest("Highest cardinality labels", std::move(values_of), out);

  NARTHEX_ASSIGN_OR_RETURN(
      const std::vector<std::string> metrics,
      block_->LabelValues(std::string(model::kMetricName), matchers_));
  Counts series;
  for (const std::string& metric : metrics) {
    NARTHEX_ASSIGN_OR_RETURN(const tsdb::PostingsView list,
                             block_->index().Find(model::kMetricName, metric));
    const tsdb::Postings both =
        tsdb::Intersect({list, tsdb::PostingsView(postings_)});
    series.emplace_back(metric, both.size());
  }
  PrintLargest("Highest cardinality metric names", std::move(series), out);
  return absl::OkStatus();
}

}  // namespace

std::unique_ptr<Command> MakeTsdbAnalyze() {
  return std::make_unique<TsdbAnalyze>();
}

}  // namespace narthex::ctl
