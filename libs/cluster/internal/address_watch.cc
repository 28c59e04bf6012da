#include "libs/cluster/internal/address_watch.h"

#include <utility>

namespace narthex::cluster::internal {
namespace {
constexpr std::chrono::milliseconds kResolveEvery{5'000};
}  // namespace

AddressWatch::AddressWatch(
    AddressList list,
    std::function<void(const std::vector<std::string>&)> changed,
    std::function<void(const absl::Status&)> failed)
    : list_(std::move(list)),
      changed_(std::move(changed)),
      failed_(std::move(failed)) {
  if (!list_.dns_name.empty()) thread_ = std::thread([this] { Run(); });
}

AddressWatch::~AddressWatch() {
  {
    base::MutexLock lock(mutex_);
    stopping_ = true;
    stop_.NotifyAll();
  }
  if (thread_.joinable()) thread_.join();
}

void AddressWatch::Run() {
  while (true) {
    {
      base::MutexLock lock(mutex_);
      if (!stopping_) stop_.WaitFor(mutex_, kResolveEvery);
      if (stopping_) return;
    }
    const auto addresses = ResolveAddresses(list_);
    if (addresses.ok()) {
      changed_(*addresses);
    } else {
      failed_(addresses.status());
    }
  }
}

}  // namespace narthex::cluster::internal
