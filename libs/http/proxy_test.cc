#include "libs/http/proxy.h"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "libs/http/client.h"
#include "libs/http/fake_socket.h"
#include "libs/http/self_signed.h"
#include "libs/http/server.h"
#include "libs/http/url.h"

namespace narthex::http {
namespace {

TEST_CASE("exceptions from the proxy are hosts, domains, networks and ports") {
  struct Row {
    const char* no_proxy;
    const char* host;
    int port;
    bool expected;
  };
  const Row rows[] = {
      {"", "a.example", 80, false},
      {"", "localhost", 80, true},
      {"", "127.3.2.1", 80, true},
      {"", "::1", 80, true},
      {"*", "a.example", 80, true},
      {"example", "example", 80, true},
      {"example", "a.example", 80, true},
      {"example", "anexample", 80, false},
      {".example", "example", 80, false},
      {".example", "a.example", 80, true},
      {"*.example", "a.example", 80, true},
      {"*.example", "example", 80, false},
      {"x, EXAMPLE ,y", "example", 80, true},
      {"example:8080", "example", 80, false},
      {"example:8080", "example", 8080, true},
      {":80", "example", 80, false},
      {"10.0.0.0/8", "10.2.3.4", 80, true},
      {"10.0.0.0/8", "11.2.3.4", 80, false},
      {"10.0.0.0/8", "example", 80, false},
      {"10.1.2.3", "10.1.2.3", 80, true},
      {"10.1.2.3:81", "10.1.2.3", 80, false},
      {"2001:db8::/32", "2001:db8::5", 80, true},
      {"2001:db8::/32", "2001:db9::5", 80, false},
      {"[2001:db8::5]:80", "2001:db8::5", 80, true},
      {"2001:db8:0::5", "2001:db8::5", 80, true},
      {"10.0.0.0/99", "10.0.0.1", 80, false},
  };
  for (const Row& row : rows) {
    INFO(row.no_proxy << " " << row.host << ":" << row.port);
    CHECK(IsProxyException(row.no_proxy, row.host, row.port) == row.expected);
  }
}

TEST_CASE("a proxy without exceptions is asked for this machine too") {
  ProxyConfig config;
  CHECK(ProxyFor(config, "http://127.0.0.1/").empty());
  config.proxy_url = "http://proxy:1";
  CHECK(ProxyFor(config, "http://127.0.0.1/") == "http://proxy:1");
  config.no_proxy = "example";
  CHECK(ProxyFor(config, "http://127.0.0.1/").empty());
  CHECK(ProxyFor(config, "https://a.example:8443/").empty());
  CHECK(ProxyFor(config, "https://[2001:db8::1]:8443/") == "http://proxy:1");
}

TEST_CASE("a proxy is taken from the environment by scheme") {
  for (const char* name : {"http_proxy", "https_proxy", "no_proxy"}) {
    unsetenv(name);
  }
  setenv("HTTP_PROXY", "plain:1", 1);
  setenv("HTTPS_PROXY", "http://secure:1", 1);
  setenv("NO_PROXY", "example", 1);
  ProxyConfig config;
  CHECK(ProxyFor(config, "http://a/").empty());
  config.proxy_from_environment = true;
  CHECK(ProxyFor(config, "http://a/") == "http://plain:1");
  CHECK(ProxyFor(config, "https://a/") == "http://secure:1");
  CHECK(ProxyFor(config, "https://b.example/").empty());
  for (const char* name : {"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"}) {
    unsetenv(name);
  }
}

/// A proxy that keeps the head of the last request and answers or tunnels.
class FakeProxy {
 public:
  /// The answer to CONNECT when it is no tunnel.
  std::string refusal;

  std::string url() const { return absl::StrCat("http://", socket_.address()); }
  std::string head() {
    base::MutexLock lock(mutex_);
    return head_;
  }

