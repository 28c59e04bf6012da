#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace narthex::cluster {

/// Where the processes of one service are: a fixed list, or a DNS name with an
/// address record for each.
struct AddressList {
  /// host:port each, in the order given. Empty when `dns_name` is used.
  std::vector<std::string> fixed;
  /// host:port whose host resolves to all processes.
  std::string dns_name;
};

/// Reads "a:1,b:2" or "dns://name:port". kInvalidArgument names what is wrong.
absl::StatusOr<AddressList> ParseAddressList(absl::string_view text);

/// The addresses behind the list now, sorted and unique. kUnavailable when
/// the name does not resolve.
absl::StatusOr<std::vector<std::string>> ResolveAddresses(
    const AddressList& list);

/// Decides which of several addresses owns what hashes to a number: the one
/// with the highest weight for it, so that adding or removing an address moves
/// only the share of that one. Immutable.
class Owners {
 public:
  /// `addresses` must not be empty; their order does not matter.
  explicit Owners(const std::vector<std::string>& addresses);
  /// Index into the addresses.
  std::size_t OwnerOf(std::uint64_t hash) const;

 private:
  std::vector<std::uint64_t> seeds_;
};

}  // namespace narthex::cluster
