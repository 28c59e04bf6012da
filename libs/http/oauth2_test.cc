#include "libs/http/oauth2.h"

#include <openssl/evp.h>
#include <openssl/pem.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <future>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "libs/base/file.h"
#include "libs/base/mutex.h"
#include "libs/http/self_signed.h"
#include "libs/http/server.h"

namespace narthex::http {
namespace {

/// A site that gives out tokens at /token and shows at / what it was sent.
class TokenSite {
 public:
  TokenSite() {
    router_.Post("/token", [this](const Request& request, Response& response) {
      base::MutexLock lock(mutex_);
      forms_.push_back(request.params);
      authorizations_.emplace_back(request.headers.Get("Authorization"));
      if (params_only_ && !request.params.Has("client_secret")) {
        response.Send(401, "text/html", "no");
        return;
      }
      response.Send(
          status_, type_,
          answer_.empty()
              ? absl::StrCat(R"({"access_token":"t)", forms_.size(),
                             R"(","token_type":"bearer","expires_in":)",
                             lifetime_, "}")
              : answer_);
    });
    router_.Get("/", [](const Request& request, Response& response) {
      response.body() = std::string(request.headers.Get("Authorization"));
    });
    router_.Get("/away", [this](const Request&, Response& response) {
      response.Redirect(
          absl::StrCat("http://localhost:", server_->port(), "/"));
    });
    auto started = Server::Start({}, router_, base::Logger::Discard());
    REQUIRE(started.ok());
    server_ = std::move(*started);
    oauth2.client_id = "id x";
    oauth2.client_secret = "s";
    oauth2.token_url = Url("/token");
  }

  std::string Url(absl::string_view path) const {
    return absl::StrCat("http://", server_->address(), path);
  }
  /// The Authorization field that arrives at / (or `path`), or the error.
  std::string Get(absl::string_view path = "/", std::int64_t timeout_ms = 0) {
    auto config = std::make_shared<ClientConfig>();
    config->oauth2 = oauth2;
    std::string body;
    const auto result = client.Fetch(
        {.url = Url(path), .config = config, .timeout_ms = timeout_ms}, &body);
    return result.status.ok() ? body : std::string(result.status.message());
  }
  /// What follows `Get "url": ` of an error.
  std::string Error() {
    return Get().substr(absl::StrCat("Get \"", Url("/"), "\": ").size());
  }
  std::vector<Params> forms() {
    base::MutexLock lock(mutex_);
    return forms_;
  }
  std::vector<std::string> authorizations() {
    base::MutexLock lock(mutex_);
    return authorizations_;
  }
  void Answer(int status, std::string type, std::string answer) {
    base::MutexLock lock(mutex_);
    status_ = status;
    type_ = std::move(type);
    answer_ = std::move(answer);
  }
  void set_lifetime(int seconds) {
    base::MutexLock lock(mutex_);
    lifetime_ = seconds;
  }
  void set_params_only() {
    base::MutexLock lock(mutex_);
    params_only_ = true;
  }

  OAuth2 oauth2;
  Client client;

 private:
  Router router_;
  base::Mutex mutex_;
  std::vector<Params> forms_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> authorizations_ ABSL_GUARDED_BY(mutex_);
  int status_ ABSL_GUARDED_BY(mutex_) = 200;
  int lifetime_ ABSL_GUARDED_BY(mutex_) = 3600;
  bool params_only_ ABSL_GUARDED_BY(mutex_) = false;
  std::string type_ ABSL_GUARDED_BY(mutex_) = "application/json";
  std::string answer_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<Server> server_;
};

TEST_CASE("a token is asked for once and used until it expires") {
  TokenSite site;
  site.oauth2.scopes = {"a", "b"};
  site.oauth2.endpoint_params = {{"audience", "x y"}};
  CHECK(site.Get() == "Bearer t1");
  CHECK(site.Get() == "Bearer t1");
  CHECK(site.forms().size() == 1);
  const Params form = site.forms()[0];
  CHECK(form.Get("grant_type") == "client_credentials");
  CHECK(form.Get("scope") == "a b");
  CHECK(form.Get("audience") == "x y");
  CHECK_FALSE(form.Has("client_id"));
  // "id+x:s": both are escaped before they are joined.
  CHECK(site.authorizations()[0] == "Basic aWQreDpz");
}

