#pragma once

#include <memory>
#include <vector>

#include "libs/storage/memory_storage.h"

namespace narthex::promql {

/// For tests: counts how often it is asked.
class CountedSelections : public storage::MemoryStorage {
 public:
  absl::StatusOr<std::unique_ptr<storage::SeriesSet>> Select(
      const storage::SelectHints& hints,
      const std::vector<model::Matcher>& matchers) override {
    ++selections;
    return MemoryStorage::Select(hints, matchers);
  }

  int selections = 0;
};

}  // namespace narthex::promql
