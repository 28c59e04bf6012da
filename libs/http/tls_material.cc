#include "libs/http/tls_material.h"

#include <filesystem>
#include <system_error>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "libs/base/file.h"
#include "libs/base/status.h"

namespace narthex::http {
namespace {

// Every connection keeps a copy of the authorities it was made with. Bundles
// larger than this are left to libcurl, which reads them by connection.
constexpr std::uintmax_t kMaxKeptBytes = 32 << 10;

struct VersionRow {
  const char* name;
  long min;
  long max;
};
constexpr VersionRow kVersions[] = {
    {"TLS10", CURL_SSLVERSION_TLSv1_0, CURL_SSLVERSION_MAX_TLSv1_0},
    {"TLS11", CURL_SSLVERSION_TLSv1_1, CURL_SSLVERSION_MAX_TLSv1_1},
    {"TLS12", CURL_SSLVERSION_TLSv1_2, CURL_SSLVERSION_MAX_TLSv1_2},
    {"TLS13", CURL_SSLVERSION_TLSv1_3, CURL_SSLVERSION_MAX_TLSv1_3}};

absl::Status SetVersions(const TlsConfig& config, CURL* easy) {
  long min = CURL_SSLVERSION_TLSv1_2;
  long max = 0;
  for (const VersionRow& row : kVersions) {
    if (config.min_version == row.name) min = row.min;
    if (config.max_version == row.name) max = row.max;
  }
  // The names sort as the versions do.
  if (!config.min_version.empty() && !config.max_version.empty() &&
      config.max_version < config.min_version) {
    return absl::InvalidArgumentError(
        "tls_config.max_version must be greater than or equal to "
        "tls_config.min_version if both are specified");
  }
  const bool is_old =
      config.min_version == "TLS10" || config.min_version == "TLS11";
  if (config.min_version.empty() &&
      (config.max_version == "TLS10" || config.max_version == "TLS11")) {
    min = CURL_SSLVERSION_TLSv1_0;
  }
  // Debian's OpenSSL has no cipher for these at its usual level.
  if (is_old) {
    curl_easy_setopt(easy, CURLOPT_SSL_CIPHER_LIST, "DEFAULT:@SECLEVEL=0");
  }
  curl_easy_setopt(easy, CURLOPT_SSLVERSION, min | max);
  curl_easy_setopt(easy, CURLOPT_PROXY_SSLVERSION, min | max);
  return absl::OkStatus();
}

void SetBlob(const std::string& pem, CURLoption option, CURL* easy) {
  curl_blob blob{const_cast<char*>(pem.data()), pem.size(), CURL_BLOB_NOCOPY};
  curl_easy_setopt(easy, option, &blob);
}

bool IsLarge(const std::string& file) {
  std::error_code error;
  const auto size = std::filesystem::file_size(file, error);
  return !error && size > kMaxKeptBytes;
}

}  // namespace

absl::Status TlsMaterial::Apply(const TlsConfig& config, CURL* easy) {
  NARTHEX_RETURN_IF_ERROR(SetVersions(config, easy));
  // Loaded authorities are kept a while, but a rotated file must be seen.
  curl_easy_setopt(easy, CURLOPT_CA_CACHE_TIMEOUT, 60L);
  if (!config.ca.empty() || !config.ca_file.empty()) {
    // Trust these alone, not the system's too.
    curl_easy_setopt(easy, CURLOPT_CAPATH, nullptr);
    curl_easy_setopt(easy, CURLOPT_PROXY_CAPATH, nullptr);
    if (config.ca.empty() && IsLarge(config.ca_file)) {
      curl_easy_setopt(easy, CURLOPT_CAINFO, config.ca_file.c_str());
      curl_easy_setopt(easy, CURLOPT_PROXY_CAINFO, config.ca_file.c_str());
    } else {
      auto ca = ReadSecret(config.ca, config.ca_file);
      if (!ca.ok()) {
        return base::Annotate(ca.status(), "unable to read CA cert");
      }
      ca_ = *std::move(ca);
      SetBlob(ca_, CURLOPT_CAINFO_BLOB, easy);
      SetBlob(ca_, CURLOPT_PROXY_CAINFO_BLOB, easy);
    }
  }
  if (!config.cert.empty() || !config.cert_file.empty()) {
    auto cert = ReadSecret(config.cert, config.cert_file);
    if (!cert.ok()) {
      return base::Annotate(cert.status(), "unable to read client cert");
    }
    auto key = ReadSecret(config.key, config.key_file);
    if (!key.ok()) {
      return base::Annotate(key.status(), "unable to read client key");
    }
    cert_ = *std::move(cert);
    key_ = *std::move(key);
    SetBlob(cert_, CURLOPT_SSLCERT_BLOB, easy);
    SetBlob(key_, CURLOPT_SSLKEY_BLOB, easy);
    SetBlob(cert_, CURLOPT_PROXY_SSLCERT_BLOB, easy);
    SetBlob(key_, CURLOPT_PROXY_SSLKEY_BLOB, easy);
  }
  if (config.insecure_skip_verify) {
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
    curl_easy_setopt(easy, CURLOPT_PROXY_SSL_VERIFYPEER, 0L);
    curl_easy_setopt(easy, CURLOPT_PROXY_SSL_VERIFYHOST, 0L);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> ReadSecret(const std::string& text,
                                       const std::string& file) {
  if (!text.empty() || file.empty()) return text;
  auto content = ReadTrimmed(file);
  if (content.ok()) return content;
  return base::Annotate(content.status(),
                        absl::StrCat("unable to read file ", file));
}

absl::StatusOr<std::string> ReadTrimmed(const std::string& file) {
  const auto content = base::ReadFile(file);
  if (content.ok()) return std::string(absl::StripAsciiWhitespace(*content));
  // Go has the system's reasons in lower case.
  std::string message(content.status().message());
  const std::size_t reason = message.rfind(": ");
  if (reason != std::string::npos && reason + 2 < message.size()) {
    char& first = message[reason + 2];
    first = absl::ascii_tolower(static_cast<unsigned char>(first));
  }
  return absl::InvalidArgumentError(message);
}

}  // namespace narthex::http
