#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/base/clock.h"
#include "libs/base/mutex.h"
#include "services/pushgateway/body_shape.h"
#include "services/pushgateway/family.h"
#include "services/pushgateway/persistence.h"
#include "services/pushgateway/push_body.h"

namespace narthex::pushgateway {

struct StoreOptions {
  /// Where groups are kept; null keeps them in memory only.
  std::unique_ptr<Persistence> persistence;
  /// The process's own families by name, which pushes must not contradict.
  absl::flat_hash_map<std::string, model::MetricType> own_families;
  bool check_consistency = true;
};

/// All pushed groups. A push costs what its own group costs, however many
/// others there are: families index their metrics, so that a clash is found
/// without gathering everything. Thread-safe.
class Store {
 public:
  /// Loads what is stored. kDataLoss when that is malformed.
  static absl::StatusOr<std::unique_ptr<Store>> Open(StoreOptions options,
                                                     base::Clock& clock);
  ~Store();

  enum class Mode {
    kReplaceGroup,     // PUT
    kReplaceFamilies,  // POST
  };
  /// Applies a push and stores it. kInvalidArgument, in Pushgateway's words,
  /// for a push that contradicts itself or what is there: then only the
  /// group's push_failure_time_seconds changes. Another code: the push is in
  /// memory but not on disk.
  /// `text` is what `body` was parsed from.
  absl::Status Push(const LabelPairs& group, absl::string_view text,
                    PushBody body, Mode mode);
  /// As Push(), for a text that differs from what the group was pushed before
  /// in values only; it is not parsed. None when that is not so.
  std::optional<absl::Status> PushValues(const LabelPairs& group,
                                         absl::string_view text, Mode mode);
  /// No error when the group is not there.
  absl::Status Delete(const LabelPairs& group);
  absl::Status Wipe();

  /// Names of all families, ascending.
  std::vector<std::string> FamilyNames() const;
  /// Appends a family of all groups, its metrics in order; without HELP and
  /// TYPE unless `with_head`. Nothing when it is gone.
  void AppendFamily(absl::string_view name, bool with_head, std::string* out);

  /// One group as the API shows it.
  struct PushedFamily {
    Family family;
    std::int64_t pushed_ms = 0;
  };
  struct Group {
    LabelPairs labels;
    bool last_push_successful = false;
    std::vector<PushedFamily> families;
  };
  /// All groups, by key.
  std::vector<Group> Groups() const;
  std::size_t group_count() const;

 private:
  struct Slot;
  struct PushedGroup;
  struct FamilyIndex;
  // A metric of a slot.
  struct MetricRef {
    Slot* slot;
    std::uint32_t metric;
  };

  Store(StoreOptions options, base::Clock& clock);

  absl::Status Load() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status LoadGroup(absl::string_view key, absl::string_view layouts,
                         absl::string_view values)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  absl::Status Check(const PushedGroup* group, const PushBody& body,
                     Mode mode) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status CheckType(const PushedGroup* group, const Family& family) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status CheckSuffixes(const PushedGroup* group, const PushBody& body,
                             const Family& family, Mode mode) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status CheckOwners(const PushedGroup* group, const Family& family) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  PushedGroup& GetOrCreate(const LabelPairs& labels)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // True when the layouts of the group changed.
  bool Put(PushedGroup& group, Family family, std::int64_t now_ms)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Remove(PushedGroup& group, absl::string_view family)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Link(Slot& slot) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Takes a slot out of its family. It lives on, empty, until the family's
  // order is cleaned of it.
  void Unlink(std::unique_ptr<Slot> slot) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  static void DropRetired(FamilyIndex& index);
  bool PutTime(PushedGroup& group, absl::string_view family, double seconds,
               std::int64_t now_ms) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Remembers the shape of a text that changed values only.
  void Learn(PushedGroup& group, std::shared_ptr<const BodyShape> shape,
             const std::vector<std::string>& families)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Persist(const PushedGroup& group, bool layouts_changed)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Sort(FamilyIndex& index) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const StoreOptions options_;
  base::Clock& clock_;
  mutable base::Mutex mutex_;
  std::map<std::string, std::unique_ptr<PushedGroup>> groups_
      ABSL_GUARDED_BY(mutex_);
  absl::btree_map<std::string, std::unique_ptr<FamilyIndex>> families_
      ABSL_GUARDED_BY(mutex_);
  // By hash: groups of one job share a shape.
  absl::flat_hash_map<std::uint64_t, std::weak_ptr<const BodyShape>> shapes_
      ABSL_GUARDED_BY(mutex_);
};

}  // namespace narthex::pushgateway
