#pragma once

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace narthex::base {

/// Returns `status` with "context: " put before its message; the code stays.
/// An OK status is returned as it is.
absl::Status Annotate(const absl::Status& status, absl::string_view context);

namespace internal {
inline const absl::Status& ToStatus(const absl::Status& status) {
  return status;
}
template <typename T>
const absl::Status& ToStatus(const absl::StatusOr<T>& status_or) {
  return status_or.status();
}
}  // namespace internal

}  // namespace narthex::base

/// Evaluates an expression of type absl::Status (or StatusOr, whose value is
/// dropped) and returns its status from the current function on error.
#define NARTHEX_RETURN_IF_ERROR(expr)                              \
  do {                                                             \
    const auto& narthex_status_ = (expr);                          \
    if (!narthex_status_.ok()) {                                   \
      return ::narthex::base::internal::ToStatus(narthex_status_); \
    }                                                              \
  } while (false)

#define NARTHEX_STATUS_CONCAT_INNER(x, y) x##y
#define NARTHEX_STATUS_CONCAT(x, y) NARTHEX_STATUS_CONCAT_INNER(x, y)
#define NARTHEX_ASSIGN_OR_RETURN_INNER(result, lhs, expr) \
  auto result = (expr);                                   \
  if (!result.ok()) return result.status();               \
  lhs = std::move(result).value()

/// Evaluates an expression of type absl::StatusOr<T>; assigns the value to
/// `lhs` (which may declare a variable) or returns the error.
///   NARTHEX_ASSIGN_OR_RETURN(std::string body, ReadFile(path));
#define NARTHEX_ASSIGN_OR_RETURN(lhs, expr) \
  NARTHEX_ASSIGN_OR_RETURN_INNER(           \
      NARTHEX_STATUS_CONCAT(narthex_status_or_, __LINE__), lhs, expr)