TEST_CASE("a token about to expire is not used again") {
  TokenSite site;
  site.set_lifetime(5);
  CHECK(site.Get() == "Bearer t1");
  CHECK(site.Get() == "Bearer t2");
}

TEST_CASE("a token without lifetime is kept, and forms are understood") {
  TokenSite site;
  site.Answer(200, "application/x-www-form-urlencoded",
              "access_token=f&token_type=Custom");
  CHECK(site.Get() == "Custom f");
  CHECK(site.Get() == "Custom f");
  CHECK(site.forms().size() == 1);
}

TEST_CASE("a server that takes the credentials in the form alone is found") {
  TokenSite site;
  site.set_params_only();
  site.set_lifetime(5);
  CHECK(site.Get() == "Bearer t2");
  CHECK(site.forms()[1].Get("client_id") == "id x");
  CHECK(site.forms()[1].Get("client_secret") == "s");
  CHECK(site.authorizations()[1].empty());
  // Known from then on.
  CHECK(site.Get() == "Bearer t3");
}

TEST_CASE("requests that come together share one token") {
  TokenSite site;
  auto config = std::make_shared<ClientConfig>();
  config->oauth2 = site.oauth2;
  constexpr int kCount = 50;
  std::vector<std::string> bodies(kCount);
  std::atomic<int> left{kCount};
  std::promise<void> done;
  for (std::string& body : bodies) {
    site.client.Fetch({.url = site.Url("/"), .config = config}, &body,
                      [&](const FetchResult&) {
                        if (--left == 0) done.set_value();
                      });
  }
  done.get_future().wait();
  for (const std::string& body : bodies) CHECK(body == "Bearer t1");
  CHECK(site.forms().size() == 1);
}

TEST_CASE("a secret file is read again, and a new secret gets a new token") {
  TokenSite site;
  base::TemporaryDirectory directory;
  site.oauth2.client_secret = "";
  site.oauth2.client_secret_file = directory.path() + "/secret";
  CHECK_THAT(site.Error(),
             Catch::StartsWith("unable to read oauth2 client secret: unable to "
                               "read file " +
                               site.oauth2.client_secret_file));
  REQUIRE(
      base::WriteFileAtomically(site.oauth2.client_secret_file, "one\n").ok());
  CHECK(site.Get() == "Bearer t1");
  REQUIRE(
      base::WriteFileAtomically(site.oauth2.client_secret_file, "two").ok());
  CHECK(site.Get() == "Bearer t2");
  CHECK(site.authorizations()[1] == "Basic " + absl::Base64Escape("id+x:two"));
}

TEST_CASE("why there is no token is said") {
  TokenSite site;
  SECTION("by the server's error") {
    site.Answer(400, "application/json",
                R"({"error":"invalid_scope","error_description":"no such"})");
    CHECK(site.Error() == R"(oauth2: "invalid_scope" "no such")");
  }
  SECTION("by its status") {
    site.Answer(500, "text/html", "oops");
    CHECK(site.Error() ==
          "oauth2: cannot fetch token: 500 Internal Server Error\n"
          "Response: oops");
  }
  SECTION("when the answer is no token") {
    site.Answer(200, "application/json", "{}");
    CHECK(site.Error() == "oauth2: server response missing access_token");
    site.Answer(200, "application/json", "nonsense");
    CHECK(site.Error() == "oauth2: cannot parse json");
  }
  SECTION("when a parameter is not free") {
    site.oauth2.scopes = {"a"};
    site.oauth2.endpoint_params = {{"scope", "b"}};
    CHECK(site.Error() == "oauth2: cannot overwrite parameter \"scope\"");
  }
  SECTION("when nobody is there") {
    site.oauth2.token_url = "http://127.0.0.1:1/t";
    CHECK(site.Error() ==
          "Post \"http://127.0.0.1:1/t\": dial tcp 127.0.0.1:1: connect: "
          "connection refused");
  }
}

TEST_CASE("another grant may be asked for by an endpoint parameter") {
  TokenSite site;
  site.oauth2.endpoint_params = {
      {"grant_type", "password"}, {"username", "u"}, {"password", "p"}};
  CHECK(site.Get() == "Bearer t1");
  CHECK(site.forms()[0].Get("grant_type") == "password");
  CHECK(site.forms()[0].Get("username") == "u");
}

