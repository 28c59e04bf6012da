#include <iostream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "libs/base/file.h"
#include "libs/base/status.h"
#include "libs/tsdb/compact.h"
#include "services/ctl/block_directory.h"
#include "services/ctl/commands.h"
#include "services/ctl/open_metrics_import.h"

namespace narthex::ctl {
namespace {

class TsdbCreateBlocks : public Command {
 public:
  absl::string_view words() const override {
    return "tsdb create-blocks-from openmetrics";
  }
  absl::string_view summary() const override {
    return "Import samples from OpenMetrics input and produce TSDB blocks.";
  }

  void Declare(service::FlagSet& flags) override {
    flags.Bool("human-readable", &human_readable_,
               "Print human readable values.");
    flags.Short('r', "human-readable");
    flags.Bool("quiet", &quiet_, "Do not print created blocks.");
    flags.Short('q', "quiet");
    flags.Duration("max-block-duration", &import_.max_block_ms,
                   "Maximum duration created blocks may span. Anything less "
                   "than 2h is ignored.");
    flags.Strings("label", &labels_,
                  "Label to attach to metrics. Can be specified multiple "
                  "times. Example --label=label_name=label_value");
    flags.Argument("input file", &input_,
                   "OpenMetrics file to read samples from.", /*required=*/true);
    flags.Argument("output directory", &import_.directory,
                   "Output directory for generated blocks (default is data/).",
                   /*required=*/false);
  }

  absl::StatusOr<int> Run(std::ostream& out) override {
    for (const std::string& label : labels_) {
      const std::pair<std::string, std::string> pair =
          absl::StrSplit(label, absl::MaxSplits('=', 1));
      if (label.find('=') == std::string::npos) {
        return absl::InvalidArgumentError(
            absl::StrCat("expected KEY=VALUE got '", label, "'"));
      }
      import_.labels.push_back(pair);
    }
    // Read, not mapped: it may be a pipe.
    NARTHEX_ASSIGN_OR_RETURN(const std::string text, base::ReadFile(input_));
    NARTHEX_RETURN_IF_ERROR(base::CreateDirectories(import_.directory));
    bool header = true;
    NARTHEX_ASSIGN_OR_RETURN(
        const std::uint64_t left_out,
        ImportOpenMetrics(
            text, import_, [&](const std::shared_ptr<tsdb::Block>& block) {
              if (!quiet_) PrintBlocks({block}, header, human_readable_, out);
              header = false;
            }));
    if (left_out > 0) {
      std::cerr << "left out, for an equally new or newer one of their series "
                   "came before them: "
                << left_out << " samples\n";
    }
    return 0;
  }

 private:
  std::string input_;
  ImportOptions import_{.directory = "data/",
                        .max_block_ms = tsdb::kDefaultBlockMs,
                        .labels = {}};
  std::vector<std::string> labels_;
  bool human_readable_ = false;
  bool quiet_ = false;
};

}  // namespace

std::unique_ptr<Command> MakeTsdbCreateBlocksFromOpenMetrics() {
  return std::make_unique<TsdbCreateBlocks>();
}

}  // namespace narthex::ctl
