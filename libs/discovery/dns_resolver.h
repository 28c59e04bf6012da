#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace narthex::discovery {

/// Whom to ask, and what names a short one stands for: resolv.conf(5).
struct ResolverConfig {
  /// "address" or "address:port", IPv6 in brackets before a port.
  std::vector<std::string> servers;
  std::vector<std::string> search;
  int ndots = 1;
  /// For one server's answer.
  int timeout_ms = 2000;
};

/// Reads nameserver, search, domain and the option ndots. Without nameserver
/// it is the machine itself.
absl::StatusOr<ResolverConfig> ReadResolverConfig(const std::string& path);

/// The absolute names to try for `name`, in order.
std::vector<std::string> NamesToTry(const std::string& name,
                                    const ResolverConfig& config);

enum class DnsType { kA = 1, kNs = 2, kMx = 15, kAaaa = 28, kSrv = 33 };

/// One answer of any of the types.
struct DnsRecord {
  DnsType type = DnsType::kA;
  std::string address;     // Of A and AAAA.
  std::string target;      // Of NS, MX and SRV: absolute, "a.example.org.".
  std::uint16_t port = 0;  // Of SRV.
};

/// Looks up all names at once; one result for each, in order. Each of the
/// names to try is asked from the servers in turn until one knows the name,
/// even without records, or knows that there is none. No records: the name
/// does not exist, or has none of the type. kUnavailable: no server told.
/// Returns within a tenth of a second, with kCancelled, once `cancelled()`.
std::vector<absl::StatusOr<std::vector<DnsRecord>>> LookUp(
    const ResolverConfig& config, const std::vector<std::string>& names,
    DnsType type, const std::function<bool()>& cancelled);

/// The records of an answer that are of a type above and well formed.
std::vector<DnsRecord> ParseDnsAnswer(absl::string_view message_bytes);

}  // namespace narthex::discovery
