#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/base/log.h"
#include "libs/base/mutex.h"

namespace narthex::querier {

/// Notes in a file which queries are being evaluated, so that after a crash
/// it is known what was going on. The file is Prometheus's queries.active: a
/// '[' and places of 1000 bytes, each a JSON object and a comma, or zeros.
/// Thread-safe.
class ActiveQueries {
 public:
  /// Logs what an earlier process left in the file at `path` and empties it
  /// for up to `places` queries at a time.
  static absl::StatusOr<std::unique_ptr<ActiveQueries>> Open(
      const std::string& path, std::size_t places, const base::Logger& log);
  ~ActiveQueries();

  /// Notes a query for as long as it lives; beyond the number of places
  /// queries are not noted.
  class Scope {
   public:
    /// `active` may be null: then nothing is noted.
    Scope(ActiveQueries* active, absl::string_view query,
          std::int64_t unix_seconds);
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    ActiveQueries* const active_;
    std::size_t place_ = 0;
    bool noted_ = false;
  };

 private:
  ActiveQueries(char* mapped, std::size_t places);
  char* At(std::size_t place);

  // The file: what is written here survives the process.
  char* const mapped_;
  const std::size_t size_;
  base::Mutex mutex_;
  std::vector<std::size_t> free_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace narthex::querier
