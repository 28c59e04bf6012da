#include "libs/discovery/aws_signature.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include <array>
#include <map>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
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

std::string PathOf(absl::string_view url) {
  const std::size_t scheme = url.find("://");
  const std::size_t slash = url.find('/', scheme + 3);
  if (slash == absl::string_view::npos) return "/";
  return std::string(url.substr(slash));
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
      {"host", http::UrlHostPort(request->url)}, {"x-amz-date", date}};
  if (!credentials.token.empty()) {
    request->headers.Set("X-Amz-Security-Token", credentials.token);
    headers["x-amz-security-token"] = credentials.token;
  }
  if (request->headers.Has("Content-Type")) {
    headers["content-type"] = std::string(request->headers.Get("Content-Type"));
  }
  std::string canonical =
      absl::StrCat(request->method, "\n", PathOf(request->url), "\n\n");
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
