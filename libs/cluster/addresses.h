#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

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

/// The value of the flag --ingester.replication-factor; what is no factor is 0.
constexpr std::size_t ReplicationFactor(std::int64_t flag) {
  return flag < 0 ? 0 : static_cast<std::size_t>(flag);
}
/// Whether each series can be held by `factor` of these addresses.
/// kInvalidArgument says why not.
absl::Status CheckReplicationFactor(std::size_t factor,
                                    const std::vector<std::string>& addresses);

/// How many of the `factor` ingesters that hold a series make a majority. What
/// a majority has taken is acknowledged.
constexpr std::size_t MajorityOf(std::size_t factor) { return factor / 2 + 1; }
/// How many ingesters may be missing from an answer that is whole all the
/// same: one of every majority is left.
constexpr std::size_t MayBeMissing(std::size_t factor) {
  return factor - MajorityOf(factor);
}

/// Decides which of several addresses owns what hashes to a number: the one
/// with the highest weight for it, so that adding or removing an address moves
/// only the share of that one. Immutable.
class Owners {
 public:
  /// `addresses` must not be empty; their order does not matter.
  explicit Owners(const std::vector<std::string>& addresses);
  /// Index into the addresses.
  std::size_t OwnerOf(std::uint64_t hash) const;
  /// Fills `owners` with the indexes of those with the highest weights, the
  /// highest first. Requires: it is not longer than the addresses.
  void OwnersOf(std::uint64_t hash, absl::Span<std::size_t> owners) const;

 private:
  std::vector<std::uint64_t> seeds_;
};

}  // namespace narthex::cluster
