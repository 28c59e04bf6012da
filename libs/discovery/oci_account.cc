#include "libs/discovery/oci_account.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>
#include <openssl/x509.h>

#include <array>
#include <cstdlib>
#include <memory>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "libs/base/clock.h"
#include "libs/base/file.h"
#include "libs/base/status.h"
#include "libs/discovery/json.h"
#include "libs/http/rsa_signature.h"
#include "libs/http/url.h"

namespace narthex::discovery {
namespace {

constexpr char kMetadataUrl[] = "http://169.254.169.254/opc/v2";
constexpr std::int64_t kMarginSeconds = 300;
constexpr int kSessionKeyBits = 2048;

using UniqueBio = std::unique_ptr<BIO, decltype(&BIO_free)>;
using UniqueKey = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using UniqueCertificate = std::unique_ptr<X509, decltype(&X509_free)>;

std::int64_t NowSeconds() { return base::Clock::System().NowMs() / 1000; }

/// The domain of the realm that a region belongs to.
absl::string_view DomainOf(absl::string_view region) {
  constexpr std::pair<const char*, const char*> kOther[] = {
      {"us-langley-", "oraclegovcloud.com"},
      {"us-luke-", "oraclegovcloud.com"},
      {"us-gov-", "oraclegovcloud.com"},
      {"uk-gov-", "oraclegovcloud.uk"},
      {"ap-chiyoda-", "oraclecloud8.com"},
      {"ap-ibaraki-", "oraclecloud8.com"},
      {"me-dcc-muscat-", "oraclecloud9.com"},
      {"eu-frankfurt-2", "oraclecloud.eu"},
      {"eu-madrid-2", "oraclecloud.eu"}};
  for (const auto& [prefix, domain] : kOther) {
    if (absl::StartsWith(region, prefix)) return domain;
  }
  return "oraclecloud.com";
}

/// PEM without its first and last lines, in one line.
std::string PemBody(absl::string_view pem) {
  std::string out;
  for (const absl::string_view line : absl::StrSplit(pem, '\n')) {
    if (!absl::StartsWith(line, "-----")) {
      absl::StrAppend(&out, absl::StripAsciiWhitespace(line));
    }
  }
  return out;
}

std::string Content(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return std::string(data, static_cast<std::size_t>(size));
}

/// A key pair in PEM.
struct KeyPair {
  std::string secret;
  std::string open;
};

absl::StatusOr<KeyPair> NewKeyPair() {
  const UniqueKey key(EVP_RSA_gen(kSessionKeyBits), EVP_PKEY_free);
  const UniqueBio secret(BIO_new(BIO_s_mem()), BIO_free);
  const UniqueBio open(BIO_new(BIO_s_mem()), BIO_free);
  if (key == nullptr ||
      PEM_write_bio_PrivateKey(secret.get(), key.get(), nullptr, nullptr, 0,
                               nullptr, nullptr) != 1 ||
      PEM_write_bio_PUBKEY(open.get(), key.get()) != 1) {
    return absl::InternalError("a session key cannot be made");
  }
  return KeyPair{Content(secret.get()), Content(open.get())};
}

/// Whom a certificate names.
struct Identity {
  std::string tenancy;
  std::string fingerprint;  // SHA-256, "ab:cd:...".
};

absl::StatusOr<Identity> ReadCertificate(const std::string& pem) {
  const UniqueBio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())),
                      BIO_free);
  const UniqueCertificate certificate(
      PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr), X509_free);
  if (certificate == nullptr) {
    return absl::InvalidArgumentError(
        "the instance's certificate cannot be read");
  }
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned size = 0;
  X509_digest(certificate.get(), EVP_sha256(), digest.data(), &size);
  Identity identity;
  identity.fingerprint =
      absl::StrJoin(digest.begin(), digest.begin() + size, ":",
                    [](std::string* out, unsigned char byte) {
                      absl::StrAppend(out, absl::Hex(byte, absl::kZeroPad2));
                    });
  const X509_NAME* subject = X509_get_subject_name(certificate.get());
  for (int i = 0; i < X509_NAME_entry_count(subject); ++i) {
    const ASN1_STRING* data =
        X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, i));
    absl::string_view text(
        reinterpret_cast<const char*>(ASN1_STRING_get0_data(data)),
        static_cast<std::size_t>(ASN1_STRING_length(data)));
    if (absl::ConsumePrefix(&text, "opc-tenant:")) {
      identity.tenancy = std::string(text);
    }
  }
  if (!identity.tenancy.empty()) return identity;
  return absl::InvalidArgumentError(
      "the instance's certificate names no tenancy");
}

