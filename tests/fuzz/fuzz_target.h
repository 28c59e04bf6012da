#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace narthex::fuzz {

/// Something that reads bytes from outside, and bytes to begin with.
struct Target {
  const char* name;
  /// Must return whatever `input` is; ends the process when an invariant does
  /// not hold.
  void (*run)(absl::string_view input);
  /// Good inputs, made by the code itself or from the shared test data.
  std::vector<std::string> (*seeds)();
};

/// The targets of the program; each group of sources defines it once.
const std::vector<Target>& Targets();

/// Ends the process with `what` unless `condition`.
void Require(bool condition, absl::string_view what);

/// The shared test data's file, as lines or whole; empty when it is not there.
std::string SharedFile(absl::string_view name);
/// The contents of the files in the shared test data that match a shell
/// pattern, none above `max_bytes`.
std::vector<std::string> SharedFiles(absl::string_view pattern,
                                     std::size_t max_bytes = 20000);

}  // namespace narthex::fuzz