TEST_CASE("a token is not taken to another host") {
  TokenSite site;
  CHECK(site.Get("/away").empty());
}

TEST_CASE("waiting for a token ends with the request's time") {
  std::promise<void> release;
  const std::shared_future<void> released = release.get_future().share();
  Router router;
  router.Post("/token", [&](const Request&, Response&) { released.wait(); });
  auto slow = Server::Start({}, router, base::Logger::Discard());
  REQUIRE(slow.ok());
  TokenSite site;
  site.oauth2.token_url = absl::StrCat("http://", (*slow)->address(), "/token");
  CHECK(site.Get("/", 60) ==
        absl::StrCat("Get \"", site.Url("/"), "\": context deadline exceeded"));
  std::promise<absl::Status> cancelled;
  auto config = std::make_shared<ClientConfig>();
  config->oauth2 = site.oauth2;
  std::string body;
  const auto id = site.client.Fetch(
      {.url = site.Url("/"), .config = config}, &body,
      [&](const FetchResult& result) { cancelled.set_value(result.status); });
  site.client.Cancel(id);
  CHECK(absl::IsCancelled(cancelled.get_future().get()));
  release.set_value();
}

std::string Decoded(absl::string_view segment) {
  std::string out;
  REQUIRE(absl::WebSafeBase64Unescape(segment, &out));
  return out;
}

TEST_CASE("a signed grant carries its claims and verifies") {
  const SelfSigned identity;
  OAuth2 config;
  config.client_id = "me";
  config.token_url = "http://t/";
  config.grant_type = kJwtBearerGrant;
  config.client_certificate_key_id = "k1";
  config.signature_algorithm = "RS384";
  config.scopes = {"a", "b"};
  config.claims = {{"n", "5"}, {"s", "\"x\""}};
  const auto request =
      TokenRequest(config, identity.key, ClientAuthStyle::kHeader, 1000);
  REQUIRE(request.ok());
  Params form;
  ParseQuery(request->body, &form);
  CHECK(form.Get("grant_type") == kJwtBearerGrant);
  CHECK(form.Get("scope") == "a b");
  CHECK_FALSE(request->headers.Has("Authorization"));
  const std::string assertion(form.Get("assertion"));
  const std::vector<std::string> parts = absl::StrSplit(assertion, '.');
  REQUIRE(parts.size() == 3);
  const auto header = nlohmann::json::parse(Decoded(parts[0]));
  CHECK(header ==
        nlohmann::json({{"alg", "RS384"}, {"typ", "JWT"}, {"kid", "k1"}}));
  auto claims = nlohmann::json::parse(Decoded(parts[1]));
  CHECK(claims.at("jti").get<std::string>().size() == 32);
  claims.erase("jti");
  CHECK(claims == nlohmann::json({{"iss", "me"},
                                  {"sub", "me"},
                                  {"aud", "http://t/"},
                                  {"iat", 1000},
                                  {"exp", 1600},
                                  {"scope", "a b"},
                                  {"n", 5},
                                  {"s", "x"}}));
  BIO* bio = BIO_new_mem_buf(identity.key.data(),
                             static_cast<int>(identity.key.size()));
  EVP_PKEY* key = PEM_read_bio_PrivateKey(bio, nullptr, nullptr, nullptr);
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  const std::string text = parts[0] + "." + parts[1];
  const std::string signature = Decoded(parts[2]);
  REQUIRE(EVP_DigestVerifyInit(context, nullptr, EVP_sha384(), nullptr, key) ==
          1);
  CHECK(EVP_DigestVerify(
            context, reinterpret_cast<const unsigned char*>(signature.data()),
            signature.size(),
            reinterpret_cast<const unsigned char*>(text.data()),
            text.size()) == 1);
  EVP_MD_CTX_free(context);
  EVP_PKEY_free(key);
  BIO_free(bio);

  CHECK(TokenRequest(config, "no key", ClientAuthStyle::kHeader, 1000)
            .status()
            .message() ==
        "invalid key: Key must be a PEM encoded PKCS1 or PKCS8 key");
}

}  // namespace
}  // namespace narthex::http
