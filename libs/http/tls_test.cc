#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <catch2/catch.hpp>
#include <memory>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/base/file.h"
#include "libs/http/client.h"
#include "libs/http/server.h"

namespace narthex::http {

namespace {

constexpr const char* kName = "narthex.test";

std::string Text(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  std::string text(data, static_cast<std::size_t>(size));
  BIO_free(bio);
  return text;
}

// A key and a certificate for kName that it signed itself.
struct SelfSigned {
  SelfSigned() {
    const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> pkey(
        EVP_RSA_gen(2048), EVP_PKEY_free);
    const std::unique_ptr<X509, decltype(&X509_free)> x509(X509_new(),
                                                           X509_free);
    X509_set_version(x509.get(), 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x509.get()), 1);
    X509_gmtime_adj(X509_getm_notBefore(x509.get()), -3600);
    X509_gmtime_adj(X509_getm_notAfter(x509.get()), 3600);
    X509_set_pubkey(x509.get(), pkey.get());
    X509_NAME* name = X509_get_subject_name(x509.get());
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>(kName),
                               -1, -1, 0);
    X509_set_issuer_name(x509.get(), name);
    X509_EXTENSION* names = X509V3_EXT_conf_nid(
        nullptr, nullptr, NID_subject_alt_name, "DNS:narthex.test");
    X509_add_ext(x509.get(), names, -1);
    X509_EXTENSION_free(names);
    X509_sign(x509.get(), pkey.get(), EVP_sha256());

    BIO* key_bio = BIO_new(BIO_s_mem());
    PEM_write_bio_PrivateKey(key_bio, pkey.get(), nullptr, nullptr, 0, nullptr,
                             nullptr);
    key = Text(key_bio);
    BIO* cert_bio = BIO_new(BIO_s_mem());
    PEM_write_bio_X509(cert_bio, x509.get());
    cert = Text(cert_bio);
    cert_file = directory.path() + "/cert.pem";
    key_file = directory.path() + "/key.pem";
    REQUIRE(base::WriteFileAtomically(cert_file, cert).ok());
    REQUIRE(base::WriteFileAtomically(key_file, key).ok());
  }

  base::TemporaryDirectory directory;
  std::string cert;
  std::string key;
  std::string cert_file;
  std::string key_file;
};

class TlsSite {
 public:
  explicit TlsSite(const ServerTls& tls) {
    router_.Get("/", [](const Request&, Response& response) {
      response.Send(200, "text/plain", std::string(100'000, 'x'));
    });
    ServerOptions options;
    options.tls = std::make_shared<ServerTls>(tls);
    auto server = Server::Start(options, router_, base::Logger::Discard());
    REQUIRE(server.ok());
    server_ = std::move(*server);
  }

  // "200", or the error.
  std::string Fetch(const TlsConfig& tls) {
    auto config = std::make_shared<ClientConfig>();
    config->tls = tls;
    std::string body;
    const auto result =
        client_.Fetch({.url = absl::StrCat("https://", server_->address(), "/"),
                       .config = config},
                      &body);
    if (!result.status.ok()) return std::string(result.status.message());
    CHECK(body.size() == 100'000);
    return absl::StrCat(result.code);
  }

 private:
  Router router_;
  std::unique_ptr<Server> server_;
  Client client_;
};

}  // namespace

TEST_CASE("a client verifies the server as it is told") {
  const SelfSigned identity;
  ServerTls tls;
  tls.cert_file = identity.cert_file;
  tls.key_file = identity.key_file;
  TlsSite site(tls);

  TlsConfig trusted;
  trusted.ca_file = identity.cert_file;
  trusted.server_name = kName;
  CHECK(site.Fetch(trusted) == "200");
  TlsConfig as_text;
  as_text.ca = identity.cert;
  as_text.server_name = kName;
  CHECK(site.Fetch(as_text) == "200");
  TlsConfig insecure;
  insecure.insecure_skip_verify = true;
  CHECK(site.Fetch(insecure) == "200");

  CHECK(absl::EndsWith(site.Fetch({}),
                       "tls: failed to verify certificate: x509: certificate "
                       "signed by unknown authority"));
  TlsConfig wrong_name = trusted;
  wrong_name.server_name = "";
  CHECK_THAT(site.Fetch(wrong_name),
             Catch::EndsWith("x509: certificate is not valid for 127.0.0.1"));
}

TEST_CASE("a server that verifies clients lets only known ones in") {
  const SelfSigned identity;
  ServerTls tls;
  tls.cert_file = identity.cert_file;
  tls.key_file = identity.key_file;
  tls.client_ca_file = identity.cert_file;
  tls.client_auth = ServerTls::ClientAuth::kRequireAndVerify;
  TlsSite site(tls);

  TlsConfig anonymous;
  anonymous.insecure_skip_verify = true;
  CHECK(site.Fetch(anonymous) != "200");
  TlsConfig known = anonymous;
  known.cert_file = identity.cert_file;
  known.key_file = identity.key_file;
  CHECK(site.Fetch(known) == "200");
}

TEST_CASE("a server without its certificate does not start") {
  Router router;
  ServerOptions options;
  auto tls = std::make_shared<ServerTls>();
  tls->cert_file = "/nonexistent/cert.pem";
  tls->key_file = "/nonexistent/key.pem";
  options.tls = tls;
  const auto server = Server::Start(options, router, base::Logger::Discard());
  CHECK(absl::IsInvalidArgument(server.status()));
  CHECK(absl::StrContains(server.status().message(), "/nonexistent/cert.pem"));
}

}  // namespace narthex::http
