#include "libs/discovery/meta_labels.h"

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "libs/discovery/target_group.h"

namespace narthex::discovery {

MetaLabels& MetaLabels::Address(absl::string_view address) {
  return Set(kAddressLabel, address);
}

MetaLabels& MetaLabels::Add(absl::string_view name, absl::string_view value) {
  return Set(absl::StrCat(prefix_, name), value);
}

MetaLabels& MetaLabels::Add(absl::string_view name, std::int64_t value) {
  return Add(name, absl::StrCat(value));
}

MetaLabels& MetaLabels::AddFlag(absl::string_view name, bool value) {
  return Add(name, value ? "true" : "false");
}

MetaLabels& MetaLabels::AddKey(absl::string_view group, absl::string_view key,
                               absl::string_view value) {
  return Add(absl::StrCat(group, SanitizeLabelName(key)), value);
}

MetaLabels& MetaLabels::Set(absl::string_view name, absl::string_view value) {
  labels_.Set(name, value);
  return *this;
}

MetaLabels& MetaLabels::Merge(const model::Labels& other) {
  for (const model::Label& label : other) Set(label.name, label.value);
  return *this;
}

std::string SanitizeLabelName(absl::string_view name) {
  std::string out;
  out.reserve(name.size());
  for (const char c : name) {
    if (absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_') {
      out.push_back(c);
    } else if ((static_cast<unsigned char>(c) & 0xC0) != 0x80) {
      // One for a character, whatever its bytes.
      out.push_back('_');
    }
  }
  return out;
}

std::string JoinHostPort(absl::string_view host, std::int64_t port) {
  return absl::StrContains(host, ':') ? absl::StrCat("[", host, "]:", port)
                                      : absl::StrCat(host, ":", port);
}

std::string SurroundedList(const std::vector<std::string>& items,
                           absl::string_view separator) {
  return absl::StrCat(separator, absl::StrJoin(items, separator), separator);
}

}  // namespace narthex::discovery
