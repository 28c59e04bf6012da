#include "services/querier/running_queries.h"

#include <random>
#include <utility>

#include "absl/strings/str_cat.h"

namespace narthex::querier {

RunningQueries::RunningQueries(base::Clock& clock)
    : clock_(clock),
      process_(absl::StrCat(absl::Hex(std::random_device()()),
                            absl::Hex(std::random_device()()))) {}

RunningQueries::Scope::Scope(RunningQueries& list, Info info,
                             promql::QueryProgress& progress,
                             std::function<void()> cancel)
    : list_(list) {
  info.begin_ms = list_.clock_.NowMs();
  const std::int64_t begin_ns = list_.clock_.MonotonicNs();
  base::MutexLock lock(list_.mutex_);
  id_ = ++list_.last_id_;
  info.id = id_;
  progress.id = absl::StrCat(list_.process_, "-", id_);
  list_.entries_.emplace_hint(
      list_.entries_.end(), id_,
      Entry{std::move(info), begin_ns, &progress, std::move(cancel)});
}

RunningQueries::Scope::~Scope() {
  base::MutexLock lock(list_.mutex_);
  list_.entries_.erase(id_);
}

std::vector<RunningQueries::Info> RunningQueries::List() const {
  std::vector<Info> all;
  base::MutexLock lock(mutex_);
  const std::int64_t now_ns = clock_.MonotonicNs();
  for (const auto& [id, entry] : entries_) {
    Info& info = all.emplace_back(entry.info);
    info.seconds = static_cast<double>(now_ns - entry.begin_ns) / 1e9;
    info.fragments_id = entry.progress->id;
    info.samples = entry.progress->samples_read.load();
    info.series = entry.progress->series_read.load();
    info.columns = entry.progress->columns_received.load();
    info.bytes = entry.progress->bytes_held.load();
  }
  return all;
}

bool RunningQueries::Cancel(std::uint64_t id) {
  base::MutexLock lock(mutex_);
  const auto it = entries_.find(id);
  if (it == entries_.end()) return false;
  it->second.cancel();
  return true;
}

}  // namespace narthex::querier
