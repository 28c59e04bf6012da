#include "libs/base/status.h"
#include "libs/tsdb/verify.h"
#include "services/ctl/block_directory.h"
#include "services/ctl/commands.h"

namespace narthex::ctl {
namespace {

class TsdbVerify : public Command {
 public:
  absl::string_view words() const override { return "tsdb verify"; }
  absl::string_view summary() const override {
    return "Check every checksum, order and reference in blocks, head chunks "
           "and logs. Ends with 1 when something is wrong.";
  }

  void Declare(service::FlagSet& flags) override {
    flags.Argument("db path", &path_, "Database path (default is data/).",
                   /*required=*/false);
  }

  absl::StatusOr<int> Run(std::ostream& out) override {
    NARTHEX_RETURN_IF_ERROR(CheckDatabase(path_));
    NARTHEX_ASSIGN_OR_RETURN(const tsdb::VerifyReport report,
                             tsdb::VerifyDirectory(path_));
    for (const std::string& finding : report.findings) out << finding << "\n";
    if (report.more_findings > 0) {
      out << "and " << report.more_findings << " more\n";
    }
    out << "checked: blocks=" << report.blocks << " series=" << report.series
        << " chunks=" << report.chunks << " samples=" << report.samples
        << " head_chunks=" << report.head_chunks
        << " log_segments=" << report.log_segments
        << " log_records=" << report.log_records << "\n"
        << (report.ok() ? "OK\n" : "FAILED\n");
    return report.ok() ? 0 : 1;
  }

 private:
  std::string path_ = "data/";
};

}  // namespace

std::unique_ptr<Command> MakeTsdbVerify() {
  return std::make_unique<TsdbVerify>();
}

}  // namespace narthex::ctl
