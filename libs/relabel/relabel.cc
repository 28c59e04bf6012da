#include "libs/relabel/relabel.h"

#include <openssl/evp.h>

#include <array>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "libs/base/letter_case.h"
#include "libs/base/quote.h"
#include "libs/base/status.h"
#include "libs/relabel/name_template.h"

namespace narthex::relabel {
namespace {

struct ActionName {
  Action action;
  const char* name;
};
constexpr ActionName kActions[] = {
    {Action::kReplace, "replace"},     {Action::kLowercase, "lowercase"},
    {Action::kUppercase, "uppercase"}, {Action::kKeep, "keep"},
    {Action::kDrop, "drop"},           {Action::kKeepEqual, "keepequal"},
    {Action::kDropEqual, "dropequal"}, {Action::kHashMod, "hashmod"},
    {Action::kLabelMap, "labelmap"},   {Action::kLabelDrop, "labeldrop"},
    {Action::kLabelKeep, "labelkeep"},
};

absl::StatusOr<Action> ParseAction(const std::string& name) {
  if (name.empty()) {
    return absl::InvalidArgumentError("relabel action cannot be empty");
  }
  for (const ActionName& entry : kActions) {
    if (name == entry.name) return entry.action;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("unknown relabel action ", base::Quote(name)));
}

bool NeedsTarget(Action action) {
  switch (action) {
    case Action::kReplace:
    case Action::kLowercase:
    case Action::kUppercase:
    case Action::kKeepEqual:
    case Action::kDropEqual:
    case Action::kHashMod:
      return true;
    default:
      return false;
  }
}

absl::Status CheckTarget(const Config& config, Action action,
                         NameValidation validation) {
  if (!NeedsTarget(action)) return absl::OkStatus();
  if (config.target_label.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("relabel configuration for ", config.action,
                     " action requires 'target_label' value"));
  }
  const bool good = action == Action::kReplace
                        ? IsValidNameTemplate(config.target_label, validation)
                        : IsValidLabelName(config.target_label, validation);
  if (good) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      base::Quote(config.target_label), " is invalid 'target_label' for ",
      config.action, " action"));
}

absl::Status CheckUnusedKeys(const Config& config, Action action) {
  const Config defaults;
  const bool only_regex = config.source_labels.empty() &&
                          config.target_label.empty() && config.modulus == 0 &&
                          config.separator == defaults.separator &&
                          config.replacement == defaults.replacement;
  const bool only_labels = config.regex == defaults.regex &&
                           config.modulus == 0 &&
                           config.separator == defaults.separator &&
                           config.replacement == defaults.replacement;
  switch (action) {
    case Action::kLowercase:
    case Action::kUppercase:
      if (config.replacement == defaults.replacement) break;
      return absl::InvalidArgumentError(absl::StrCat(
          "'replacement' can not be set for ", config.action, " action"));
    case Action::kKeepEqual:
    case Action::kDropEqual:
      if (only_labels) break;
      return absl::InvalidArgumentError(absl::StrCat(
          config.action,
          " action requires only 'source_labels' and 'target_label', and no "
          "other fields"));
    case Action::kLabelDrop:
    case Action::kLabelKeep:
      if (only_regex) break;
      return absl::InvalidArgumentError(absl::StrCat(
          config.action, " action requires only 'regex', and no other fields"));
    default:
      break;
  }
  return absl::OkStatus();
}

absl::Status Check(const Config& config, Action action,
                   NameValidation validation) {
  if (action == Action::kHashMod && config.modulus == 0) {
    return absl::InvalidArgumentError(
        "relabel configuration for hashmod requires non-zero modulus");
  }
  NARTHEX_RETURN_IF_ERROR(CheckTarget(config, action, validation));
  if (action == Action::kLabelMap &&
      !IsValidNameTemplate(config.replacement, validation)) {
    return absl::InvalidArgumentError(
        absl::StrCat(base::Quote(config.replacement),
                     " is invalid 'replacement' for labelmap action"));
  }
  return CheckUnusedKeys(config, action);
}

/// The last eight bytes of the MD5 sum, big endian: shards of targets must
/// fall as they do in Prometheus.
std::uint64_t HashOf(const std::string& text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_md5(),
             nullptr);
  std::uint64_t value = 0;
  for (std::size_t i = 8; i < 16; ++i) value = value << 8 | digest[i];
  return value;
}

model::AnchoredRegex DefaultRegex() {
  static const auto& regex = *new absl::StatusOr<model::AnchoredRegex>(
      model::AnchoredRegex::Create(Config().regex));
  return *regex;
}

}  // namespace

bool IsValidLabelName(absl::string_view name, NameValidation validation) {
  return validation == NameValidation::kUtf8 ? model::IsUtf8Name(name)
                                             : model::IsLegacyLabelName(name);
}

Rule::Rule()
    : Rule(Config{}, Action::kReplace, NameValidation::kUtf8, DefaultRegex()) {}

