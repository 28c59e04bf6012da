#include "services/scraper/failure_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <nlohmann/json.hpp>

#include "absl/time/time.h"

namespace narthex::scraper {

absl::StatusOr<std::shared_ptr<FailureLog>> FailureLog::Open(
    const std::string& path) {
  base::UniqueFd file(
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  if (!file) return base::ErrnoStatus(errno, "open scrape failure log", path);
  return std::shared_ptr<FailureLog>(new FailureLog(std::move(file)));
}

void FailureLog::Write(std::int64_t now_ms, absl::string_view job,
                       absl::string_view target_url, absl::string_view error) {
  nlohmann::ordered_json line;
  line["time"] =
      absl::FormatTime("%Y-%m-%dT%H:%M:%E*SZ", absl::FromUnixMillis(now_ms),
                       absl::UTCTimeZone());
  line["level"] = "ERROR";
  line["msg"] = std::string(error);
  line["job_name"] = std::string(job);
  line["target"] = std::string(target_url);
  // What is no UTF-8 is replaced. One write each, so that lines stay whole.
  const std::string text =
      line.dump(-1, ' ', false,
                nlohmann::ordered_json::error_handler_t::replace) +
      "\n";
  [[maybe_unused]] const ssize_t written =
      ::write(file_.get(), text.data(), text.size());
}

}  // namespace narthex::scraper
