#include "libs/discovery/config.h"

#include "absl/strings/str_cat.h"
#include "libs/discovery/kinds.h"

namespace narthex::discovery {
namespace {

constexpr char kStaticField[] = "static_configs";

std::string FieldOf(absl::string_view kind) {
  return absl::StrCat(kind, "_sd_configs");
}

void DecodeList(yaml::Decoder& d, const Kind& kind, const yaml::Node& list,
                Configs* configs) {
  if (!list.is_sequence() && !list.is_null()) {
    d.Fail(list.Error("expected a list"));
  }
  for (const auto& item : list.items()) {
    if (item->is_null()) {
      d.Fail(item->Error("empty or null section"));
      return;
    }
    auto config = kind.decode(*item);
    if (!config.ok()) {
      d.Fail(config.status());
      return;
    }
    configs->providers[kind.name].push_back(*std::move(config));
  }
}

void EmitStatic(const std::vector<TargetGroup>& groups, yaml::Emitter* out) {
  if (groups.empty()) return;
  out->Key(kStaticField).BeginSequence();
  for (const TargetGroup& group : groups) Emit(group, out);
  out->EndSequence();
}

}  // namespace

void DecodeConfigs(yaml::Decoder& d, Configs* configs) {
  d.Field(kStaticField, &configs->static_groups);
  for (std::size_t i = 0; i < configs->static_groups.size(); ++i) {
    configs->static_groups[i].source = absl::StrCat(i);
  }
  for (const Kind& kind : Kinds()) {
    const std::string field = FieldOf(kind.name);
    const yaml::Node* list = d.Take(field);
    if (list != nullptr) DecodeList(d, kind, *list, configs);
  }
}

void EmitConfigs(const Configs& configs, yaml::Emitter* out) {
  bool static_printed = false;
  for (const auto& [kind, list] : configs.providers) {
    const std::string field = FieldOf(kind);
    if (!static_printed && field > kStaticField) {
      EmitStatic(configs.static_groups, out);
      static_printed = true;
    }
    out->Key(field).BeginSequence();
    for (const ProviderConfig& config : list) config.Print(out);
    out->EndSequence();
  }
  if (!static_printed) EmitStatic(configs.static_groups, out);
}

void SetDirectory(const std::string& directory, Configs* configs) {
  for (auto& [kind, list] : configs->providers) {
    for (ProviderConfig& config : list) config.MovePaths(directory);
  }
}

}  // namespace narthex::discovery
