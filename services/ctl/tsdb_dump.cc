#include <cstdint>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "libs/base/clock.h"
#include "libs/base/float_format.h"
#include "libs/base/log.h"
#include "libs/base/quote.h"
#include "libs/base/status.h"
#include "libs/metrics/metrics.h"
#include "libs/model/histogram_buckets.h"
#include "libs/promql/parser.h"
#include "libs/storage/merge.h"
#include "libs/tsdb/chunk_series.h"
#include "libs/tsdb/db.h"
#include "services/ctl/block_directory.h"
#include "services/ctl/commands.h"

namespace narthex::ctl {
namespace {

// What both forms of dumps share: which samples.
class DumpCommand : public Command {
 public:
  void Declare(service::FlagSet& flags) override {
    flags.String("sandbox-dir-root", &sandbox_,
                 "Accepted for compatibility: nothing is written.");
    flags.Int("min-time", &range_.min_ms,
              "Minimum timestamp to dump, in milliseconds since the Unix "
              "epoch.");
    flags.Int("max-time", &range_.max_ms,
              "Maximum timestamp to dump, in milliseconds since the Unix "
              "epoch.");
    flags.Strings("match", &selectors_,
                  "Series selector. Can be specified multiple times.");
    flags.Argument("db path", &path_, "Database path (default is data/).",
                   /*required=*/false);
  }

  absl::StatusOr<int> Run(std::ostream& out) override {
    std::vector<std::vector<model::Matcher>> matcher_sets;
    for (const std::string& selector : selectors_) {
      NARTHEX_ASSIGN_OR_RETURN(std::vector<model::Matcher> matchers,
                               promql::ParseMetricSelector(selector));
      matcher_sets.push_back(std::move(matchers));
    }
    NARTHEX_RETURN_IF_ERROR(CheckDatabase(path_));
    tsdb::DbOptions options;
    options.read_only = true;
    metrics::Registry registry;
    const auto logger =
        base::Logger::Stderr(base::LogLevel::kWarn, base::LogFormat::kLogfmt);
    NARTHEX_ASSIGN_OR_RETURN(const std::unique_ptr<tsdb::Db> db,
                             tsdb::Db::Open(path_, options, logger,
                                            base::Clock::System(), registry));
    std::vector<std::unique_ptr<storage::ChunkSeriesSet>> sets;
    for (const auto& matchers : matcher_sets) {
      NARTHEX_ASSIGN_OR_RETURN(auto set, db->SelectChunks(range_, matchers));
      sets.push_back(std::move(set));
    }
    const auto merged = tsdb::DecodeSeriesSet(
        storage::MergeChunkSeries(std::move(sets)), range_);
    NARTHEX_RETURN_IF_ERROR(Print(*merged, out));
    return 0;
  }

 protected:
  virtual absl::Status Print(storage::SeriesSet& set, std::ostream& out) = 0;

 private:
  std::string path_ = "data/";
  std::string sandbox_;
  storage::TimeRange range_ = {model::kMinTime, model::kMaxTime};
  std::vector<std::string> selectors_ = {"{__name__=~'(?s:.*)'}"};
};

bool IsHistogram(const model::SampleColumns& samples, std::size_t i) {
  return i < samples.histograms.size() && samples.histograms[i] != nullptr;
}

class TsdbDump : public DumpCommand {
 public:
  absl::string_view words() const override { return "tsdb dump"; }
  absl::string_view summary() const override {
    return "Dump samples from a TSDB.";
  }

 protected:
  absl::Status Print(storage::SeriesSet& set, std::ostream& out) override {
    model::SampleColumns samples;
    while (set.Next()) {
      const auto series = set.At();
      samples.clear();
      NARTHEX_RETURN_IF_ERROR(series->Read(&samples));
      const std::string labels = series->labels().ToString();
      for (std::size_t i = 0; i < samples.size(); ++i) {
        out << labels << " "
            << (IsHistogram(samples, i)
                    ? model::ToString(*samples.histograms[i])
                    : base::FormatFloatG(samples.values[i]))
            << " " << samples.timestamps_ms[i] << "\n";
      }
    }
    return set.status();
  }
};

class TsdbDumpOpenMetrics : public DumpCommand {
 public:
  absl::string_view words() const override { return "tsdb dump-openmetrics"; }
  absl::string_view summary() const override {
    return "Dump samples from a TSDB into OpenMetrics text format, excluding "
           "native histograms and staleness markers, which are not "
           "representable in OpenMetrics.";
  }

 protected:
  absl::Status Print(storage::SeriesSet& set, std::ostream& out) override {
    model::SampleColumns samples;
    while (set.Next()) {
      const auto series = set.At();
      samples.clear();
      NARTHEX_RETURN_IF_ERROR(series->Read(&samples));
      const std::string text = SeriesText(series->labels());
      for (std::size_t i = 0; i < samples.size(); ++i) {
        if (IsHistogram(samples, i) || model::IsStaleNan(samples.values[i])) {
          continue;
        }
        const double seconds =
            static_cast<double>(samples.timestamps_ms[i]) / 1000;
        out << text << " " << base::FormatFloatG(samples.values[i])
            << absl::StrFormat(" %.3f\n", seconds);
      }
    }
    out << "# EOF\n";
    return set.status();
  }

 private:
  static std::string SeriesText(const model::Labels& labels) {
    std::string text = absl::StrCat(labels.metric_name(), "{");
    bool first = true;
    for (const model::Label& label : labels.WithoutName()) {
      absl::StrAppend(&text, first ? "" : ",", label.name, "=",
                      base::Quote(label.value));
      first = false;
    }
    return text + "}";
  }
};

}  // namespace

std::unique_ptr<Command> MakeTsdbDump() { return std::make_unique<TsdbDump>(); }

std::unique_ptr<Command> MakeTsdbDumpOpenMetrics() {
  return std::make_unique<TsdbDumpOpenMetrics>();
}

}  // namespace narthex::ctl