absl::StatusOr<Rule> Rule::Create(Config config, NameValidation validation) {
  config.action = absl::AsciiStrToLower(config.action);
  NARTHEX_ASSIGN_OR_RETURN(const Action action, ParseAction(config.action));
  NARTHEX_RETURN_IF_ERROR(Check(config, action, validation));
  if (config.regex == Config().regex) {
    return Rule(std::move(config), action, validation, DefaultRegex());
  }
  NARTHEX_ASSIGN_OR_RETURN(model::AnchoredRegex regex,
                           model::AnchoredRegex::Create(config.regex));
  return Rule(std::move(config), action, validation, std::move(regex));
}

std::string Rule::JoinedSource(const model::LabelsBuilder& labels) const {
  std::string joined;
  for (std::size_t i = 0; i < config_.source_labels.size(); ++i) {
    if (i > 0) joined += config_.separator;
    const absl::string_view value = labels.Get(config_.source_labels[i]);
    joined.append(value.data(), value.size());
  }
  return joined;
}

void Rule::Replace(model::LabelsBuilder* labels) const {
  const std::string source = JoinedSource(*labels);
  std::string target;
  std::string value;
  if (!regex_.Expand(source, config_.target_label, &target) ||
      !IsValidLabelName(target, validation_)) {
    return;
  }
  regex_.Expand(source, config_.replacement, &value);
  labels->Set(target, value);
}

void Rule::MapLabels(model::LabelsBuilder* labels) const {
  const auto before = labels->pairs();
  std::string target;
  for (const auto& [name, value] : before) {
    target.clear();
    if (regex_.Expand(name, config_.replacement, &target)) {
      labels->Set(target, value);
    }
  }
}

void Rule::DeleteLabels(bool matching, model::LabelsBuilder* labels) const {
  const auto before = labels->pairs();
  for (const auto& [name, value] : before) {
    if (regex_.Matches(name) == matching) labels->Del(name);
  }
}

bool Rule::Apply(model::LabelsBuilder* labels) const {
  const std::string& target = config_.target_label;
  switch (action_) {
    case Action::kReplace:
      Replace(labels);
      return true;
    case Action::kLowercase:
      labels->Set(target, base::ToLower(JoinedSource(*labels)));
      return true;
    case Action::kUppercase:
      labels->Set(target, base::ToUpper(JoinedSource(*labels)));
      return true;
    case Action::kKeep:
      return regex_.Matches(JoinedSource(*labels));
    case Action::kDrop:
      return !regex_.Matches(JoinedSource(*labels));
    case Action::kKeepEqual:
      return labels->Get(target) == JoinedSource(*labels);
    case Action::kDropEqual:
      return labels->Get(target) != JoinedSource(*labels);
    case Action::kHashMod:
      labels->Set(target, absl::StrCat(HashOf(JoinedSource(*labels)) %
                                       config_.modulus));
      return true;
    case Action::kLabelMap:
      MapLabels(labels);
      return true;
    case Action::kLabelDrop:
      DeleteLabels(true, labels);
      return true;
    case Action::kLabelKeep:
      DeleteLabels(false, labels);
      return true;
  }
  return true;
}

bool Apply(const std::vector<Rule>& rules, model::LabelsBuilder* labels) {
  for (const Rule& rule : rules) {
    if (!rule.Apply(labels)) return false;
  }
  return true;
}

absl::Status Decode(const yaml::Node& node, Rule* rule) {
  return Decode(node, NameValidation::kUtf8, rule);
}

absl::Status Decode(const yaml::Node& node, NameValidation validation,
                    Rule* rule) {
  Config config;
  yaml::Decoder d(node);
  d.Field("source_labels", &config.source_labels);
  d.Field("separator", &config.separator);
  d.Field("regex", &config.regex);
  d.Field("modulus", &config.modulus);
  d.Field("target_label", &config.target_label);
  d.Field("replacement", &config.replacement);
  if (!d.Field("action", &config.action) && d.Has("action")) {
    config.action.clear();
  }
  NARTHEX_RETURN_IF_ERROR(d.Done());
  for (const std::string& name : config.source_labels) {
    if (IsValidLabelName(name, NameValidation::kUtf8)) continue;
    return node.Error(
        absl::StrCat(base::Quote(name), " is not a valid label name"));
  }
  auto created = Rule::Create(std::move(config), validation);
  if (!created.ok()) return node.Error(created.status().message());
  *rule = std::move(*created);
  return absl::OkStatus();
}

void Emit(const Rule& rule, yaml::Emitter* out) {
  const Config& config = rule.config();
  out->BeginMap();
  if (!config.source_labels.empty()) {
    out->FlowField("source_labels", config.source_labels);
  }
  out->Field("separator", config.separator);
  if (config.regex != Config().regex) out->Field("regex", config.regex);
  if (config.modulus != 0) {
    out->Field("modulus", static_cast<std::int64_t>(config.modulus));
  }
  if (!config.target_label.empty()) {
    out->Field("target_label", config.target_label);
  }
  out->Field("replacement", config.replacement);
  out->Field("action", config.action);
  out->EndMap();
}

}  // namespace narthex::relabel
