#include "libs/discovery/config.h"

#include "absl/strings/str_cat.h"
#include "libs/base/quote.h"
#include "libs/base/status.h"

namespace narthex::discovery {
namespace {

constexpr const char* kUnsupported[] = {
    "aws",       "azure",       "consul",   "digitalocean", "dns",
    "docker",    "dockerswarm", "ec2",      "eureka",       "gce",
    "hetzner",   "http",        "ionos",    "kubernetes",   "kuma",
    "lightsail", "linode",      "marathon", "nerve",        "nomad",
    "oci",       "openstack",   "outscale", "ovhcloud",     "puppetdb",
    "scaleway",  "serverset",   "stackit",  "triton",       "uyuni",
    "vultr",
};

bool IsFilePattern(absl::string_view path) {
  const std::size_t dot = path.rfind('.');
  if (dot == absl::string_view::npos) return false;
  const absl::string_view extension = path.substr(dot + 1);
  if (extension != "json" && extension != "yml" && extension != "yaml" &&
      extension != "JSON" && extension != "YML" && extension != "YAML") {
    return false;
  }
  const std::size_t star = path.find('*');
  return star == absl::string_view::npos ||
         path.find('/', star) == absl::string_view::npos;
}

absl::Status Decode(const yaml::Node& node, FileConfig* config) {
  yaml::Decoder d(node);
  d.Field("files", &config->files);
  d.Duration("refresh_interval", &config->refresh_interval_ms);
  NARTHEX_RETURN_IF_ERROR(d.Done());
  if (config->files.empty()) {
    return node.Error(
        "file service discovery config must contain at least one path name");
  }
  for (const std::string& file : config->files) {
    if (!IsFilePattern(file)) {
      return node.Error(absl::StrCat("path name ", base::Quote(file),
                                     " is not valid for file discovery"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

void DecodeConfigs(yaml::Decoder& d, Configs* configs) {
  d.Field("static_configs", &configs->static_groups);
  for (std::size_t i = 0; i < configs->static_groups.size(); ++i) {
    configs->static_groups[i].source = absl::StrCat(i);
  }
  if (const yaml::Node* list = d.Take("file_sd_configs"); list != nullptr) {
    if (!list->is_sequence() && !list->is_null()) {
      d.Fail(list->Error("expected a list"));
    }
    for (const auto& item : list->items()) {
      FileConfig file;
      d.Fail(item->is_null() ? item->Error("empty or null section")
                             : Decode(*item, &file));
      configs->files.push_back(std::move(file));
    }
  }
  for (const char* kind : kUnsupported) {
    const std::string field = absl::StrCat(kind, "_sd_configs");
    if (d.Take(field) != nullptr) {
      d.FailField(field, "known to Prometheus, not supported yet");
    }
  }
}

void EmitConfigs(const Configs& configs, yaml::Emitter* out) {
  if (!configs.files.empty()) {
    out->Key("file_sd_configs").BeginSequence();
    for (const FileConfig& file : configs.files) {
      out->BeginMap();
      out->Field("files", file.files);
      out->Key("refresh_interval").Duration(file.refresh_interval_ms);
      out->EndMap();
    }
    out->EndSequence();
  }
  if (!configs.static_groups.empty()) {
    out->Key("static_configs").BeginSequence();
    for (const TargetGroup& group : configs.static_groups) Emit(group, out);
    out->EndSequence();
  }
}

}  // namespace narthex::discovery
