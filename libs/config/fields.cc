#include "libs/config/fields.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace narthex::config {
namespace {

constexpr const char* kReservedHeaders[] = {
    "host",
    "content-encoding",
    "content-length",
    "content-type",
    "user-agent",
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "www-authenticate",
    "accept-encoding",
    "x-prometheus-remote-write-version",
    "x-prometheus-remote-read-version",
    "x-amz-date",
    "x-amz-security-token",
    "x-amz-content-sha256",
};

bool IsReservedHeader(const std::string& lower_name) {
  for (const char* reserved : kReservedHeaders) {
    if (lower_name == reserved) return true;
  }
  return false;
}

}  // namespace

std::string FormatSize(std::int64_t bytes) {
  std::string out;
  std::int64_t unit = std::int64_t{1} << 60;
  for (const char* name : {"EiB", "PiB", "TiB", "GiB", "MiB", "KiB", "B"}) {
    if (bytes >= unit) absl::StrAppend(&out, bytes / unit, name);
    bytes %= unit;
    unit >>= 10;
  }
  return out.empty() ? "0B" : out;
}

void DecodeRules(yaml::Decoder& d, absl::string_view field,
                 relabel::NameValidation validation,
                 std::vector<relabel::Rule>* rules) {
  const yaml::Node* list = d.Take(field);
  if (list == nullptr || list->is_null()) return;
  if (!list->is_sequence()) d.Fail(list->Error("expected a list"));
  for (const auto& item : list->items()) {
    if (item->is_null()) {
      d.Fail(item->Error("empty or null relabeling rule"));
      return;
    }
    relabel::Rule rule;
    d.Fail(relabel::Decode(*item, validation, &rule));
    if (!d.ok()) return;
    rules->push_back(std::move(rule));
  }
}

void CheckHeaders(yaml::Decoder& d,
                  const std::map<std::string, std::string>& headers,
                  absl::string_view authorization_message) {
  for (const auto& [name, value] : headers) {
    const std::string lower = absl::AsciiStrToLower(name);
    if (lower == "authorization") {
      d.FailField("headers", authorization_message);
    } else if (IsReservedHeader(lower)) {
      d.FailField("headers",
                  absl::StrCat(name,
                               " is a reserved header. It must not be "
                               "changed"));
    }
  }
}

void EmitRules(absl::string_view field, const std::vector<relabel::Rule>& rules,
               yaml::Emitter* out) {
  if (rules.empty()) return;
  out->Key(field).BeginSequence();
  for (const relabel::Rule& rule : rules) relabel::Emit(rule, out);
  out->EndSequence();
}

}  // namespace narthex::config