 private:
  void Serve(int fd) {
    const std::string head = ReadHead(fd);
    {
      base::MutexLock lock(mutex_);
      head_ = head;
    }
    if (!absl::StartsWith(head, "CONNECT ")) {
      SendAll(fd, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nvia proxy");
    } else if (!refusal.empty()) {
      SendAll(fd, refusal);
    } else {
      // "CONNECT host:port HTTP/1.1"
      const std::size_t colon = head.find(':');
      int port = 0;
      REQUIRE(absl::SimpleAtoi(
          head.substr(colon + 1, head.find(' ', colon) - colon - 1), &port));
      const base::UniqueFd to = Connect(port);
      SendAll(fd, "HTTP/1.1 200 OK\r\n\r\n");
      Relay(fd, to.get());
    }
  }

  base::Mutex mutex_;
  std::string head_ ABSL_GUARDED_BY(mutex_);
  FakeSocket socket_{[this](int fd) { Serve(fd); }};
};

FetchResult Fetch(Client& client, const std::string& url,
                  const ClientConfig& config, std::string* body) {
  return client.Fetch(
      {.url = url, .config = std::make_shared<const ClientConfig>(config)},
      body);
}

TEST_CASE("a plain request goes to the proxy in full, without its headers") {
  FakeProxy proxy;
  Client client;
  ClientConfig config;
  config.proxy.proxy_url = proxy.url();
  config.proxy.proxy_connect_header["X-Proxy"] = {"secret"};
  std::string body;
  const auto result =
      Fetch(client, "http://service.invalid:8080/metrics", config, &body);
  CHECK(result.status.ok());
  CHECK(body == "via proxy");
  CHECK(absl::StartsWith(
      proxy.head(), "GET http://service.invalid:8080/metrics HTTP/1.1\r\n"));
  CHECK_FALSE(absl::StrContains(proxy.head(), "X-Proxy"));
}

TEST_CASE("TLS is tunnelled, and only the proxy sees what is meant for it") {
  const SelfSigned identity;
  Router router;
  router.Get("/", [](const Request& request, Response& response) {
    CHECK_FALSE(request.headers.Has("X-Proxy"));
    CHECK(request.headers.Get("Authorization") == "Bearer t");
    response.Send(200, "text/plain", "inside");
  });
  ServerOptions options;
  auto tls = std::make_shared<ServerTls>();
  tls->cert_file = identity.cert_file;
  tls->key_file = identity.key_file;
  options.tls = tls;
  const auto server = Server::Start(options, router, base::Logger::Discard());
  REQUIRE(server.ok());
  FakeProxy proxy;
  Client client;
  ClientConfig config;
  config.tls.ca = identity.cert;
  config.tls.server_name = kTestName;
  config.authorization = {"Bearer", "t", ""};
  config.proxy.proxy_url =
      absl::StrCat("http://u:p@", absl::string_view(proxy.url()).substr(7));
  config.proxy.proxy_connect_header["X-Proxy"] = {"a", "b"};
  std::string body;
  const auto url = absl::StrCat("https://", (*server)->address(), "/");
  const auto result = Fetch(client, url, config, &body);
  CHECK(result.status.ok());
  CHECK(body == "inside");
  const std::string head = proxy.head();
  CHECK(absl::StartsWith(head,
                         absl::StrCat("CONNECT ", (*server)->address(), " ")));
  CHECK(absl::StrContains(head, "X-Proxy: a\r\nX-Proxy: b\r\n"));
  CHECK(absl::StrContains(head, "Proxy-Authorization: Basic dTpw\r\n"));
  CHECK_FALSE(absl::StrContains(head, "Bearer"));

  // Those who do not have the headers do not get the tunnel.
  config.proxy.proxy_connect_header.clear();
  CHECK(Fetch(client, url, config, &body).status.ok());
  CHECK(absl::StartsWith(proxy.head(), "CONNECT "));
  CHECK_FALSE(absl::StrContains(proxy.head(), "X-Proxy"));
}

TEST_CASE("a proxy that refuses or is away is told apart from the target") {
  Client client;
  ClientConfig config;
  std::string body;
  int closed_port = 0;
  {
    FakeProxy proxy;
    proxy.refusal =
        "HTTP/1.1 407 Proxy Authentication Required\r\n"
        "Content-Length: 0\r\n\r\n";
    config.proxy.proxy_url = proxy.url();
    closed_port = UrlPort(proxy.url());
    CHECK(Fetch(client, "https://a.invalid/", config, &body).status.message() ==
          "Get \"https://a.invalid/\": Proxy Authentication Required");
  }
  CHECK(Fetch(client, "http://a.invalid/", config, &body).status.message() ==
        absl::StrCat("Get \"http://a.invalid/\": proxyconnect tcp: dial tcp "
                     "127.0.0.1:",
                     closed_port, ": connect: connection refused"));
}

}  // namespace
}  // namespace narthex::http
