#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace narthex::alertmanager {

/// What must outlive the process: silences and the notification log, each
/// under its own keys, in a RocksDB with a column family for each kind.
/// Thread-safe.
class StateStore {
 public:
  enum class Kind { kSilence, kNotification };
  enum class Durability {
    /// Survives the end of the process, however it comes.
    kProcess,
    /// Survives the end of the machine as well.
    kMachine,
  };

  /// Opens the folder, creating it when needed. kFailedPrecondition when
  /// another process has it open.
  static absl::StatusOr<std::unique_ptr<StateStore>> Open(
      const std::string& directory);
  ~StateStore();

  absl::Status Put(Kind kind, absl::string_view key, absl::string_view value,
                   Durability durability);
  absl::Status Delete(Kind kind, const std::vector<std::string>& keys);

  /// Visits all entries of a kind in order of their keys.
  using Visit =
      std::function<void(absl::string_view key, absl::string_view value)>;
  absl::Status ForEach(Kind kind, const Visit& visit) const;

 private:
  struct State;
  explicit StateStore(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace narthex::alertmanager
