#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/model/labels.h"
#include "libs/model/matcher.h"
#include "libs/yaml/decoder.h"
#include "libs/yaml/emitter.h"

namespace narthex::relabel {

/// Which label and metric names are acceptable.
enum class NameValidation { kUtf8, kLegacy };

bool IsValidLabelName(absl::string_view name, NameValidation validation);

enum class Action {
  kReplace,
  kLowercase,
  kUppercase,
  kKeep,
  kDrop,
  kKeepEqual,
  kDropEqual,
  kHashMod,
  kLabelMap,
  kLabelDrop,
  kLabelKeep,
};

/// One entry of relabel_configs as written, with the defaults of absent keys.
struct Config {
  std::vector<std::string> source_labels;
  std::string separator = ";";
  std::string regex = "(.*)";
  std::uint64_t modulus = 0;
  std::string target_label;
  std::string replacement = "$1";
  std::string action = "replace";  // In any letter case.

  friend bool operator==(const Config&, const Config&) = default;
};

/// A checked and compiled relabelling step. Immutable, cheap to copy.
class Rule {
 public:
  /// The default configuration: replaces nothing.
  Rule();
  /// kInvalidArgument when the action is unknown, lacks what it needs or has
  /// keys it does not use, or when the regex does not compile.
  static absl::StatusOr<Rule> Create(Config config, NameValidation validation);

  const Config& config() const { return config_; }
  Action action() const { return action_; }
  NameValidation validation() const { return validation_; }

  /// Applies the step. False when the labels are to be dropped.
  bool Apply(model::LabelsBuilder* labels) const;

  friend bool operator==(const Rule& a, const Rule& b) {
    return a.config_ == b.config_ && a.validation_ == b.validation_;
  }

 private:
  Rule(Config config, Action action, NameValidation validation,
       model::AnchoredRegex regex)
      : config_(std::move(config)),
        action_(action),
        validation_(validation),
        regex_(std::move(regex)) {}

  std::string JoinedSource(const model::LabelsBuilder& labels) const;
  void Replace(model::LabelsBuilder* labels) const;
  void MapLabels(model::LabelsBuilder* labels) const;
  void DeleteLabels(bool matching, model::LabelsBuilder* labels) const;

  Config config_;
  Action action_;
  NameValidation validation_;
  model::AnchoredRegex regex_;
};

/// Applies the rules in order. False when one of them drops the labels, whose
/// state is then unspecified.
bool Apply(const std::vector<Rule>& rules, model::LabelsBuilder* labels);

/// Reads one entry of relabel_configs; names are validated as UTF-8 unless
/// said otherwise.
absl::Status Decode(const yaml::Node& node, NameValidation validation,
                    Rule* rule);
absl::Status Decode(const yaml::Node& node, Rule* rule);
/// Prints the entry with its defaults, as Prometheus does.
void Emit(const Rule& rule, yaml::Emitter* out);

}  // namespace narthex::relabel
