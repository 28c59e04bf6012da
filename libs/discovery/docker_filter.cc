#include "libs/discovery/docker_filter.h"

namespace narthex::discovery {

absl::Status Decode(const yaml::Node& node, DockerFilter* filter) {
  yaml::Decoder d(node);
  d.Field("name", &filter->name);
  d.Field("values", &filter->values);
  return d.Done();
}

void EmitFilters(const std::vector<DockerFilter>& filters, yaml::Emitter* out) {
  out->Key("filters").BeginSequence();
  for (const DockerFilter& filter : filters) {
    out->BeginMap();
    out->Field("name", filter.name);
    out->Field("values", filter.values);
    out->EndMap();
  }
  out->EndSequence();
}

void DecodeDockerHost(yaml::Decoder& d, std::string* host) {
  d.Field("host", host);
  if (host->empty()) d.Fail("host missing");
}

}  // namespace narthex::discovery
