#pragma once

#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "libs/base/mutex.h"
#include "libs/cluster/addresses.h"

namespace narthex::cluster::internal {

/// Looks a DNS name up every few seconds for as long as it lives. Does
/// nothing for a fixed list.
class AddressWatch {
 public:
  /// `changed` is called on the watch's thread with every answer, changed or
  /// not; `failed` with every failure, upon which the known addresses stay.
  AddressWatch(AddressList list,
               std::function<void(const std::vector<std::string>&)> changed,
               std::function<void(const absl::Status&)> failed);
  ~AddressWatch();

 private:
  void Run() ABSL_LOCKS_EXCLUDED(mutex_);

  const AddressList list_;
  const std::function<void(const std::vector<std::string>&)> changed_;
  const std::function<void(const absl::Status&)> failed_;
  base::Mutex mutex_;
  base::CondVar stop_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace narthex::cluster::internal
