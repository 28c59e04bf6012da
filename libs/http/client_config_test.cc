#include "libs/http/client_config.h"

#include <catch2/catch.hpp>
#include <string>

#include "libs/yaml/node.h"

namespace narthex::http {
namespace {

absl::Status Read(const std::string& text, ClientConfig* config) {
  const auto document = yaml::Document::Parse(text, "f.yml");
  REQUIRE(document.ok());
  yaml::Decoder d(document->root());
  DecodeClientConfig(d, config);
  return d.Done();
}

TEST_CASE("what cannot be is refused with Prometheus's reason") {
  struct Row {
    const char* text;
    const char* reason;
  };
  const Row rows[] = {
      {"basic_auth: {username: a, username_file: b}",
       "basic_auth: at most one of basic_auth username & username_file must be "
       "configured"},
      {"basic_auth: {password: a, password_file: b}",
       "basic_auth: at most one of basic_auth password & password_file must be "
       "configured"},
      {"authorization: {type: Basic}",
       "authorization: authorization type cannot be set to \"basic\", use "
       "\"basic_auth\" instead"},
      {"authorization: {credentials: a, credentials_file: b}",
       "authorization: at most one of authorization credentials & "
       "credentials_file must be configured"},
      {"{basic_auth: {username: a}, authorization: {credentials: b}}",
       "at most one of basic_auth, oauth2 & authorization must be configured"},
      {"{bearer_token: a, bearer_token_file: b}",
       "at most one of bearer_token & bearer_token_file must be configured"},
      {"{bearer_token: a, basic_auth: {username: b}}",
       "at most one of basic_auth, oauth2, bearer_token & bearer_token_file "
       "must be configured"},
      {"{bearer_token: a, authorization: {credentials: b}}",
       "authorization is not compatible with bearer_token & "
       "bearer_token_file"},
      {"oauth2: {token_url: a}", "oauth2: oauth2 client_id must be configured"},
      {"oauth2: {client_id: a}", "oauth2: oauth2 token_url must be configured"},
      {"oauth2: {client_id: a, token_url: b, client_secret: c, "
       "client_secret_file: d}",
       "oauth2: at most one of oauth2 client_secret & client_secret_file must "
       "be configured using grant-type=client_credentials"},
      {"oauth2: {client_id: a, token_url: b, grant_type: "
       "'urn:ietf:params:oauth:grant-type:jwt-bearer', signature_algorithm: "
       "HS256}",
       "oauth2: valid signature algorithms are RS256, RS384 and RS512"},
      {"tls_config: {min_version: TLS1}",
       "tls_config.min_version: unknown TLS version: TLS1"},
      {"tls_config: {cert: a}",
       "tls_config: exactly one of key or key_file must be configured when a "
       "client certificate is configured"},
      {"proxy_url: 'http://x:port'",
       "parse \"http://x:port\": invalid port \":port\" after host"},
      {"no_proxy: a",
       "if no_proxy is configured, proxy_url must also be configured"},
      {"{proxy_from_environment: true, proxy_url: 'http://a'}",
       "if proxy_from_environment is configured, proxy_url must not be "
       "configured"},
      {"proxy_connect_header: {a: [b]}",
       "if proxy_connect_header is configured, proxy_url or "
       "proxy_from_environment must also be configured"},
      {"http_headers: {authorization: {values: [a]}}",
       "http_headers: setting header \"Authorization\" is not allowed"},
      {"http_headers: {X-AMZ-DATE: {files: [a]}}",
       "http_headers: setting header \"X-Amz-Date\" is not allowed"},
  };
  for (const Row& row : rows) {
    INFO(row.text);
    ClientConfig config;
    CHECK(Read(row.text, &config).message() ==
          std::string("f.yml: line 1: ") + row.reason);
  }
}

TEST_CASE("a signed grant keeps its fields and hides its key") {
  ClientConfig config;
  REQUIRE(Read("oauth2: {client_id: a, token_url: b, grant_type: "
               "'urn:ietf:params:oauth:grant-type:jwt-bearer', "
               "client_certificate_key: secret, iss: i, audience: u, "
               "claims: {n: 5, q: '5', l: [a, true]}}",
               &config)
              .ok());
  CHECK(config.oauth2->claims ==
        std::map<std::string, std::string>{
            {"l", R"(["a",true])"}, {"n", "5"}, {"q", "\"5\""}});
  yaml::Emitter out;
  out.BeginMap();
  EmitClientConfig(config, &out);
  out.EndMap();
  CHECK_THAT(out.text(), Catch::Contains("client_certificate_key: <secret>"));
  CHECK_THAT(out.text(), Catch::Contains("q: \"5\"\n"));
  ClientConfig again;
  REQUIRE(Read(out.text(), &again).ok());
  CHECK(again.oauth2->claims == config.oauth2->claims);
}

TEST_CASE("relative paths begin at the directory") {
  ClientConfig config;
  REQUIRE(Read("{oauth2: {client_id: a, token_url: b, client_secret_file: s, "
               "tls_config: {ca_file: c}}, http_headers: {X: {files: [f]}}, "
               "tls_config: {ca_file: /abs}}",
               &config)
              .ok());
  SetDirectory("/d", &config);
  CHECK(config.oauth2->client_secret_file == "/d/s");
  CHECK(config.oauth2->tls.ca_file == "/d/c");
  CHECK(config.http_headers["X"].files[0] == "/d/f");
  CHECK(config.tls.ca_file == "/abs");
}

}  // namespace
}  // namespace narthex::http
