#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/base/file.h"

namespace narthex::scraper {

/// The scrape_failure_log_file: one JSON object a line for each failed
/// scrape, with the keys of Prometheus 3.x. Thread-safe.
class FailureLog {
 public:
  /// Appends to `path`, which is made when it is not there.
  static absl::StatusOr<std::shared_ptr<FailureLog>> Open(
      const std::string& path);

  void Write(std::int64_t now_ms, absl::string_view job,
             absl::string_view target_url, absl::string_view error);

 private:
  explicit FailureLog(base::UniqueFd file) : file_(std::move(file)) {}
  const base::UniqueFd file_;
};

}  // namespace narthex::scraper
