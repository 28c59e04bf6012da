#include "services/ctl/open_metrics_import.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <map>
#include <optional>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "libs/base/clock.h"
#include "libs/base/file.h"
#include "libs/base/status.h"
#include "libs/exposition/parser.h"
#include "libs/tsdb/block_writer.h"
#include "libs/tsdb/chunk_series.h"
#include "libs/tsdb/compact.h"

namespace narthex::ctl {
namespace {

constexpr int kSamplesPerChunk = 120;
constexpr std::uint64_t kSamplesOfAppender = 5000;

std::unique_ptr<exposition::Parser> ParserOf(absl::string_view text) {
  return exposition::Parser::Create(exposition::Format::kOpenMetrics, text);
}

// First and last time; none without samples.
absl::StatusOr<std::optional<storage::TimeRange>> BoundsOf(
    absl::string_view text) {
  const auto parser = ParserOf(text);
  std::optional<storage::TimeRange> bounds;
  while (true) {
    const exposition::Entry entry = parser->Next();
    if (entry == exposition::Entry::kError) {
      return base::Annotate(parser->status(), "next");
    }
    if (entry == exposition::Entry::kEnd) return bounds;
    if (entry != exposition::Entry::kSeries) continue;
    if (!parser->has_timestamp()) {
      return absl::InvalidArgumentError(
          "expected timestamp for series got none");
    }
    const std::int64_t time = parser->timestamp_ms();
    if (!bounds.has_value()) bounds = storage::TimeRange{time, time};
    bounds->min_ms = std::min(bounds->min_ms, time);
    bounds->max_ms = std::max(bounds->max_ms, time);
  }
}

std::int64_t BlockSpan(std::int64_t max_block_ms) {
  std::int64_t span = tsdb::kDefaultBlockMs;
  constexpr int kSteps = 9;
  for (int i = 0; i < kSteps && span * 3 <= max_block_ms; ++i) span *= 3;
  return span;
}

// The start of the block that `time` falls into, before 1970 as after.
std::int64_t BlockStart(std::int64_t time, std::int64_t span) {
  const std::int64_t rest = time % span;
  return time - (rest < 0 ? rest + span : rest);
}

// The samples of one block.
class Window {
 public:
  Window(std::int64_t start, std::int64_t end, const ImportOptions& options)
      : start_(start), end_(end), options_(options) {}

  absl::Status Read(absl::string_view text) {
    const auto parser = ParserOf(text);
    while (true) {
      const exposition::Entry entry = parser->Next();
      if (entry == exposition::Entry::kError) {
        return base::Annotate(parser->status(), "parse");
      }
      if (entry == exposition::Entry::kEnd) return absl::OkStatus();
      if (entry != exposition::Entry::kSeries) continue;
      const std::int64_t time = parser->timestamp_ms();
      if (time >= end_) next_ = std::min(next_, time);
      if (time < start_ || time >= end_) continue;
      NARTHEX_RETURN_IF_ERROR(Add(*parser, time));
    }
  }

  // The earliest sample after this block.
  std::int64_t next() const { return next_; }
  std::uint64_t left_out() const { return left_out_; }

  absl::StatusOr<tsdb::BlockMeta> Write() const {
    tsdb::BlockMeta meta;
    meta.ulid = tsdb::Ulid::New(base::Clock::System().NowMs());
    meta.min_ms = first_;
    meta.max_ms = last_ + 1;
    NARTHEX_ASSIGN_OR_RETURN(
        const auto writer, tsdb::BlockWriter::Create(options_.directory, meta));
    std::vector<storage::Chunk> chunks;
    for (const auto& [labels, series] : series_) {
      chunks.clear();
      tsdb::EncodeChunks(series.samples, kSamplesPerChunk, &chunks);
      NARTHEX_RETURN_IF_ERROR(writer->AddSeries(labels, chunks));
    }
    return writer->Finish();
  }

 private:
  struct Series {
    model::SampleColumns samples;
    std::size_t committed = 0;  // So many, by appenders before this one.
    std::uint64_t appender = 0;
  };

