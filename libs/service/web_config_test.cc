#include "libs/service/web_config.h"

#include <catch2/catch.hpp>

#include "absl/strings/match.h"

namespace narthex::service {

TEST_CASE("a web config is read with all it may hold") {
  const auto config = ParseWebConfig("/etc/narthex/web.yml", R"(
tls_server_config:
  cert_file: server.crt
  key_file: /keys/server.key
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: ca.crt
  min_version: TLS13
http_server_config:
  http2: true
  headers:
    X-Frame-Options: deny
basic_auth_users:
  alice: $2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi
)");
  REQUIRE(config.ok());
  CHECK(config->tls->cert_file == "/etc/narthex/server.crt");
  CHECK(config->tls->key_file == "/keys/server.key");
  CHECK(config->tls->client_ca_file == "/etc/narthex/ca.crt");
  CHECK(config->tls->client_auth ==
        http::ServerTls::ClientAuth::kRequireAndVerify);
  CHECK(config->headers.size() == 1);
  CHECK(config->users.size() == 1);
  CHECK(ParseWebConfig("web.yml", "").ok());
}

TEST_CASE("a bad web config is refused with the place") {
  struct Row {
    const char* text;
    const char* reason;
  };
  const std::vector<Row> rows = {
      {"tls_server_config:\n  cert_file: a\n", "key_file"},
      {"tls_config:\n  a: b\n", "tls_config"},
      {"tls_server_config:\n  cert_file: a\n  key_file: b\n  cipher: c\n",
       "cipher"},
      {"tls_server_config:\n  cert_file: a\n  key_file: b\n"
       "  client_auth_type: Maybe\n",
       "invalid ClientAuth: Maybe"},
      {"tls_server_config:\n  cert_file: a\n  key_file: b\n"
       "  client_auth_type: RequireAndVerifyClientCert\n",
       "client_ca_file is missing"}};
  for (const Row& row : rows) {
    INFO(row.text);
    const auto config = ParseWebConfig("web.yml", row.text);
    CHECK(absl::IsInvalidArgument(config.status()));
    CHECK(absl::StrContains(config.status().message(), row.reason));
  }
}

TEST_CASE("only users with the right password are let in") {
  // The password is "test".
  BasicAuthGate gate(std::map<std::string, std::string>{
      {"alice",
       "$2b$04$ABCDEFGHIJKLMNOPQRSTUuDKTW5ltHBc/mh4fj8At3FVBEkvsa.C6"}});
  struct Row {
    const char* field;
    bool admitted;
  };
  const std::vector<Row> rows = {{"Basic YWxpY2U6dGVzdA==", true},
                                 {"basic YWxpY2U6dGVzdA==", true},
                                 {"Basic YWxpY2U6d3Jvbmc=", false},
                                 {"Basic Ym9iOnRlc3Q=", false},
                                 {"Basic !!", false},
                                 {"Bearer YWxpY2U6dGVzdA==", false},
                                 {"", false}};
  for (int round = 0; round < 2; ++round) {
    for (const Row& row : rows) {
      INFO(row.field);
      const auto request =
          http::Request::Make("GET", "/", "", {{"Authorization", row.field}});
      http::Response response;
      CHECK(gate.Admit(request, response) == row.admitted);
      CHECK(response.status() == (row.admitted ? 200 : 401));
    }
  }
  gate.SetUsers({});
  http::Response response;
  CHECK(gate.Admit(http::Request::Make("GET", "/"), response));
}

}  // namespace narthex::service
