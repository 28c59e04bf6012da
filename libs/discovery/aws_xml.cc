#include "libs/discovery/aws_xml.h"

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace narthex::discovery {
namespace {

/// "DBSubnetGroup/Name" is "db_subnet_group_name".
std::string SnakeCase(absl::string_view path) {
  std::string out;
  for (std::size_t i = 0; i < path.size(); ++i) {
    const char c = path[i];
    if (c == '/') {
      out.push_back('_');
      continue;
    }
    const bool starts = i == 0 || path[i - 1] == '/';
    const bool after_upper = !starts && absl::ascii_isupper(path[i - 1]);
    const bool before_lower =
        i + 1 < path.size() && absl::ascii_islower(path[i + 1]);
    if (absl::ascii_isupper(c) && !starts && (!after_upper || before_lower)) {
      out.push_back('_');
    }
    out.push_back(absl::ascii_tolower(c));
  }
  return out;
}

/// "2024-01-02T03:04:05.678Z" without the fraction.
std::string WithoutFraction(absl::string_view text) {
  constexpr std::size_t kSeconds = sizeof("2024-01-02T03:04:05") - 1;
  if (text.size() <= kSeconds || text[kSeconds] != '.' || text[10] != 'T' ||
      !absl::EndsWith(text, "Z")) {
    return std::string(text);
  }
  return absl::StrCat(text.substr(0, kSeconds), "Z");
}

}  // namespace

absl::Status ReadAwsAnswer(const std::string& body, const std::string& action,
                           pugi::xml_document* xml, pugi::xml_node* result) {
  if (!xml->load_buffer(body.data(), body.size())) {
    return absl::UnavailableError(action + ": the answer is no XML");
  }
  *result = xml->child((action + "Response").c_str())
                .child((action + "Result").c_str());
  if (*result) return absl::OkStatus();
  return absl::UnavailableError(action + ": the answer has no result");
}

void AddAwsElements(const pugi::xml_node& node, absl::string_view table,
                    absl::string_view prefix, MetaLabels* labels) {
  for (const absl::string_view entry :
       absl::StrSplit(table, ' ', absl::SkipEmpty())) {
    const std::pair<std::string, std::string> parts =
        absl::StrSplit(entry, absl::MaxSplits('=', 1));
    const auto& [path, name] = parts;
    const pugi::xml_node element = node.first_element_by_path(path.c_str());
    if (!element) continue;
    labels->Add(absl::StrCat(prefix, name.empty() ? SnakeCase(path) : name),
                WithoutFraction(element.text().get()));
  }
}

void AddAwsTags(const pugi::xml_node& tags, absl::string_view prefix,
                MetaLabels* labels) {
  for (const pugi::xml_node& tag : tags.children()) {
    labels->AddKey(prefix, tag.child("Key").text().get(),
                   tag.child("Value").text().get());
  }
}

}  // namespace narthex::discovery
