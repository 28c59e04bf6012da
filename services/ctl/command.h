#pragma once

#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/service/flags.h"

namespace narthex::ctl {

/// One command of narthexctl. Commands of Prometheus's and Alertmanager's tools
/// have their words, flags and output.
class Command {
 public:
  virtual ~Command() = default;

  /// Its words: "tsdb dump".
  virtual absl::string_view words() const = 0;
  /// What it is for, as a sentence.
  virtual absl::string_view summary() const = 0;
  virtual void Declare(service::FlagSet& flags) = 0;
  /// Does it, answering on `out`; the flags are parsed. Gives the program's
  /// exit code; an error is printed and ends it with 1.
  virtual absl::StatusOr<int> Run(std::ostream& out) = 0;
};

using CommandList = std::vector<std::unique_ptr<Command>>;

/// Runs the command that the first of `arguments` name with the rest of them
/// and returns the exit code. Errors and complaints about usage go to `err`.
int RunCommand(const CommandList& commands,
               const std::vector<std::string>& arguments, std::ostream& out,
               std::ostream& err);

}  // namespace narthex::ctl