/// When a token expires by its own word; 0 when it does not say.
std::int64_t ExpiryOf(const std::string& token) {
  const std::vector<std::string> parts = absl::StrSplit(token, '.');
  std::string claims;
  if (parts.size() != 3 || !absl::WebSafeBase64Unescape(parts[1], &claims)) {
    return 0;
  }
  const auto json = ParseJson(claims);
  return json.ok() ? Number(*json, "exp") : 0;
}

/// Path and query of a URL.
std::string TargetOf(const std::string& url) {
  const std::size_t slash = url.find('/', url.find("://") + 3);
  return slash == std::string::npos ? "/" : url.substr(slash);
}

/// Adds Date and Authorization, signing the header fields `names`, which are
/// there already but for the date and the three that are none.
absl::Status AddSignature(const std::vector<std::string>& names,
                          const std::string& key_id, const std::string& key_pem,
                          const std::string& passphrase,
                          http::FetchRequest* request) {
  request->headers.Set("Date",
                       absl::FormatTime("%a, %d %b %Y %H:%M:%S GMT",
                                        absl::FromUnixSeconds(NowSeconds()),
                                        absl::UTCTimeZone()));
  std::vector<std::string> lines;
  for (const std::string& name : names) {
    std::string value;
    if (name == "(request-target)") {
      value = absl::StrCat(absl::AsciiStrToLower(request->method), " ",
                           TargetOf(request->url));
    } else if (name == "host") {
      value = http::UrlHostPort(request->url);
    } else if (name == "content-length") {
      value = absl::StrCat(request->body.size());
    } else {
      value = std::string(request->headers.Get(name));
    }
    lines.push_back(absl::StrCat(name, ": ", value));
  }
  NARTHEX_ASSIGN_OR_RETURN(const std::string signature,
                           http::SignRsa(absl::StrJoin(lines, "\n"), key_pem,
                                         http::RsaDigest::kSha256, passphrase));
  request->headers.Set(
      "Authorization",
      absl::StrCat("Signature version=\"1\",headers=\"",
                   absl::StrJoin(names, " "), "\",keyId=\"", key_id,
                   "\",algorithm=\"rsa-sha256\",signature=\"",
                   absl::Base64Escape(signature), "\""));
  return absl::OkStatus();
}

std::string Sha256Base64(absl::string_view text) {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest;
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(),
         digest.data());
  return absl::Base64Escape(absl::string_view(
      reinterpret_cast<const char*>(digest.data()), digest.size()));
}

}  // namespace

std::string OciServiceUrl(const OciConfig& config, absl::string_view service) {
  if (!config.endpoint.empty()) return config.endpoint;
  return absl::StrCat("https://", service, ".", config.region,
                      service == "identity" ? ".oci." : ".",
                      DomainOf(config.region));
}

OciAccount::OciAccount(const OciConfig& config)
    : config_(config), tenancy_(config.tenancy) {}

absl::Status OciAccount::Sign(Fetcher& fetcher, http::FetchRequest* request) {
  NARTHEX_ASSIGN_OR_RETURN(const Key key, FindKey(fetcher));
  return AddSignature({"date", "(request-target)", "host"}, key.id, key.pem,
                      key.passphrase, request);
}

absl::StatusOr<std::string> OciAccount::Tenancy(Fetcher& fetcher) {
  if (tenancy_.empty()) NARTHEX_RETURN_IF_ERROR(FindKey(fetcher).status());
  return tenancy_;
}

