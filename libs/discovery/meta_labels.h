#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "libs/model/labels.h"

namespace narthex::discovery {

/// Builds the labels of a target that a mechanism finds. Empty values are
/// left out. Copies serve targets that share labels.
class MetaLabels {
 public:
  /// `prefix` as "__meta_consul_".
  explicit MetaLabels(absl::string_view prefix) : prefix_(prefix) {}

  MetaLabels& Address(absl::string_view address);
  /// The label <prefix><name>.
  MetaLabels& Add(absl::string_view name, absl::string_view value);
  MetaLabels& Add(absl::string_view name, std::int64_t value);
  MetaLabels& AddFlag(absl::string_view name, bool value);
  /// The label <prefix><group><key>, where `key` comes from outside: what may
  /// not stand in a label name becomes an underscore.
  MetaLabels& AddKey(absl::string_view group, absl::string_view key,
                     absl::string_view value);
  /// A label without the prefix.
  MetaLabels& Set(absl::string_view name, absl::string_view value);
  /// All labels of `other`.
  MetaLabels& Merge(const model::Labels& other);

  model::Labels Build() const { return labels_.Build(); }

 private:
  std::string prefix_;
  model::LabelsBuilder labels_;
};

/// `name` with an underscore for each character but letters, digits and
/// underscores.
std::string SanitizeLabelName(absl::string_view name);
/// "host:port", brackets around a host with colons.
std::string JoinHostPort(absl::string_view host, std::int64_t port);
/// The items between two separators and surrounded by them, so that a regular
/// expression need not care for their position: ",a,b,".
std::string SurroundedList(const std::vector<std::string>& items,
                           absl::string_view separator);

}  // namespace narthex::discovery
