#include "libs/discovery/dns.h"

#include <map>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/discovery/meta_labels.h"
#include "libs/discovery/refresh_provider.h"

namespace narthex::discovery {
namespace {

std::optional<DnsType> TypeNamed(const std::string& name) {
  const std::string upper = absl::AsciiStrToUpper(name);
  if (upper == "SRV") return DnsType::kSrv;
  if (upper == "A") return DnsType::kA;
  if (upper == "AAAA") return DnsType::kAaaa;
  if (upper == "MX") return DnsType::kMx;
  if (upper == "NS") return DnsType::kNs;
  return std::nullopt;
}

model::Labels LabelsOf(const DnsRecord& record, const std::string& name,
                       int port) {
  MetaLabels labels("__meta_dns_");
  labels.Add("name", name);
  switch (record.type) {
    case DnsType::kSrv:
      labels.Add("srv_record_target", record.target)
          .Add("srv_record_port", std::int64_t{record.port});
      port = record.port;
      break;
    case DnsType::kMx:
      labels.Add("mx_record_target", record.target);
      break;
    case DnsType::kNs:
      labels.Add("ns_record_target", record.target);
      break;
    case DnsType::kA:
    case DnsType::kAaaa:
      break;
  }
  absl::string_view host = record.address;
  if (host.empty()) {
    // Hosts are usually written without the final dot.
    host = record.target;
    while (!host.empty() && host.back() == '.') host.remove_suffix(1);
  }
  return labels.Address(JoinHostPort(host, port)).Build();
}

/// Looks the names up and remembers what they had.
class DnsRefresh {
 public:
  DnsRefresh(const DnsConfig& config, const ProviderContext& context,
             ReadServers read_servers)
      : config_(config),
        type_(TypeNamed(config.type).value_or(DnsType::kSrv)),
        logger_(context.logger.With(
            {{"discovery", "dns"}, {"config", context.job}})),
        lookups_(context.metrics.registry.NewCounter(
            "prometheus_sd_dns_lookups_total",
            "The number of DNS-SD lookups.")),
        failures_(context.metrics.registry.NewCounter(
            "prometheus_sd_dns_lookup_failures_total",
            "The number of DNS-SD lookup failures.")),
        read_servers_(std::move(read_servers)) {}

  /// Never fails as a whole: names stand for themselves.
  std::vector<TargetGroup> Refresh(const Fetcher& fetcher) {
    const auto results = LookUpAll(fetcher);
    for (std::size_t i = 0; i < results.size(); ++i) {
      const std::string& name = config_.names[i];
      lookups_.Inc();
      if (!results[i].ok()) {
        failures_.Inc();
        logger_.Error("error refreshing DNS targets",
                      {{"name", name}, {"err", results[i].status().message()}});
        continue;
      }
      TargetGroup& group = groups_[name];
      group.source = name;
      group.targets.clear();
      for (const DnsRecord& record : *results[i]) {
        group.targets.push_back(LabelsOf(record, name, config_.port));
      }
    }
    std::vector<TargetGroup> groups;
    for (const auto& [name, group] : groups_) groups.push_back(group);
    return groups;
  }

 private:
  std::vector<absl::StatusOr<std::vector<DnsRecord>>> LookUpAll(
      const Fetcher& fetcher) const {
    const auto servers = read_servers_();
    if (!servers.ok()) {
      return std::vector<absl::StatusOr<std::vector<DnsRecord>>>(
          config_.names.size(), servers.status());
    }
    return LookUp(*servers, config_.names, type_,
                  [&fetcher] { return fetcher.cancelled(); });
  }

  const DnsConfig config_;
  const DnsType type_;
  const base::Logger logger_;
  metrics::Counter& lookups_;
  metrics::Counter& failures_;
  const ReadServers read_servers_;
  std::map<std::string, TargetGroup> groups_;
};

}  // namespace

absl::Status Decode(const yaml::Node& node, DnsConfig* config) {
  yaml::Decoder d(node);
  d.Field("names", &config->names);
  d.Duration("refresh_interval", &config->refresh_interval_ms);
  d.Field("type", &config->type);
  d.Field("port", &config->port);
  const auto type = TypeNamed(config->type);
  if (config->names.empty()) {
    d.Fail("DNS-SD config must contain at least one SRV record name");
  } else if (!type.has_value()) {
    d.Fail(absl::StrCat("invalid DNS-SD records type ", config->type));
  } else if (*type != DnsType::kSrv && config->port == 0) {
    d.Fail(
        "a port is required in DNS-SD configs for all record types except "
        "SRV");
  }
  return d.Done();
}

void Emit(const DnsConfig& config, yaml::Emitter* out) {
  out->BeginMap();
  out->Field("names", config.names);
  out->Key("refresh_interval").Duration(config.refresh_interval_ms);
  out->Field("type", config.type);
  out->Field("port", std::int64_t{config.port});
  out->EndMap();
}

void SetDirectory(const std::string&, DnsConfig*) {}  // It names no file.

std::unique_ptr<Provider> MakeProvider(const DnsConfig& config,
                                       const ProviderContext& context) {
  return MakeDnsProvider(config, context,
                         [] { return ReadResolverConfig("/etc/resolv.conf"); });
}

std::unique_ptr<Provider> MakeDnsProvider(const DnsConfig& config,
                                          const ProviderContext& context,
                                          ReadServers read_servers) {
  auto refresh =
      std::make_shared<DnsRefresh>(config, context, std::move(read_servers));
  return std::make_unique<RefreshProvider>(
      RefreshProvider::Options{.mechanism = "dns",
                               .interval_ms = config.refresh_interval_ms},
      context,
      [refresh](Fetcher& fetcher) { return refresh->Refresh(fetcher); });
}

}  // namespace narthex::discovery