  absl::Status Add(exposition::Parser& parser, std::int64_t time) {
    Series*& series = by_text_[parser.series()];
    if (series == nullptr) {
      model::Labels labels;
      NARTHEX_RETURN_IF_ERROR(parser.ParseLabels(&labels));
      model::LabelsBuilder builder(labels);
      for (const auto& [name, value] : options_.labels) {
        builder.Set(name, value);
      }
      series = &series_[builder.Build()];
    }
    const std::uint64_t appender = samples_++ / kSamplesOfAppender;
    model::SampleColumns& samples = series->samples;
    if (series->appender != appender) {
      series->appender = appender;
      series->committed = samples.size();
    }
    if (!samples.empty() && time <= samples.timestamps_ms.back()) {
      NARTHEX_RETURN_IF_ERROR(CheckRepeated(*series, time, parser));
      ++left_out_;
      return absl::OkStatus();
    }
    samples.Append(time, parser.value());
    first_ = std::min(first_, time);
    last_ = std::max(last_, time);
    return absl::OkStatus();
  }

  // Only what earlier appenders committed is compared with.
  static absl::Status CheckRepeated(const Series& series, std::int64_t time,
                                    exposition::Parser& parser) {
    if (series.committed == 0) return absl::OkStatus();
    const std::size_t last = series.committed - 1;
    const std::int64_t newest = series.samples.timestamps_ms[last];
    if (time > newest) return absl::OkStatus();
    if (time < newest) {
      return absl::InvalidArgumentError(absl::StrCat(
          "add sample: out of order sample: ", parser.series(), " at ", time));
    }
    if (std::bit_cast<std::uint64_t>(series.samples.values[last]) ==
        std::bit_cast<std::uint64_t>(parser.value())) {
      return absl::OkStatus();
    }
    return absl::InvalidArgumentError(absl::StrCat(
        "add sample: duplicate sample for timestamp: ", parser.series(), " at ",
        time));
  }

  const std::int64_t start_;
  const std::int64_t end_;
  const ImportOptions& options_;
  std::int64_t next_ = std::numeric_limits<std::int64_t>::max();
  std::int64_t first_ = std::numeric_limits<std::int64_t>::max();
  std::int64_t last_ = std::numeric_limits<std::int64_t>::min();
  std::uint64_t samples_ = 0;
  std::uint64_t left_out_ = 0;
  std::map<model::Labels, Series> series_;
  absl::flat_hash_map<absl::string_view, Series*> by_text_;
};

}  // namespace

absl::StatusOr<std::uint64_t> ImportOpenMetrics(
    absl::string_view text, const ImportOptions& options,
    const std::function<void(const std::shared_ptr<tsdb::Block>&)>& made) {
  const auto bounds = BoundsOf(text);
  if (!bounds.ok()) {
    return base::Annotate(bounds.status(), "getting min and max timestamp");
  }
  std::uint64_t left_out = 0;
  if (!bounds->has_value()) return left_out;
  const std::int64_t span = BlockSpan(options.max_block_ms);
  std::int64_t time = (*bounds)->min_ms;
  while (time <= (*bounds)->max_ms) {
    const std::int64_t start = BlockStart(time, span);
    Window window(start, start + span, options);
    const auto write = [&]() -> absl::Status {
      NARTHEX_RETURN_IF_ERROR(window.Read(text));
      NARTHEX_ASSIGN_OR_RETURN(const tsdb::BlockMeta meta, window.Write());
      NARTHEX_ASSIGN_OR_RETURN(
          const auto block, tsdb::Block::Open(absl::StrCat(
                                options.directory, "/", meta.ulid.ToString())));
      made(block);
      return absl::OkStatus();
    };
    NARTHEX_RETURN_IF_ERROR(
        base::Annotate(write(), "block creation: process blocks"));
    left_out += window.left_out();
    if (window.next() == std::numeric_limits<std::int64_t>::max()) break;
    time = window.next();
  }
  return left_out;
}

}  // namespace narthex::ctl
