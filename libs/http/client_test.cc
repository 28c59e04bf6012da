#include "libs/http/client.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <zstd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/base/file.h"
#include "libs/http/fake_socket.h"
#include "libs/http/gzip.h"
#include "libs/http/server.h"

namespace narthex::http {

namespace {

struct Site {
  Site() {
    auto started = Server::Start({}, router, base::Logger::Discard());
    REQUIRE(started.ok());
    server = std::move(*started);
  }
  std::string Url(absl::string_view path) const {
    return absl::StrCat("http://", server->address(), path);
  }
  Router router;
  std::unique_ptr<Server> server;
};

void EchoHeaders(const Request& request, Response& response) {
  for (const auto& [name, value] : request.headers.fields()) {
    absl::StrAppend(&response.body(), name, ": ", value, "\n");
  }
}

}  // namespace

TEST_CASE("a body in zstd is decoded as one in gzip, up to the limit") {
  const std::string text(4'000'000, 'x');
  std::string packed(ZSTD_compressBound(text.size()), '\0');
  packed.resize(
      ZSTD_compress(packed.data(), packed.size(), text.data(), text.size(), 1));
  Site site;
  site.router.Get("/z", [&](const Request&, Response& response) {
    response.headers().Set("Content-Encoding", "zstd");
    response.Send(200, "text/plain", packed);
  });
  site.router.Get("/torn", [&](const Request&, Response& response) {
    response.headers().Set("Content-Encoding", "zstd");
    response.Send(200, "text/plain", "no zstd at all");
  });
  Client client;
  std::string body;
  CHECK(client.Fetch({.url = site.Url("/z")}, &body).status.ok());
  CHECK(body == text);
  const auto bomb =
      client.Fetch({.url = site.Url("/z"), .max_body_bytes = 1'000'000}, &body);
  CHECK(absl::IsResourceExhausted(bomb.status));
  CHECK(body.size() <= 1'000'000);
  CHECK_FALSE(client.Fetch({.url = site.Url("/torn")}, &body).status.ok());
}

TEST_CASE("a packed body that was cut is an error, asked for or not") {
  std::string packed;
  GzipStream stream;
  stream.Add("a 1\n", /*last=*/false, &packed);
  stream.Add("b 2\n", /*last=*/true, &packed);
  Site site;
  std::string sent;
  int code = 200;
  site.router.Get("/", [&](const Request&, Response& response) {
    response.headers().Set("Content-Encoding", "gzip");
    response.Send(code, "text/plain", sent);
  });
  Client client;
  for (const bool asked : {true, false}) {
    for (const bool direct : {true, false}) {
      // Only one of the two ways knows passwords.
      auto config = std::make_shared<ClientConfig>();
      if (!direct) config->basic_auth.emplace().username = "alice";
      const FetchRequest request{
          .url = site.Url("/"), .config = config, .accept_gzip = asked};
      std::string body;
      sent = packed;
      CHECK(client.Fetch(request, &body).status.ok());
      CHECK(body == "a 1\nb 2\n");
      for (std::size_t cut = 1; cut < packed.size(); ++cut) {
        sent = packed.substr(0, cut);
        const auto result = client.Fetch(request, &body);
        CHECK(result.status.message() == "unexpected EOF");
        CHECK(body.empty());
      }
      code = 500;
      const auto page = client.Fetch(request, &body);
      CHECK(page.status.ok());
      CHECK(page.code == 500);
      code = 200;
    }
  }
}

TEST_CASE("a body that is large when unpacked can be left packed") {
  const std::string text(1'000'000, 'x');
  Site site;
  std::string sent;
  std::string encoding;
  site.router.Get("/", [&](const Request&, Response& response) {
    response.headers().Set("Content-Encoding", encoding);
    response.Send(200, "text/plain", sent);
  });
  std::string zipped;
  GzipCompress(text, &zipped);
  std::string two = zipped;  // The end tells of the second only.
  GzipCompress("y", &two);
  std::string zstd(ZSTD_compressBound(text.size()), '\0');
  zstd.resize(
      ZSTD_compress(zstd.data(), zstd.size(), text.data(), text.size(), 1));
  const struct {
    std::string encoding;
    std::string sent;
  } kRows[] = {{"gzip", zipped}, {"gzip", two}, {"zstd", zstd}};
  Client client;
  for (const auto& row : kRows) {
    sent = row.sent;
    encoding = row.encoding;
    for (const bool direct : {true, false}) {
      auto config = std::make_shared<ClientConfig>();
      if (!direct) config->basic_auth.emplace().username = "alice";
      std::promise<void> done;
      client.Fetch({.url = site.Url("/"),
                    .config = config,
                    .most_decoded_bytes = 999'999},
                   [&](FetchResult result, ReceivedBody& body) {
                     CHECK(result.status.ok());
                     CHECK(result.packed == row.encoding);
                     CHECK(body.view() == row.sent);
                     done.set_value();
                   });
      done.get_future().wait();
    }
  }
  encoding = "zstd";
  const auto result = client.Fetch(
      {.url = site.Url("/"), .most_decoded_bytes = 1'000'000}, &sent);
  CHECK(result.packed.empty());
}

TEST_CASE("a fetch brings status, headers and body") {
  Site site;
  site.router.Post("/a", [](const Request& request, Response& response) {
    response.headers().Set("X-Answer", "yes");
    response.Send(201, "text/plain", request.body + "!");
  });
  Client client;
  std::string body = "old";
  const auto result = client.Fetch({.url = site.Url("/a"),
                                    .method = "POST",
                                    .headers = {{"Content-Type", "text/plain"}},
                                    .body = "hello"},
                                   &body);
  CHECK(result.status.ok());
  CHECK(result.code == 201);
  CHECK(result.headers.Get("x-answer") == "yes");
  CHECK(body == "hello!");
}

TEST_CASE("many fetches run at once over one client") {
  Site site;
  site.router.Get("/{n}", [](const Request& request, Response& response) {
    response.body() = request.path;
  });
  Client client;
  constexpr int kCount = 300;
  std::vector<std::string> bodies(kCount);
  std::atomic<int> left{kCount};
  std::promise<void> done;
  for (int i = 0; i < kCount; ++i) {
    client.Fetch({.url = site.Url(absl::StrCat("/", i))},
                 &bodies[static_cast<std::size_t>(i)], [&](const FetchResult&) {
                   if (--left == 0) done.set_value();
                 });
  }
  done.get_future().wait();
  for (int i = 0; i < kCount; ++i) {
    CHECK(bodies[static_cast<std::size_t>(i)] == absl::StrCat("/", i));
  }
}

TEST_CASE("failures are worded as on a targets page") {
  Client client;
  std::string body;
  SECTION("nobody listens") {
    int port = 0;
    {
      Site site;
      port = site.server->port();
    }
    const std::string url = absl::StrCat("http://127.0.0.1:", port, "/m");
    const auto result = client.Fetch({.url = url}, &body);
    CHECK(absl::IsUnavailable(result.status));
    CHECK(result.status.message() ==
          absl::StrCat("Get \"", url, "\": dial tcp 127.0.0.1:", port,
                       ": connect: connection refused"));
  }
  SECTION("the server is too slow") {
    std::promise<void> release;
    Site site;
    site.router.Get(
        "/", [&](const Request&, Response&) { release.get_future().wait(); });
    const auto result =
        client.Fetch({.url = site.Url("/"), .timeout_ms = 30}, &body);
    CHECK(absl::IsDeadlineExceeded(result.status));
    CHECK(
        result.status.message() ==
        absl::StrCat("Get \"", site.Url("/"), "\": context deadline exceeded"));
    release.set_value();
  }
  SECTION("the body is too large") {
    Site site;
    site.router.Get("/", [&](const Request&, Response& response) {
      response.Send(200, "text/plain", std::string(5000, 'x'));
    });
    const auto result =
        client.Fetch({.url = site.Url("/"), .max_body_bytes = 4999}, &body);
    CHECK(absl::IsResourceExhausted(result.status));
    CHECK(result.status.message() == "body size limit exceeded");
    CHECK(client.Fetch({.url = site.Url("/"), .max_body_bytes = 5000}, &body)
              .status.ok());
  }
  SECTION("the server speaks no TLS") {
    Site site;
    const auto result = client.Fetch(
        {.url = absl::StrCat("https://", site.server->address())}, &body);
    CHECK(absl::EndsWith(result.status.message(),
                         "http: server gave HTTP response to HTTPS client"));
  }
  SECTION("the scheme is unknown") {
    const auto result = client.Fetch({.url = "ftp://a/b"}, &body);
    CHECK(result.status.message() ==
          "Get \"ftp://a/b\": unsupported protocol scheme \"ftp\"");
  }
}

TEST_CASE("credentials are sent, from text or from a file") {
  Site site;
  site.router.Get("/", EchoHeaders);
  Client client;
  base::TemporaryDirectory directory;
  const std::string file = directory.path() + "/token";
  REQUIRE(base::WriteFileAtomically(file, "s3cret\n").ok());
  struct Row {
    ClientConfig config;
    const char* expected;
  };
  std::vector<Row> rows(4);
  rows[0].config.basic_auth.emplace();
  rows[0].config.basic_auth->username = "u";
  rows[0].config.basic_auth->password = "p";
  rows[0].expected = "Authorization: Basic dTpw\n";
  rows[1].config.authorization = {"Bearer", "", file};
  rows[1].expected = "Authorization: Bearer s3cret\n";
  rows[2].config.authorization = {"Token", "k", ""};
  rows[2].expected = "Authorization: Token k\n";
  rows[3].config.http_headers["X-Scope"].values = {"a"};
  rows[3].expected = "X-Scope: a\n";
  for (const Row& row : rows) {
    INFO(row.expected);
    std::string body;
    CHECK(client
              .Fetch({.url = site.Url("/"),
                      .config = std::make_shared<ClientConfig>(row.config)},
                     &body)
              .status.ok());
    CHECK(absl::StrContains(body, row.expected));
  }
}

TEST_CASE("a secret file that is missing fails the fetch with its name") {
  Client client;
  auto config = std::make_shared<ClientConfig>();
  config->authorization = {"Bearer", "", "/nonexistent/token"};
  std::string body;
  const auto result =
      client.Fetch({.url = "http://127.0.0.1:1/", .config = config}, &body);
  CHECK(result.status.message() ==
        "Get \"http://127.0.0.1:1/\": unable to read authorization "
        "credentials: unable to read file /nonexistent/token: open "
        "/nonexistent/token: no such file or directory");
}

TEST_CASE("redirects are followed, without secrets to another host") {
  Site site;
  Site other;
  other.router.Get("/", EchoHeaders);
  site.router.Get("/", EchoHeaders);
  site.router.Get("/near", [](const Request&, Response& response) {
    response.Redirect("/");
  });
  site.router.Handle(
      "GET POST", "/far", [&](const Request&, Response& response) {
        // The same machine under another name.
        response.Redirect(
            absl::StrCat("http://localhost:", other.server->port(), "/"));
      });
  site.router.Get("/loop", [](const Request&, Response& response) {
    response.Redirect("/loop");
  });
  Client client;
  auto config = std::make_shared<ClientConfig>();
  config->authorization = {"Bearer", "s3cret", ""};
  config->http_headers["X-Scope"].values = {"a"};
  std::string body;

  auto result =
      client.Fetch({.url = site.Url("/near"), .config = config}, &body);
  CHECK(result.effective_url == site.Url("/"));
  CHECK(absl::StrContains(body, "s3cret"));
  CHECK(absl::StrContains(body, "X-Scope"));

  result = client.Fetch({.url = site.Url("/far"),
                         .method = "POST",
                         .body = "x",
                         .config = config},
                        &body);
  CHECK(result.code == 200);
  CHECK_FALSE(absl::StrContains(body, "s3cret"));
  CHECK_FALSE(absl::StrContains(body, "X-Scope"));

  result = client.Fetch({.url = site.Url("/loop"), .config = config}, &body);
  CHECK(absl::EndsWith(result.status.message(), "stopped after 10 redirects"));

  auto stay = std::make_shared<ClientConfig>();
  stay->follow_redirects = false;
  result = client.Fetch({.url = site.Url("/near"), .config = stay}, &body);
  CHECK(result.code == 302);
}

TEST_CASE("a cancelled fetch reports so, and so does the end of the client") {
  std::promise<void> release;
  const std::shared_future<void> released = release.get_future().share();
  Site site;
  site.router.Get("/", [&](const Request&, Response&) { released.wait(); });
  std::promise<absl::Status> first;
  std::promise<absl::Status> second;
  std::string first_body;
  std::string second_body;
  {
    Client client;
    const auto id = client.Fetch(
        {.url = site.Url("/")}, &first_body,
        [&](const FetchResult& result) { first.set_value(result.status); });
    client.Cancel(id);
    CHECK(absl::IsCancelled(first.get_future().get()));
    client.Fetch(
        {.url = site.Url("/")}, &second_body,
        [&](const FetchResult& result) { second.set_value(result.status); });
  }
  CHECK(absl::IsCancelled(second.get_future().get()));
  release.set_value();
}

TEST_CASE("header files and several values are sent, and read at each use") {
  Site site;
  site.router.Get("/", EchoHeaders);
  Client client;
  base::TemporaryDirectory directory;
  auto config = std::make_shared<ClientConfig>();
  config->http_headers["X-Many"].values = {"a", ""};
  config->http_headers["X-Many"].secrets = {"b"};
  config->http_headers["X-File"].files = {directory.path() + "/h"};
  std::string body;
  const auto fetch = [&] {
    return client.Fetch({.url = site.Url("/"), .config = config}, &body).status;
  };
  CHECK_THAT(std::string(fetch().message()),
             Catch::Contains("unable to read headers file " +
                             config->http_headers["X-File"].files[0]));
  for (const std::string value : {"one", "two"}) {
    REQUIRE(
        base::WriteFileAtomically(directory.path() + "/h", value + "\n").ok());
    CHECK(fetch().ok());
    CHECK_THAT(body, Catch::Contains("X-File: " + value + "\n"));
  }
  CHECK_THAT(body, Catch::Contains("X-Many: a\nX-Many: \nX-Many: b\n"));
}

TEST_CASE("a request's own Authorization wins over the configuration") {
  Site site;
  site.router.Get("/", EchoHeaders);
  Client client;
  auto config = std::make_shared<ClientConfig>();
  config->authorization = {"Bearer", "configured", ""};
  std::string body;
  CHECK(client
            .Fetch({.url = site.Url("/"),
                    .headers = {{"Authorization", "Own x"}},
                    .config = config},
                   &body)
            .status.ok());
  CHECK_THAT(body, Catch::Contains("Authorization: Own x\n"));
  CHECK_THAT(body, !Catch::Contains("configured"));
}

TEST_CASE("credentials stay away once a redirect has left the host") {
  Site near;
  Site far;
  near.router.Get("/", EchoHeaders);
  far.router.Get("/", EchoHeaders);
  const auto port = [](const Site& site) { return site.server->port(); };
  near.router.Get("/port", [&](const Request&, Response& response) {
    response.Redirect(far.Url("/"));
  });
  near.router.Get("/there-and-back", [&](const Request&, Response& response) {
    response.Redirect(absl::StrCat("http://localhost:", port(far), "/back"));
  });
  far.router.Get("/back", [&](const Request&, Response& response) {
    response.Redirect(near.Url("/"));
  });
  Client client;
  auto config = std::make_shared<ClientConfig>();
  config->basic_auth = BasicAuth{"u", "", "p", ""};
  std::string body;
  client.Fetch({.url = near.Url("/port"), .config = config}, &body);
  CHECK_THAT(body, Catch::Contains("Basic"));
  client.Fetch({.url = near.Url("/there-and-back"),
                .headers = {{"Cookie", "c"}, {"X-Plain", "x"}},
                .config = config},
               &body);
  CHECK_THAT(body, Catch::Contains("X-Plain"));
  CHECK_THAT(body, !Catch::Contains("Basic") && !Catch::Contains("Cookie"));
}

TEST_CASE("a body may be taken piece by piece") {
  std::promise<void> taken;
  Site site;
  site.router.Get("/", [&](const Request&, Response& response) {
    CHECK(response.Write("first").ok());
    taken.get_future().wait();
    CHECK(response.Write("second").ok());
  });
  Client client;
  std::string pieces;
  std::string body;
  const auto result = client.Fetch({.url = site.Url("/"),
                                    .accept_gzip = false,
                                    .on_body =
                                        [&](absl::string_view piece) {
                                          if (pieces.empty()) taken.set_value();
                                          absl::StrAppend(&pieces, piece, ";");
                                        }},
                                   &body);
  CHECK(result.status.ok());
  CHECK(pieces == "first;second;");
  CHECK(body.empty());
}

TEST_CASE("a Unix socket stands in for the host") {
  const base::TemporaryDirectory directory;
  const std::string path = directory.path() + "/s";
  const base::UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  REQUIRE(::bind(listener.get(), reinterpret_cast<sockaddr*>(&address),
                 sizeof(address)) == 0);
  Client client;
  std::string body;
  const auto fetch = [&] {
    return client.Fetch({.url = "http://docker/info", .unix_socket = path},
                        &body);
  };
  CHECK(fetch().status.message() == "Get \"http://docker/info\": dial unix " +
                                        path + ": connect: connection refused");
  REQUIRE(::listen(listener.get(), 1) == 0);
  std::thread server([&] {
    const base::UniqueFd fd(::accept(listener.get(), nullptr, nullptr));
    CHECK_THAT(ReadHead(fd.get()), Catch::Contains("Host: docker\r\n"));
    SendAll(fd.get(), "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  });
  CHECK(fetch().status.ok());
  server.join();
  CHECK(body == "ok");
}

TEST_CASE("an IPv6 address is a host like any other") {
  Router router;
  router.Get("/", EchoHeaders);
  const auto server =
      Server::Start({.address = "[::1]:0"}, router, base::Logger::Discard());
  if (!server.ok()) {
    WARN("no IPv6 here: " << server.status());
    return;
  }
  Client client;
  std::string body;
  const auto url = absl::StrCat("http://", (*server)->address(), "/");
  CHECK(client.Fetch({.url = url}, &body).status.ok());
  CHECK_THAT(body, Catch::Contains("Host: [::1]:"));
}

}  // namespace narthex::http
