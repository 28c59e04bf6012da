#include "libs/cluster/internal/series_epochs.h"

#include <iterator>
#include <utility>

namespace narthex::cluster::internal {

class SeriesEpochs::Epoch {
 public:
  Epoch(SeriesEpochs& epochs, Released::iterator released)
      : epochs_(epochs), released_(released) {}
  ~Epoch() { epochs_.End(released_); }
  Epoch(const Epoch&) = delete;
  Epoch& operator=(const Epoch&) = delete;

 private:
  SeriesEpochs& epochs_;
  const Released::iterator released_;
};

SeriesEpochs::SeriesEpochs(SeriesTable& table) : table_(table) {
  released_.emplace_back();
  current_ = std::make_shared<const Epoch>(*this, released_.begin());
}

std::shared_ptr<const void> SeriesEpochs::Current() const {
  base::ReaderMutexLock lock(mutex_);
  return current_;
}

void SeriesEpochs::Release(absl::Span<const storage::SeriesRef> refs) {
  // Let go without the lock, which its end takes.
  std::shared_ptr<const Epoch> ended;
  base::MutexLock lock(mutex_);
  released_.back().insert(released_.back().end(), refs.begin(), refs.end());
  held_ += refs.size();
  released_.emplace_back();
  ended = std::exchange(current_, std::make_shared<const Epoch>(
                                      *this, std::prev(released_.end())));
}

void SeriesEpochs::End(Released::iterator epoch) {
  std::vector<storage::SeriesRef> freed;
  {
    base::MutexLock lock(mutex_);
    if (epoch == released_.begin()) {
      freed = std::move(*epoch);
      held_ -= freed.size();
    } else {
      // They wait for the epoch before only: those before that wait likewise.
      auto& before = *std::prev(epoch);
      before.insert(before.end(), epoch->begin(), epoch->end());
    }
    released_.erase(epoch);
  }
  if (!freed.empty()) table_.Free(freed);
}

std::size_t SeriesEpochs::held() const {
  base::ReaderMutexLock lock(mutex_);
  return held_;
}

}  // namespace narthex::cluster::internal
