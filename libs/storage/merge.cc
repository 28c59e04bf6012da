#include "libs/storage/merge.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "libs/base/status.h"

namespace narthex::storage {
namespace {

// By time; which of two with the same bounds is first does not depend on
// where they come from.
bool InOrder(const Chunk& a, const Chunk& b) {
  if (a.min_ms != b.min_ms) return a.min_ms < b.min_ms;
  if (a.max_ms != b.max_ms) return a.max_ms < b.max_ms;
  if (a.encoding != b.encoding) return a.encoding < b.encoding;
  return a.bytes < b.bytes;
}

bool Same(const Chunk& a, const Chunk& b) {
  return a.min_ms == b.min_ms && a.max_ms == b.max_ms &&
         a.encoding == b.encoding && a.bytes == b.bytes;
}

class MergedSet : public ChunkSeriesSet {
 public:
  explicit MergedSet(std::vector<std::unique_ptr<ChunkSeriesSet>> sets) {
    for (auto& set : sets) {
      Source source;
      source.set = std::move(set);
      Advance(source);
      sources_.push_back(std::move(source));
    }
    std::make_heap(sources_.begin(), sources_.end(), Later);
    DropFinished();
  }

  bool Next(ChunkSeries* series) override {
    if (!status_.ok() || sources_.empty()) return false;
    TakeFirst(series);
    bool several = false;
    while (status_.ok() && !sources_.empty() &&
           sources_.front().head.labels == series->labels) {
      ChunkSeries same;
      TakeFirst(&same);
      several = true;
      std::move(same.chunks.begin(), same.chunks.end(),
                std::back_inserter(series->chunks));
    }
    if (several) {
      auto& chunks = series->chunks;
      std::sort(chunks.begin(), chunks.end(), InOrder);
      chunks.erase(std::unique(chunks.begin(), chunks.end(), Same),
                   chunks.end());
    }
    return status_.ok();
  }

  absl::Status status() const override { return status_; }

 private:
  struct Source {
    std::unique_ptr<ChunkSeriesSet> set;
    ChunkSeries head;
    bool finished = false;
  };

  // The heap's front is the source with the smallest labels; finished ones
  // come first of all, to be dropped.
  static bool Later(const Source& a, const Source& b) {
    if (a.finished != b.finished) return b.finished;
    return model::Labels::Compare(a.head.labels, b.head.labels) > 0;
  }

  void Advance(Source& source) {
    if (source.set->Next(&source.head)) return;
    source.finished = true;
    if (status_.ok()) status_ = source.set->status();
  }

  void DropFinished() {
    while (!sources_.empty() && sources_.front().finished) {
      std::pop_heap(sources_.begin(), sources_.end(), Later);
      sources_.pop_back();
    }
  }

  void TakeFirst(ChunkSeries* series) {
    std::pop_heap(sources_.begin(), sources_.end(), Later);
    std::swap(*series, sources_.back().head);
    Advance(sources_.back());
    std::push_heap(sources_.begin(), sources_.end(), Later);
    DropFinished();
  }

  std::vector<Source> sources_;
  absl::Status status_;
};

}  // namespace

std::unique_ptr<ChunkSeriesSet> MergeChunkSeries(
    std::vector<std::unique_ptr<ChunkSeriesSet>> sets) {
  if (sets.size() == 1) return std::move(sets.front());
  return std::make_unique<MergedSet>(std::move(sets));
}

void MergeColumns(const model::SampleColumns& from,
                  model::SampleColumns* into) {
  if (from.empty()) return;
  if (into->empty() ||
      into->timestamps_ms.back() < from.timestamps_ms.front()) {
    into->AppendRange(from, 0, from.size());
    return;
  }
  // Runs of one side are copied as a whole.
  const auto run_end = [](const std::vector<std::int64_t>& times,
                          std::size_t begin, std::int64_t before) {
    const auto first = times.begin() + static_cast<std::ptrdiff_t>(begin);
    return static_cast<std::size_t>(
        std::lower_bound(first, times.end(), before) - times.begin());
  };
  model::SampleColumns merged;
  std::size_t a = 0;
  std::size_t b = 0;
  while (a < into->size() && b < from.size()) {
    const std::int64_t time = into->timestamps_ms[a];
    const std::size_t older = run_end(from.timestamps_ms, b, time);
    merged.AppendRange(from, b, older);
    b = older;
    if (b == from.size()) break;
    if (from.timestamps_ms[b] == time && ++b == from.size()) break;
    const std::size_t until =
        run_end(into->timestamps_ms, a, from.timestamps_ms[b]);
    merged.AppendRange(*into, a, until);
    a = until;
  }
  merged.AppendRange(*into, a, into->size());
  merged.AppendRange(from, b, from.size());
  *into = std::move(merged);
}

std::vector<std::string> MergeNames(std::vector<std::vector<std::string>> lists,
                                    std::size_t limit) {
  std::vector<std::string> all;
  if (!lists.empty()) all = std::move(lists.front());
  for (std::size_t i = 1; i < lists.size(); ++i) {
    std::move(lists[i].begin(), lists[i].end(), std::back_inserter(all));
  }
  if (!std::is_sorted(all.begin(), all.end())) {
    std::sort(all.begin(), all.end());
  }
  all.erase(std::unique(all.begin(), all.end()), all.end());
  if (limit != 0 && all.size() > limit) all.resize(limit);
  return all;
}

}  // namespace narthex::storage
