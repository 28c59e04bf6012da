#include "libs/config/fields.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/base/quote.h"
#include "libs/http/reserved_header.h"

namespace narthex::config {
namespace {

// Of scrapes; other requests may have it.
constexpr absl::string_view kScrapeTimeoutHeader =
    "X-Prometheus-Scrape-Timeout-Seconds";

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
    if (absl::EqualsIgnoreCase(name, "Authorization")) {
      d.FailField("headers", authorization_message);
    } else if (http::IsReservedHeader(name) &&
               !absl::EqualsIgnoreCase(name, kScrapeTimeoutHeader)) {
      d.FailField("headers",
                  absl::StrCat(name,
                               " is a reserved header. It must not be "
                               "changed"));
    }
  }
}

void CheckStaticTargets(yaml::Decoder& d, const discovery::Configs& configs) {
  for (const auto& group : configs.static_groups) {
    for (const auto& target : group.targets) {
      const absl::string_view address = target.Get(discovery::kAddressLabel);
      if (!absl::StrContains(address, "/")) continue;
      d.FailField("static_configs", absl::StrCat(base::Quote(address),
                                                 " is not a valid hostname"));
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
