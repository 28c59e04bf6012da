#include "libs/discovery/marathon.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "libs/base/file.h"
#include "libs/base/quote.h"
#include "libs/base/status.h"
#include "libs/discovery/json.h"
#include "libs/discovery/meta_labels.h"
#include "libs/discovery/refresh_provider.h"
#include "libs/yaml/optional_fields.h"

namespace narthex::discovery {
namespace {

constexpr char kPrefix[] = "__meta_marathon_";

/// The ports of an application's tasks. A port of zero is one that each task
/// tells for itself.
struct Ports {
  std::vector<std::int64_t> numbers;
  std::vector<const Json*> labels;  // As many, or none.
  std::string label_prefix;
};

bool IsContainerNetwork(const Json& app) {
  const Json& networks = Child(app, "networks");
  return !networks.items().empty() &&
         Text(networks.items().front(), "mode") == "container";
}

/// Where the mappings stand depends on Marathon's age.
const Json& PortMappings(const Json& app) {
  const Json& container = Child(app, "container");
  const Json& own = Child(container, "portMappings");
  return !own.items().empty()
             ? own
             : Child(Child(container, "docker"), "portMappings");
}

Ports PortsOf(const Json& app) {
  Ports ports;
  const Json& mappings = PortMappings(app);
  if (!mappings.items().empty()) {
    ports.label_prefix = "port_mapping_label_";
    const char* number = IsContainerNetwork(app) ? "containerPort" : "hostPort";
    for (const Json& mapping : mappings) {
      ports.numbers.push_back(Number(mapping, number));
      ports.labels.push_back(&Child(mapping, "labels"));
    }
    return ports;
  }
  const Json& definitions = Child(app, "portDefinitions");
  if (!definitions.is_list()) return ports;
  ports.label_prefix = "port_definition_label_";
  // Otherwise the number is that of the service, not of the tasks.
  const bool required = Flag(app, "requirePorts");
  for (const Json& definition : definitions) {
    ports.numbers.push_back(required ? Number(definition, "port") : 0);
    ports.labels.push_back(&Child(definition, "labels"));
  }
  return ports;
}

std::vector<std::int64_t> TaskPorts(const Json& task) {
  std::vector<std::int64_t> out;
  const Json& ports = Child(task, "ports");
  if (!ports.is_list()) return out;
  for (const Json& port : ports) {
    out.push_back(port.is_number() ? port.integer() : 0);
  }
  return out;
}

std::string HostOf(const Json& task, bool container_network) {
  const Json& addresses = Child(task, "ipAddresses");
  if (container_network && !addresses.items().empty()) {
    return Text(addresses.items().front(), "ipAddress");
  }
  return Text(task, "host");
}

void AddTask(const Json& task, const Ports& ports, bool container_network,
             TargetGroup* group) {
  const std::vector<std::int64_t> own_ports = TaskPorts(task);
  const std::string host = HostOf(task, container_network);
  for (std::size_t i = 0; i < ports.numbers.size(); ++i) {
    std::int64_t port = ports.numbers[i];
    if (port == 0 && own_ports.size() == ports.numbers.size()) {
      port = own_ports[i];
    }
    MetaLabels labels(kPrefix);
    labels.Address(JoinHostPort(host, port))
        .Add("task", Text(task, "id"))
        .Add("port_index", static_cast<std::int64_t>(i));
    if (!ports.labels.empty()) {
      ForEachText(*ports.labels[i],
                  [&](const std::string& key, const std::string& value) {
                    labels.AddKey(ports.label_prefix, key, value);
                  });
    }
    group->targets.push_back(labels.Build());
  }
}

TargetGroup GroupOf(const Json& app) {
  TargetGroup group;
  group.source = Text(app, "id");
  MetaLabels labels(kPrefix);
  labels.Add("app", group.source)
      .Add("image", Text(Child(Child(app, "container"), "docker"), "image"));
  ForEachText(Child(app, "labels"),
              [&](const std::string& key, const std::string& value) {
                labels.AddKey("app_label_", key, value);
              });
  group.labels = labels.Build();
  Ports ports = PortsOf(app);
  const bool container_network = IsContainerNetwork(app);
  const Json& tasks = Child(app, "tasks");
  if (!tasks.is_list()) return group;
  for (const Json& task : tasks) {
    // Without a list of its own an application has that of its tasks, which
    // are alike.
    if (ports.numbers.empty()) ports.numbers = TaskPorts(task);
    AddTask(task, ports, container_network, &group);
  }
  return group;
}

/// Refreshes from one server after the other.
class MarathonRefresh {
 public:
  explicit MarathonRefresh(const MarathonConfig& config) : config_(config) {}

