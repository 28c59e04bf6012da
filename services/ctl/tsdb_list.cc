#include "libs/base/status.h"
#include "services/ctl/block_directory.h"
#include "services/ctl/commands.h"

namespace narthex::ctl {
namespace {

class TsdbList : public Command {
 public:
  absl::string_view words() const override { return "tsdb list"; }
  absl::string_view summary() const override { return "List tsdb blocks."; }

  void Declare(service::FlagSet& flags) override {
    flags.Bool("human-readable", &human_readable_,
               "Print human readable values.");
    flags.Short('r', "human-readable");
    flags.Argument("db path", &path_, "Database path (default is data/).",
                   /*required=*/false);
  }

  absl::StatusOr<int> Run(std::ostream& out) override {
    NARTHEX_ASSIGN_OR_RETURN(const auto blocks, OpenBlocks(path_));
    PrintBlocks(blocks, /*header=*/true, human_readable_, out);
    return 0;
  }

 private:
  std::string path_ = "data/";
  bool human_readable_ = false;
};

}  // namespace

std::unique_ptr<Command> MakeTsdbList() { return std::make_unique<TsdbList>(); }

}  // namespace narthex::ctl
