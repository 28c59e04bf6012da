#include "libs/cluster/addresses.h"

#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <memory>

#include "absl/container/inlined_vector.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "libs/base/hash.h"
#include "libs/base/status.h"

namespace narthex::cluster {
namespace {

struct HostPort {
  std::string host;
  std::string port;
};

absl::StatusOr<HostPort> SplitAddress(absl::string_view address) {
  const std::size_t colon = address.rfind(':');
  int port = 0;
  if (colon == absl::string_view::npos || colon == 0 ||
      !absl::SimpleAtoi(address.substr(colon + 1), &port) || port < 1 ||
      port > 65535) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", address, "\" is not host:port"));
  }
  return HostPort{std::string(address.substr(0, colon)),
                  std::string(address.substr(colon + 1))};
}

std::string NumericAddress(const addrinfo& info, const std::string& port) {
  std::array<char, NI_MAXHOST> host{};
  if (::getnameinfo(info.ai_addr, info.ai_addrlen, host.data(), host.size(),
                    nullptr, 0, NI_NUMERICHOST) != 0) {
    return "";
  }
  const std::string text(host.data());
  if (info.ai_family == AF_INET6) return absl::StrCat("[", text, "]:", port);
  return absl::StrCat(text, ":", port);
}

// Spreads every input bit over the result (the finalizer of SplitMix64).
std::uint64_t Mix(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

}  // namespace

absl::StatusOr<AddressList> ParseAddressList(absl::string_view text) {
  AddressList list;
  if (absl::ConsumePrefix(&text, "dns://")) {
    NARTHEX_RETURN_IF_ERROR(SplitAddress(text));
    list.dns_name = std::string(text);
    return list;
  }
  for (const absl::string_view part : absl::StrSplit(text, ',')) {
    const absl::string_view address = absl::StripAsciiWhitespace(part);
    NARTHEX_RETURN_IF_ERROR(SplitAddress(address));
    list.fixed.emplace_back(address);
  }
  return list;
}

absl::StatusOr<std::vector<std::string>> ResolveAddresses(
    const AddressList& list) {
  std::vector<std::string> addresses = list.fixed;
  if (!list.dns_name.empty()) {
    NARTHEX_ASSIGN_OR_RETURN(const HostPort name, SplitAddress(list.dns_name));
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    const int error =
        ::getaddrinfo(name.host.c_str(), name.port.c_str(), &hints, &found);
    if (error != 0) {
      return absl::UnavailableError(
          absl::StrCat("look up ", name.host, ": ", ::gai_strerror(error)));
    }
    const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(found,
                                                               ::freeaddrinfo);
    for (const addrinfo* info = found; info != nullptr; info = info->ai_next) {
      addresses.push_back(NumericAddress(*info, name.port));
    }
  }
  std::sort(addresses.begin(), addresses.end());
  addresses.erase(std::unique(addresses.begin(), addresses.end()),
                  addresses.end());
  return addresses;
}

absl::Status CheckReplicationFactor(std::size_t factor,
                                    const std::vector<std::string>& addresses) {
  if (factor >= 1 && factor <= addresses.size()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("--ingester.replication-factor must be between 1 and ",
                   addresses.size(), ", the number of ingesters"));
}

Owners::Owners(const std::vector<std::string>& addresses) {
  for (const std::string& address : addresses) {
    seeds_.push_back(base::XxHash64(address));
  }
}

std::size_t Owners::OwnerOf(std::uint64_t hash) const {
  std::size_t owner = 0;
  std::uint64_t highest = 0;
  for (std::size_t i = 0; i < seeds_.size(); ++i) {
    const std::uint64_t weight = Mix(hash ^ seeds_[i]);
    if (i == 0 || weight > highest) {
      owner = i;
      highest = weight;
    }
  }
  return owner;
}

void Owners::OwnersOf(std::uint64_t hash,
                      absl::Span<std::size_t> owners) const {
  absl::InlinedVector<std::uint64_t, 8> highest(owners.size());
  std::size_t found = 0;
  for (std::size_t i = 0; i < seeds_.size(); ++i) {
    const std::uint64_t weight = Mix(hash ^ seeds_[i]);
    std::size_t at = found;
    while (at > 0 && weight > highest[at - 1]) --at;
    if (at == owners.size()) continue;
    if (found < owners.size()) ++found;
    for (std::size_t k = found - 1; k > at; --k) {
      highest[k] = highest[k - 1];
      owners[k] = owners[k - 1];
    }
    highest[at] = weight;
    owners[at] = i;
  }
}

}  // namespace narthex::cluster
