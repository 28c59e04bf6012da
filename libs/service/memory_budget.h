#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace narthex::service {

/// What the machine and the control group give a process.
struct MemoryBounds {
  std::uint64_t machine_bytes = 0;
  /// 0: the group sets none.
  std::uint64_t group_bytes = 0;

  static MemoryBounds OfThisProcess();
};

/// Bytes that `text` stands for: "8GB", "80%" (of the smaller of the bounds),
/// "auto" (80% of the group's, if any) or "0"; 0 is no budget.
/// kInvalidArgument for anything else.
absl::StatusOr<std::uint64_t> MemoryBudget(
    absl::string_view text,
    const MemoryBounds& bounds = MemoryBounds::OfThisProcess());

}  // namespace narthex::service
