#include "services/pushgateway/group_key.h"

#include <map>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "libs/base/quote.h"
#include "libs/base/status.h"
#include "libs/base/varint.h"
#include "libs/model/labels.h"
#include "libs/model/name_escaping.h"

namespace narthex::pushgateway {

namespace {

constexpr absl::string_view kBase64Suffix = "@base64";

// The URL-safe alphabet; padding may be left out, and a lone "=" is the empty
// text, which a path could not hold otherwise.
bool DecodeBase64(absl::string_view text, std::string* out) {
  while (absl::ConsumeSuffix(&text, "=")) {
  }
  return absl::WebSafeBase64Unescape(text, out);
}

bool IsProperName(absl::string_view name, bool utf8_names) {
  if (absl::StartsWith(name, "__")) return false;
  return utf8_names ? model::IsUtf8Name(name) : model::IsLegacyLabelName(name);
}

}  // namespace

absl::StatusOr<LabelPairs> ParseGroupPath(absl::string_view path,
                                          bool job_is_base64, bool utf8_names) {
  const std::vector<absl::string_view> parts = absl::StrSplit(path, '/');
  std::string job(parts[0]);
  if (job_is_base64 && !DecodeBase64(parts[0], &job)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "invalid base64 encoding in job name ", base::Quote(parts[0])));
  }
  if (job.empty()) return absl::InvalidArgumentError("job name is required");
  if (parts.size() % 2 == 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "odd number of components in label string ",
        base::Quote(absl::StrCat(
            "/", absl::StrJoin(parts.begin() + 1, parts.end(), "/")))));
  }
  std::map<std::string, std::string> labels;
  for (std::size_t i = 1; i < parts.size(); i += 2) {
    absl::string_view name = parts[i];
    std::string value(parts[i + 1]);
    const bool encoded = absl::ConsumeSuffix(&name, kBase64Suffix);
    const std::string plain_name =
        utf8_names ? model::UnescapeName(name) : std::string(name);
    if (!IsProperName(plain_name, utf8_names)) {
      return absl::InvalidArgumentError(
          absl::StrCat("improper label name ", base::Quote(plain_name)));
    }
    if (encoded && !DecodeBase64(parts[i + 1], &value)) {
      return absl::InvalidArgumentError(
          absl::StrCat("invalid base64 encoding for label ", plain_name, "=",
                       base::Quote(parts[i + 1])));
    }
    if (!base::IsValidUtf8(value)) {
      return absl::InvalidArgumentError(
          absl::StrCat("label value of ", plain_name, " is not valid UTF-8"));
    }
    labels[plain_name] = std::move(value);
  }
  labels["job"] = std::move(job);
  return LabelPairs(labels.begin(), labels.end());
}

std::string EncodeGroupKey(const LabelPairs& labels) {
  std::string key;
  for (const auto& [name, value] : labels) {
    base::PutUvarint(name.size(), &key);
    key += name;
    base::PutUvarint(value.size(), &key);
    key += value;
  }
  return key;
}

bool DecodeGroupKey(absl::string_view key, LabelPairs* labels) {
  labels->clear();
  base::ByteReader reader(key);
  while (reader.ok() && reader.remaining() > 0) {
    const auto name = reader.UvarintBytes();
    const auto value = reader.UvarintBytes();
    labels->emplace_back(std::string(name), std::string(value));
  }
  return reader.ok() && !labels->empty();
}

}  // namespace narthex::pushgateway
