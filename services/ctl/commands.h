#pragma once

#include <memory>

#include "services/ctl/command.h"

namespace narthex::ctl {

std::unique_ptr<Command> MakeTsdbAnalyze();
std::unique_ptr<Command> MakeTsdbCreateBlocksFromOpenMetrics();
std::unique_ptr<Command> MakeTsdbDump();
std::unique_ptr<Command> MakeTsdbDumpOpenMetrics();
std::unique_ptr<Command> MakeTsdbList();
std::unique_ptr<Command> MakeTsdbVerify();

/// All that narthexctl can do.
CommandList AllCommands();

}  // namespace narthex::ctl
