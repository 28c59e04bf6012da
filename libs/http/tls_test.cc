#include <openssl/ssl.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <memory>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/base/file.h"
#include "libs/http/client.h"
#include "libs/http/fake_socket.h"
#include "libs/http/self_signed.h"
#include "libs/http/server.h"

namespace narthex::http {

namespace {

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
  trusted.server_name = kTestName;
  CHECK(site.Fetch(trusted) == "200");
  TlsConfig as_text;
  as_text.ca = identity.cert;
  as_text.server_name = kTestName;
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
  wrong_name.server_name = "other.test";
  CHECK_THAT(site.Fetch(wrong_name),
             Catch::EndsWith("x509: certificate is not valid for other.test"));
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

TEST_CASE("a rotated authority is seen at once, by open connections too") {
  const SelfSigned first;
  const SelfSigned second;
  ServerTls tls;
  tls.cert_file = first.cert_file;
  tls.key_file = first.key_file;
  TlsSite site(tls);
  const base::TemporaryDirectory directory;
  TlsConfig trusted;
  trusted.ca_file = directory.path() + "/ca.pem";
  trusted.server_name = kTestName;

  CHECK_THAT(site.Fetch(trusted),
             Catch::Contains("unable to read CA cert: unable to read file " +
                             trusted.ca_file));
  REQUIRE(base::WriteFileAtomically(trusted.ca_file, first.cert).ok());
  CHECK(site.Fetch(trusted) == "200");
  REQUIRE(base::WriteFileAtomically(trusted.ca_file, second.cert).ok());
  CHECK_THAT(site.Fetch(trusted),
             Catch::EndsWith("certificate signed by unknown authority"));
  REQUIRE(base::WriteFileAtomically(trusted.ca_file, second.cert + first.cert)
              .ok());
  CHECK(site.Fetch(trusted) == "200");
}

TEST_CASE("a rotated client certificate is shown at once") {
  const SelfSigned known;
  const SelfSigned unknown;
  ServerTls tls;
  tls.cert_file = known.cert_file;
  tls.key_file = known.key_file;
  tls.client_ca_file = known.cert_file;
  tls.client_auth = ServerTls::ClientAuth::kRequireAndVerify;
  TlsSite site(tls);
  const base::TemporaryDirectory directory;
  TlsConfig client;
  client.insecure_skip_verify = true;
  client.cert_file = directory.path() + "/cert.pem";
  client.key_file = directory.path() + "/key.pem";
  const auto use = [&](const SelfSigned& identity) {
    REQUIRE(base::WriteFileAtomically(client.cert_file, identity.cert).ok());
    REQUIRE(base::WriteFileAtomically(client.key_file, identity.key).ok());
  };
  use(known);
  CHECK(site.Fetch(client) == "200");
  use(unknown);
  CHECK(site.Fetch(client) != "200");
  use(known);
  CHECK(site.Fetch(client) == "200");
}

TEST_CASE("an authority that is given replaces the system's") {
  const SelfSigned server;
  const SelfSigned other;
  ServerTls tls;
  tls.cert_file = server.cert_file;
  tls.key_file = server.key_file;
  TlsSite site(tls);
  // Larger than what is kept with a connection: left to libcurl.
  const base::TemporaryDirectory directory;
  TlsConfig trusted;
  trusted.server_name = kTestName;
  trusted.ca_file = directory.path() + "/large.pem";
  const std::string padding = "# " + std::string(40 << 10, 'x') + "\n";
  REQUIRE(
      base::WriteFileAtomically(trusted.ca_file, padding + server.cert).ok());
  CHECK(site.Fetch(trusted) == "200");
  trusted.ca_file = other.cert_file;
  CHECK_THAT(site.Fetch(trusted),
             Catch::EndsWith("certificate signed by unknown authority"));
}

namespace {

/// Shakes hands and keeps what the client offered.
class HandshakeRecorder {
 public:
  std::string server_name;
  std::string protocols;
  std::string version;

  // OpenSSL writes to sockets that the peer may have closed.
  HandshakeRecorder() { std::signal(SIGPIPE, SIG_IGN); }

  std::string Fetch(const ClientConfig& config) {
    std::string body;
    const auto result =
        client_.Fetch({.url = absl::StrCat("https://", socket_.address(), "/"),
                       .config = std::make_shared<const ClientConfig>(config)},
                      &body);
    return result.status.ok() ? body : std::string(result.status.message());
  }

 private:
  static int OnProtocols(SSL*, const unsigned char** out, unsigned char* size,
                         const unsigned char* offered, unsigned offered_size,
                         void* self) {
    static_cast<HandshakeRecorder*>(self)->protocols.assign(
        reinterpret_cast<const char*>(offered), offered_size);
    static const unsigned char kHttp11[] = {'h', 't', 't', 'p',
                                            '/', '1', '.', '1'};
    *out = kHttp11;
    *size = sizeof(kHttp11);
    return SSL_TLSEXT_ERR_OK;
  }

  void Serve(int fd) {
    SSL_CTX* context = SSL_CTX_new(TLS_server_method());
    SSL_CTX_use_certificate_file(context, identity_.cert_file.c_str(),
                                 SSL_FILETYPE_PEM);
    SSL_CTX_use_PrivateKey_file(context, identity_.key_file.c_str(),
                                SSL_FILETYPE_PEM);
    SSL_CTX_set_alpn_select_cb(context, &HandshakeRecorder::OnProtocols, this);
    SSL* ssl = SSL_new(context);
    SSL_set_fd(ssl, fd);
    if (SSL_accept(ssl) == 1) {
      const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
      server_name = name == nullptr ? "" : name;
      version = SSL_get_version(ssl);
      char buffer[4096];
      SSL_read(ssl, buffer, sizeof(buffer));
      const std::string answer =
          "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: "
          "close\r\n\r\nok";
      SSL_write(ssl, answer.data(), static_cast<int>(answer.size()));
      SSL_shutdown(ssl);
    }
    SSL_free(ssl);
    SSL_CTX_free(context);
  }

  const SelfSigned identity_;
  FakeSocket socket_{[this](int fd) { Serve(fd); }};
  Client client_;
};

}  // namespace

TEST_CASE("what is offered in the handshake follows the configuration") {
  HandshakeRecorder recorder;
  ClientConfig config;
  config.tls.insecure_skip_verify = true;
  CHECK(recorder.Fetch(config) == "ok");
  CHECK(recorder.version == "TLSv1.3");
  CHECK(recorder.server_name.empty());
  CHECK_THAT(recorder.protocols, Catch::Contains("h2"));

  config.enable_http2 = false;
  config.tls.server_name = "other.test";
  config.tls.max_version = "TLS12";
  CHECK(recorder.Fetch(config) == "ok");
  CHECK(recorder.version == "TLSv1.2");
  CHECK(recorder.server_name == "other.test");
  CHECK_THAT(recorder.protocols, !Catch::Contains("h2"));

  config.tls.min_version = "TLS13";
  CHECK_THAT(recorder.Fetch(config),
             Catch::EndsWith("tls_config.max_version must be greater than or "
                             "equal to tls_config.min_version if both are "
                             "specified"));
}

}  // namespace narthex::http
