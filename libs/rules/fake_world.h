#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/base/mutex.h"
#include "libs/rules/group.h"

namespace narthex::rules {

/// What a group needs of the world, for tests: queries answer what was put
/// in, and everything stored and sent is kept. Thread-safe.
class FakeWorld {
 public:
  GroupOptions Options() {
    GroupOptions options;
    options.query = [this](absl::string_view expression, std::int64_t time_ms,
                           absl::string_view) {
      return Query(std::string(expression), time_ms);
    };
    options.append = [this](const std::vector<ResultSample>& batch)
        -> absl::StatusOr<std::vector<storage::Rejection>> {
      base::MutexLock lock(mutex_);
      if (!append_status_.ok()) return append_status_;
      stored_.insert(stored_.end(), batch.begin(), batch.end());
      return std::vector<storage::Rejection>{};
    };
    options.notify = [this](std::vector<OutgoingAlert> alerts) {
      base::MutexLock lock(mutex_);
      sent_.insert(sent_.end(), alerts.begin(), alerts.end());
    };
    return options;
  }

  void SetResult(const std::string& expression,
                 absl::StatusOr<std::vector<promql::VectorSample>> result) {
    base::MutexLock lock(mutex_);
    results_.insert_or_assign(expression, std::move(result));
  }
  void SetAppendStatus(absl::Status status) {
    base::MutexLock lock(mutex_);
    append_status_ = std::move(status);
  }

  /// What was stored since the last call.
  std::vector<ResultSample> TakeStored() {
    base::MutexLock lock(mutex_);
    return std::exchange(stored_, {});
  }
  std::vector<OutgoingAlert> TakeSent() {
    base::MutexLock lock(mutex_);
    return std::exchange(sent_, {});
  }
  std::vector<std::int64_t> TakeQueryTimes() {
    base::MutexLock lock(mutex_);
    return std::exchange(query_times_, {});
  }

 private:
  absl::StatusOr<std::vector<promql::VectorSample>> Query(
      const std::string& expression, std::int64_t time_ms) {
    base::MutexLock lock(mutex_);
    query_times_.push_back(time_ms);
    const auto it = results_.find(expression);
    if (it == results_.end()) return std::vector<promql::VectorSample>{};
    return it->second;
  }

  base::Mutex mutex_;
  std::map<std::string, absl::StatusOr<std::vector<promql::VectorSample>>>
      results_ ABSL_GUARDED_BY(mutex_);
  absl::Status append_status_ ABSL_GUARDED_BY(mutex_);
  std::vector<ResultSample> stored_ ABSL_GUARDED_BY(mutex_);
  std::vector<OutgoingAlert> sent_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::int64_t> query_times_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace narthex::rules
