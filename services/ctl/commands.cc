#include "services/ctl/commands.h"

namespace narthex::ctl {

CommandList AllCommands() {
  CommandList commands;
  commands.push_back(MakeTsdbAnalyze());
  commands.push_back(MakeTsdbList());
  commands.push_back(MakeTsdbDump());
  commands.push_back(MakeTsdbDumpOpenMetrics());
  commands.push_back(MakeTsdbCreateBlocksFromOpenMetrics());
  commands.push_back(MakeTsdbVerify());
  return commands;
}

}  // namespace narthex::ctl
