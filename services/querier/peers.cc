#include "services/querier/peers.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/rpc/channel.h"

namespace narthex::querier {
namespace {

constexpr std::int64_t kResolveEveryNs = 5'000'000'000;

}  // namespace

Peers::Peers(std::string service, cluster::AddressList addresses,
             base::Clock& clock)
    : service_(std::move(service)),
      addresses_(std::move(addresses)),
      clock_(clock) {}

Peers::~Peers() = default;

absl::StatusOr<std::vector<Peer>> Peers::All() {
  base::MutexLock lock(mutex_);
  const bool fresh = !peers_.empty() &&
                     (addresses_.dns_name.empty() ||
                      clock_.MonotonicNs() - resolved_ns_ < kResolveEveryNs);
  if (!fresh) NARTHEX_RETURN_IF_ERROR(Resolve());
  return peers_;
}

absl::Status Peers::Resolve() {
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<std::string> addresses,
                           cluster::ResolveAddresses(addresses_));
  std::vector<Peer> found;
  found.reserve(addresses.size());
  for (const std::string& address : addresses) {
    const auto known =
        std::find_if(peers_.begin(), peers_.end(),
                     [&](const Peer& p) { return p.address == address; });
    found.push_back(known != peers_.end()
                        ? *known
                        : Peer{address, absl::StrCat(service_, " ", address),
                               rpc::NewChannel(address)});
  }
  peers_ = std::move(found);
  resolved_ns_ = clock_.MonotonicNs();
  return absl::OkStatus();
}

}  // namespace narthex::querier