absl::StatusOr<OciAccount::Key> OciAccount::FindKey(Fetcher& fetcher) {
  if (config_.auth == "api_key") return FileKey();
  const std::int64_t now = NowSeconds();
  if (now >= session_expires_ - kMarginSeconds) {
    NARTHEX_RETURN_IF_ERROR(
        base::Annotate(BeginSession(fetcher, now), "instance principal"));
  }
  return session_;
}

absl::StatusOr<OciAccount::Key> OciAccount::FileKey() const {
  auto pem = base::ReadFile(config_.key_file);
  if (!pem.ok()) {
    return base::Annotate(pem.status(), "reading OCI key file");
  }
  std::string passphrase = config_.key_passphrase;
  if (!config_.key_passphrase_file.empty()) {
    auto content = base::ReadFile(config_.key_passphrase_file);
    if (!content.ok()) {
      return base::Annotate(content.status(),
                            "reading OCI key passphrase file");
    }
    passphrase = *std::move(content);
    while (absl::EndsWith(passphrase, "\n") ||
           absl::EndsWith(passphrase, "\r")) {
      passphrase.pop_back();
    }
  }
  return Key{absl::StrCat(config_.tenancy, "/", config_.user, "/",
                          config_.fingerprint),
             *std::move(pem), std::move(passphrase)};
}

absl::StatusOr<std::string> OciAccount::GetMetadata(
    Fetcher& fetcher, const std::string& path) const {
  const char* url = std::getenv("OCI_METADATA_BASE_URL");
  return fetcher.Get(
      absl::StrCat(url == nullptr ? kMetadataUrl : url, "/identity/", path),
      {{"Authorization", "Bearer Oracle"}});
}

absl::Status OciAccount::BeginSession(Fetcher& fetcher,
                                      std::int64_t now_seconds) {
  NARTHEX_ASSIGN_OR_RETURN(const std::string certificate,
                           GetMetadata(fetcher, "cert.pem"));
  NARTHEX_ASSIGN_OR_RETURN(const std::string key,
                           GetMetadata(fetcher, "key.pem"));
  NARTHEX_ASSIGN_OR_RETURN(const std::string intermediate,
                           GetMetadata(fetcher, "intermediate.pem"));
  NARTHEX_ASSIGN_OR_RETURN(const Identity identity,
                           ReadCertificate(certificate));
  NARTHEX_ASSIGN_OR_RETURN(KeyPair pair, NewKeyPair());
  http::FetchRequest request;
  request.url = OciServiceUrl(config_, "auth") + "/v1/x509";
  request.method = "POST";
  request.body = Json::Map({{"certificate", PemBody(certificate)},
                            {"publicKey", PemBody(pair.open)},
                            {"intermediateCertificates",
                             Json::List({PemBody(intermediate)})},
                            {"fingerprintAlgorithm", "SHA256"}})
                     .Dump();
  request.headers.Set("Content-Type", "application/json");
  request.headers.Set("X-Content-Sha256", Sha256Base64(request.body));
  NARTHEX_RETURN_IF_ERROR(AddSignature(
      {"date", "(request-target)", "content-length", "content-type",
       "x-content-sha256"},
      absl::StrCat(identity.tenancy, "/fed-x509-sha256/", identity.fingerprint),
      key, "", &request));
  NARTHEX_ASSIGN_OR_RETURN(const Fetcher::Answer answer,
                           fetcher.Fetch(std::move(request)));
  const auto json = ParseJson(answer.body);
  const std::string token = json.ok() ? Text(*json, "token") : "";
  if (answer.code != 200 || token.empty()) {
    return absl::UnavailableError(
        absl::StrCat("no session token: ", StatusLine(answer.code)));
  }
  tenancy_ = identity.tenancy;
  session_ = {"ST$" + token, std::move(pair.secret), ""};
  session_expires_ = ExpiryOf(token);
  // A token that does not say is asked for again in the next refresh.
  if (session_expires_ == 0) session_expires_ = now_seconds + kMarginSeconds;
  return absl::OkStatus();
}

}  // namespace narthex::discovery
