#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "libs/discovery/dns_resolver.h"
#include "libs/discovery/provider.h"
#include "libs/yaml/emitter.h"
#include "libs/yaml/node.h"

namespace narthex::discovery {

/// One entry of dns_sd_configs: a target for each record of some names.
struct DnsConfig {
  std::vector<std::string> names;
  std::int64_t refresh_interval_ms = 30 * 1000;
  /// "SRV", "A", "AAAA", "MX" or "NS", in any case.
  std::string type = "SRV";
  /// Of the targets, except for SRV, whose records tell it.
  int port = 0;

  friend bool operator==(const DnsConfig&, const DnsConfig&) = default;
};

absl::Status Decode(const yaml::Node& node, DnsConfig* config);
void Emit(const DnsConfig& config, yaml::Emitter* out);
void SetDirectory(const std::string& directory, DnsConfig* config);
/// Asks the servers of /etc/resolv.conf, read anew each time. A name that no
/// server can tell of keeps its targets.
std::unique_ptr<Provider> MakeProvider(const DnsConfig& config,
                                       const ProviderContext& context);

/// The same with other servers.
using ReadServers = std::function<absl::StatusOr<ResolverConfig>()>;
std::unique_ptr<Provider> MakeDnsProvider(const DnsConfig& config,
                                          const ProviderContext& context,
                                          ReadServers read_servers);

}  // namespace narthex::discovery
