#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "services/alertmanager/silence.h"

namespace narthex::alertmanager {

/// Finds the silences that match a label set without trying all of them: a
/// silence that demands one of a few values of some label stands under these,
/// only the others are tried every time. Not thread-safe.
class SilenceIndex {
 public:
  void Add(const SilencePtr& silence);
  void Remove(const SilencePtr& silence);

  /// Calls `visit` with each silence that is active and matches until it
  /// returns false.
  template <typename Visit>
  void ForEachMatch(const model::Labels& labels, std::int64_t now_ms,
                    const Visit& visit) const {
    const auto visit_bucket = [&](const Bucket& bucket) {
      for (const SilencePtr& silence : bucket) {
        if (silence->StateAt(now_ms) == SilenceState::kActive &&
            silence->Matches(labels) && !visit(silence)) {
          return false;
        }
      }
      return true;
    };
    if (!visit_bucket(others_) || by_name_.empty()) return;
    for (const model::Label& label : labels) {
      const auto name = by_name_.find(label.name);
      if (name == by_name_.end()) continue;
      const auto bucket = name->second.find(label.value);
      if (bucket == name->second.end()) continue;
      if (!visit_bucket(bucket->second)) return;
    }
  }

 private:
  using Bucket = std::vector<SilencePtr>;
  using ByValue = absl::flat_hash_map<std::string, Bucket>;

  absl::flat_hash_map<std::string, ByValue> by_name_;
  Bucket others_;
};

}  // namespace narthex::alertmanager
