#include "libs/discovery/aws_signature.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <map>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "libs/http/message.h"
#include "libs/http/url.h"

namespace narthex::discovery {
namespace {

constexpr char kAlgorithm[] = "AWS4-HMAC-SHA256";

std::string Sha256Hex(absl::string_view text) {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest;
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(),
         digest.data());
  return absl::BytesToHexString(absl::string_view(
      reinterpret_cast<const char*>(digest.data()), digest.size()));
}

std::string Hmac(absl::string_view key, absl::string_view text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned size = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
       reinterpret_cast<const unsigned char*>(text.data()), text.size(),
       digest.data(), &size);
  return std::string(reinterpret_cast<const char*>(digest.data()), size);
}

/// Path and query of a URL, the path at least "/".
struct Target {
  std::string path;
  std::string query;
};

Target TargetOf(absl::string_view url) {
  url.remove_prefix(url.find("://") + 3);
  url.remove_prefix(std::min(url.find_first_of("/?"), url.size()));
  const std::size_t mark = std::min(url.find('?'), url.size());
  Target target{std::string(url.substr(0, mark)), ""};
  if (target.path.empty()) target.path = "/";
  if (mark < url.size()) target.query = std::string(url.substr(mark + 1));
  return target;
}

/// Each segment is escaped once more than it is sent.
std::string CanonicalPath(absl::string_view path) {
  return absl::StrJoin(absl::StrSplit(path, '/'), "/",
                       [](std::string* out, absl::string_view segment) {
                         out->append(http::PercentEncode(segment));
                       });
}

std::string CanonicalQuery(absl::string_view query) {
  if (query.empty()) return "";
  std::vector<std::string> fields;
  for (const absl::string_view field : absl::StrSplit(query, '&')) {
    fields.push_back(
        absl::StrCat(field, absl::StrContains(field, '=') ? "" : "="));
  }
  std::sort(fields.begin(), fields.end());
  return absl::StrJoin(fields, "&");
}

}  // namespace

void SignForAws(const AwsCredentials& credentials, absl::string_view region,
                absl::string_view service, std::int64_t now_seconds,
                http::FetchRequest* request) {
  const std::string date =
      absl::FormatTime("%Y%m%dT%H%M%SZ", absl::FromUnixSeconds(now_seconds),
                       absl::UTCTimeZone());
  const std::string day = date.substr(0, 8);
  request->headers.Set("X-Amz-Date", date);
  // The names that are signed, in lower case and sorted.
  std::map<std::string, std::string> headers = {
      {"host", http::UrlHostPort(request->url)}};
  if (!credentials.token.empty()) {
    request->headers.Set("X-Amz-Security-Token", credentials.token);
  }
  for (const auto& [name, value] : request->headers.fields()) {
    const std::string lower = absl::AsciiStrToLower(name);
    if (lower == "content-type" || absl::StartsWith(lower, "x-amz-")) {
      headers[lower] = value;
    }
  }
  const Target target = TargetOf(request->url);
  std::string canonical =
      absl::StrCat(request->method, "\n", CanonicalPath(target.path), "\n",
                   CanonicalQuery(target.query), "\n");
  for (const auto& [name, value] : headers) {
    absl::StrAppend(&canonical, name, ":", value, "\n");
  }
  const std::string names = absl::StrJoin(
      headers, ";",
      [](std::string* out, const auto& header) { out->append(header.first); });
  absl::StrAppend(&canonical, "\n", names, "\n", Sha256Hex(request->body));
  const std::string scope =
      absl::StrCat(day, "/", region, "/", service, "/aws4_request");
  const std::string key = Hmac(
      Hmac(
          Hmac(Hmac(absl::StrCat("AWS4", credentials.secret_key), day), region),
          service),
      "aws4_request");
  const std::string signature = absl::BytesToHexString(
      Hmac(key, absl::StrCat(kAlgorithm, "\n", date, "\n", scope, "\n",
                             Sha256Hex(canonical))));
  request->headers.Set(
      "Authorization",
      absl::StrCat(kAlgorithm, " Credential=", credentials.access_key, "/",
                   scope, ", SignedHeaders=", names,
                   ", Signature=", signature));
}

}  // namespace narthex::discovery
