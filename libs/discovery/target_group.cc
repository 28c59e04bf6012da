#include "libs/discovery/target_group.h"

#include "absl/strings/str_cat.h"
#include "libs/base/quote.h"
#include "libs/base/status.h"

namespace narthex::discovery {

absl::Status DecodeLabels(const yaml::Node& node, model::Labels* labels) {
  if (!node.is_map() && !node.is_null()) {
    return node.Error("expected a map of labels");
  }
  model::LabelsBuilder builder;
  for (const auto& entry : node.entries()) {
    std::string value;
    NARTHEX_RETURN_IF_ERROR(Decode(*entry.value, &value));
    if (!model::IsUtf8Name(entry.key)) {
      return node.ErrorAt(
          entry.line,
          absl::StrCat(base::Quote(entry.key), " is not a valid label name"));
    }
    if (!base::IsValidUtf8(value)) {
      return entry.value->Error(
          absl::StrCat(base::Quote(value), " is not a valid label value"));
    }
    builder.Set(entry.key, value);
  }
  *labels = builder.Build();
  return absl::OkStatus();
}

absl::Status Decode(const yaml::Node& node, TargetGroup* group) {
  yaml::Decoder d(node);
  std::vector<std::string> addresses;
  d.Field("targets", &addresses);
  if (const yaml::Node* labels = d.Take("labels"); labels != nullptr) {
    d.Fail(DecodeLabels(*labels, &group->labels));
  }
  NARTHEX_RETURN_IF_ERROR(d.Done());
  group->targets.reserve(addresses.size());
  for (const std::string& address : addresses) {
    group->targets.push_back(model::Labels{{kAddressLabel, address}});
  }
  return absl::OkStatus();
}

void Emit(const TargetGroup& group, yaml::Emitter* out) {
  std::vector<std::string> addresses;
  for (const model::Labels& target : group.targets) {
    addresses.emplace_back(target.Get(kAddressLabel));
  }
  out->BeginMap();
  out->Field("targets", addresses);
  if (!group.labels.empty()) {
    out->Key("labels").BeginMap();
    for (const model::Label& label : group.labels) {
      out->Field(label.name, label.value);
    }
    out->EndMap();
  }
  out->EndMap();
}

}  // namespace narthex::discovery
