#pragma once

#include <functional>

namespace narthex::tsdb {

/// How far a replay of the write-ahead log has come: numbers of segments.
struct ReplayProgress {
  int first = 0;
  int last = 0;
  int current = 0;
};

/// What a replay asks and tells meanwhile. Each may be empty.
struct ReplayWatch {
  /// Asked at every record: true ends the replay with kCancelled.
  std::function<bool()> stopping;
  /// Told when a segment is begun.
  std::function<void(const ReplayProgress&)> progress;
  /// Called when the samples of a segment are in the head, by the only thread
  /// that changes it.
  std::function<void()> segment_applied;
};

}  // namespace narthex::tsdb
