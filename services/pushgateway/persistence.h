#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace narthex::pushgateway {

/// Keeps groups on disk, in RocksDB: two records for each, so that a push that
/// changes values alone writes little. What Write() acknowledged survives the
/// death of the process. Thread-safe.
class Persistence {
 public:
  /// Opens or creates the directory. The error names it.
  static absl::StatusOr<std::unique_ptr<Persistence>> Open(
      const std::string& directory);
  ~Persistence();

  struct Record {
    std::string group;
    /// Null: the stored one still holds.
    const std::string* layouts = nullptr;
    std::string values;
  };
  absl::Status Write(const Record& record);
  absl::Status Remove(absl::string_view group);
  absl::Status RemoveAll();

  /// Calls `visit` for every group; its error ends the walk.
  using Visit = std::function<absl::Status(absl::string_view group,
                                           absl::string_view layouts,
                                           absl::string_view values)>;
  absl::Status Load(const Visit& visit);

 private:
  struct State;
  explicit Persistence(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace narthex::pushgateway