  absl::StatusOr<std::vector<TargetGroup>> Refresh(Fetcher& fetcher) {
    http::FetchRequest request;
    request.url =
        absl::StrCat(config_.servers[next_], "/v2/apps/?embed=apps.tasks");
    next_ = (next_ + 1) % config_.servers.size();
    NARTHEX_ASSIGN_OR_RETURN(const std::string token, Token());
    if (!token.empty()) {
      request.headers.Set("Authorization", absl::StrCat("token=", token));
    }
    NARTHEX_ASSIGN_OR_RETURN(const Fetcher::Answer answer,
                             fetcher.Fetch(request));
    if (answer.code / 100 != 2) {
      return absl::UnavailableError(
          absl::StrCat("non 2xx status '", answer.code,
                       "' response during marathon service discovery"));
    }
    auto groups = ParseMarathonApps(answer.body);
    if (groups.ok()) return groups;
    return base::Annotate(groups.status(), base::Quote(request.url));
  }

 private:
  absl::StatusOr<std::string> Token() const {
    if (config_.auth_token_file.empty()) return config_.auth_token;
    const auto content = base::ReadFile(config_.auth_token_file);
    NARTHEX_RETURN_IF_ERROR(base::Annotate(
        content.status(), absl::StrCat("unable to read auth token file ",
                                       config_.auth_token_file)));
    return std::string(absl::StripAsciiWhitespace(*content));
  }

  const MarathonConfig config_;
  std::size_t next_ = 0;
};

}  // namespace

absl::StatusOr<std::vector<TargetGroup>> ParseMarathonApps(
    const std::string& json) {
  NARTHEX_ASSIGN_OR_RETURN(const Json answer, ParseJson(json));
  const Json& apps = Child(answer, "apps");
  if (!answer.is_map() || (!apps.is_list() && !apps.is_null())) {
    return absl::InvalidArgumentError("apps: expected a list");
  }
  std::vector<TargetGroup> groups;
  for (const Json& app : apps) groups.push_back(GroupOf(app));
  return groups;
}

absl::Status Decode(const yaml::Node& node, MarathonConfig* config) {
  yaml::Decoder d(node);
  d.Field("servers", &config->servers);
  d.Duration("refresh_interval", &config->refresh_interval_ms);
  d.Field("auth_token", &config->auth_token);
  d.Field("auth_token_file", &config->auth_token_file);
  http::DecodeClientConfig(d, &config->client);
  const bool has_token = !config->auth_token.empty();
  const bool has_file = !config->auth_token_file.empty();
  if (config->servers.empty()) {
    d.Fail("marathon_sd: must contain at least one Marathon server");
  } else if (has_token && has_file) {
    d.Fail(
        "marathon_sd: at most one of auth_token & auth_token_file must be "
        "configured");
  } else if ((has_token || has_file) && config->client.basic_auth) {
    d.Fail(
        "marathon_sd: at most one of basic_auth, auth_token & "
        "auth_token_file must be configured");
  } else if ((has_token || has_file) && config->client.authorization) {
    d.Fail(
        "marathon_sd: at most one of auth_token, auth_token_file & "
        "authorization must be configured");
  }
  return d.Done();
}

void Emit(const MarathonConfig& config, yaml::Emitter* out) {
  out->BeginMap();
  out->Field("servers", config.servers);
  out->Key("refresh_interval").Duration(config.refresh_interval_ms);
  yaml::EmitSecret("auth_token", config.auth_token, out);
  yaml::EmitText("auth_token_file", config.auth_token_file, out);
  http::EmitClientConfig(config.client, out);
  out->EndMap();
}

void SetDirectory(const std::string& directory, MarathonConfig* config) {
  base::SetDirectory(directory, &config->auth_token_file);
  http::SetDirectory(directory, &config->client);
}

std::unique_ptr<Provider> MakeProvider(const MarathonConfig& config,
                                       const ProviderContext& context) {
  auto refresh = std::make_shared<MarathonRefresh>(config);
  return std::make_unique<RefreshProvider>(
      RefreshProvider::Options{
          .mechanism = "marathon",
          .interval_ms = config.refresh_interval_ms,
          .client = std::make_shared<http::ClientConfig>(config.client)},
      context,
      [refresh](Fetcher& fetcher) { return refresh->Refresh(fetcher); });
}

}  // namespace narthex::discovery
