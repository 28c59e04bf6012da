#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "libs/base/clock.h"
#include "libs/base/mutex.h"
#include "libs/promql/progress.h"

namespace narthex::querier {

/// The queries that are waiting or being evaluated. Thread-safe.
class RunningQueries {
 public:
  /// What is told about one.
  struct Info {
    std::uint64_t id = 0;
    std::string query;
    std::int64_t begin_ms = 0;  // Unix, when it arrived.
    std::int64_t start_ms = 0;
    std::int64_t end_ms = 0;
    std::int64_t step_ms = 0;       // 0: an instant query.
    std::string origin;             // Who asks.
    double seconds = 0;             // So far.
    std::int64_t samples = 0;       // Read so far.
    std::int64_t series = 0;        // Likewise.
    std::int64_t columns = 0;       // Received from ingesters so far.
    std::int64_t bytes = 0;         // Held now.
    std::string fragments_id = {};  // Names its fragments in ingesters.
  };

  explicit RunningQueries(base::Clock& clock);

  /// Lists a query for as long as it lives.
  class Scope {
   public:
    /// `info` need not say id, begin and cost. `cancel` ends the query; it is
    /// called by other threads and must not block. Gives `progress` an id.
    Scope(RunningQueries& list, Info info, promql::QueryProgress& progress,
          std::function<void()> cancel);
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    RunningQueries& list_;
    std::uint64_t id_ = 0;
  };

  /// Oldest first.
  std::vector<Info> List() const ABSL_LOCKS_EXCLUDED(mutex_);
  /// False when no query has this id (any more).
  bool Cancel(std::uint64_t id) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Entry {
    Info info;
    std::int64_t begin_ns = 0;
    const promql::QueryProgress* progress = nullptr;
    std::function<void()> cancel;
  };

  base::Clock& clock_;
  const std::string process_;  // Unlike that of any other querier.
  mutable base::Mutex mutex_;
  std::uint64_t last_id_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<std::uint64_t, Entry> entries_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace narthex::querier
