// Fetches that take the short way, and those that only begin on it.
#include <atomic>
#include <catch2/catch.hpp>
#include <future>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/http/client.h"
#include "libs/http/fake_socket.h"
#include "libs/http/gzip.h"
#include "libs/http/server.h"

namespace narthex::http {
namespace {

struct Answer {
  FetchResult result;
  std::string body;
};

Answer Ask(Client& client, FetchRequest request) {
  if (request.timeout_ms == 0) request.timeout_ms = 5'000;
  std::promise<Answer> promise;
  client.Fetch(std::move(request), [&](FetchResult result, ReceivedBody& body) {
    promise.set_value({std::move(result), std::string(body.view())});
  });
  return promise.get_future().get();
}

// Says `answer` to every request; counts requests and connections.
struct Echo {
  explicit Echo(std::string text, bool hang_up = false)
      : socket([this, text = std::move(text), hang_up](int fd) {
          ++connections;
          for (std::string head = ReadHead(fd); !head.empty();
               head = ReadHead(fd)) {
            last = head;
            ++requests;
            SendAll(fd, text);
            if (hang_up) return;
          }
        }) {}
  std::string Url(absl::string_view path = "/metrics") const {
    return absl::StrCat("http://", socket.address(), path);
  }
  std::atomic<int> connections{0};
  std::atomic<int> requests{0};
  std::string last;
  FakeSocket socket;
};

std::string WithLength(const std::string& body,
                       const std::string& fields = "") {
  return absl::StrCat("HTTP/1.1 200 OK\r\n", fields,
                      "Content-Length: ", body.size(), "\r\n\r\n", body);
}

}  // namespace

TEST_CASE("a connection is kept for the next request") {
  const Echo echo(WithLength("a 1\n", "Content-Type: text/plain\r\n"));
  Client client({.user_agent = "agent"});
  for (int i = 0; i < 3; ++i) {
    const Answer answer =
        Ask(client, {.url = echo.Url("/m?x=1"), .headers = {{"Accept", "b"}}});
    REQUIRE(answer.result.status.ok());
    CHECK(answer.result.code == 200);
    CHECK(answer.result.headers.Get("content-type") == "text/plain");
    CHECK(answer.result.wire_bytes == 4);
    CHECK(answer.body == "a 1\n");
  }
  CHECK(echo.connections == 1);
  CHECK(echo.last ==
        absl::StrCat("GET /m?x=1 HTTP/1.1\r\nHost: ", echo.socket.address(),
                     "\r\nUser-Agent: agent\r\n"
                     "Accept-Encoding: gzip\r\nAccept: b\r\n\r\n"));
}

TEST_CASE("a body may be moved away with its buffer") {
  const std::string text(300'000, 'x');
  const Echo echo(WithLength(text));
  Client client;
  for (int i = 0; i < 3; ++i) {
    std::promise<ReceivedBody> promise;
    client.Fetch({.url = echo.Url(), .timeout_ms = 5'000},
                 [&](const FetchResult&, ReceivedBody& body) {
                   promise.set_value(std::move(body));
                 });
    CHECK(promise.get_future().get().view() == text);
  }
}

TEST_CASE("chunks and gzip are decoded") {
  std::string zipped;
  GzipCompress("hello world", &zipped);
  const std::string text = absl::StrCat(
      "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n"
      "Transfer-Encoding: chunked\r\n\r\n5\r\n",
      zipped.substr(0, 5), "\r\n", absl::Hex(zipped.size() - 5), "\r\n",
      zipped.substr(5), "\r\n0\r\n\r\n");
  const Echo echo(text);
  Client client;
  const Answer answer = Ask(client, {.url = echo.Url()});
  CHECK(answer.body == "hello world");
  CHECK(answer.result.wire_bytes == static_cast<std::int64_t>(zipped.size()));
  CHECK(echo.requests == 1);
  SECTION("up to the limit") {
    CHECK(Ask(client, {.url = echo.Url(), .max_body_bytes = 10})
              .result.status.message() == "body size limit exceeded");
  }
}

TEST_CASE("an answer without a length goes on to the end of the connection") {
  const std::string body(300'000, 'x');
  const Echo echo("HTTP/1.0 200 OK\r\n\r\n" + body, /*hang_up=*/true);
  Client client;
  for (int i = 1; i <= 3; ++i) {
    const Answer answer = Ask(
        client, {.url = echo.Url(), .expected_bytes = i == 1 ? 0 : 300'000});
    CHECK(answer.result.status.ok());
    CHECK(answer.body == body);
    CHECK(echo.requests == i);
  }
  CHECK(Ask(client, {.url = echo.Url(), .max_body_bytes = 1'000})
            .result.status.message() == "body size limit exceeded");
}

TEST_CASE("an answer that is shorter than expected is not waited for") {
  const Echo echo(WithLength("short"));
  Client client;
  for (int i = 0; i < 2; ++i) {
    const Answer answer =
        Ask(client, {.url = echo.Url(), .expected_bytes = 1'000'000});
    CHECK(answer.body == "short");
    CHECK(answer.result.seconds < 2);
  }
}

TEST_CASE("a kept connection that was closed meanwhile is no error") {
  const Echo echo(WithLength("a 1\n"), /*hang_up=*/true);
  Client client;
  for (int i = 0; i < 5; ++i) {
    const Answer answer = Ask(client, {.url = echo.Url()});
    CHECK(answer.result.status.ok());
    CHECK(answer.body == "a 1\n");
  }
}

TEST_CASE("failures on the short way are worded as on a targets page") {
  Client client;
  SECTION("nobody listens") {
    int port = 0;
    { port = Echo("").socket.port(); }
    const std::string url = absl::StrCat("http://127.0.0.1:", port, "/m");
    const Answer answer = Ask(client, {.url = url});
    CHECK(absl::IsUnavailable(answer.result.status));
    CHECK(answer.result.status.message() ==
          absl::StrCat("Get \"", url, "\": dial tcp 127.0.0.1:", port,
                       ": connect: connection refused"));
  }
  SECTION("nobody listens at a name") {
    int port = 0;
    { port = Echo("").socket.port(); }
    const std::string url = absl::StrCat("http://localhost:", port, "/m");
    const std::string message(
        Ask(client, {.url = url}).result.status.message());
    const std::string begin = absl::StrCat("Get \"", url, "\": dial tcp ");
    const std::string end =
        absl::StrCat(":", port, ": connect: connection refused");
    CHECK((message == absl::StrCat(begin, "127.0.0.1", end) ||
           message == absl::StrCat(begin, "[::1]", end)));
  }
  SECTION("the port is none") {
    for (const char* host : {"127.0.0.1", "localhost", "[::1]"}) {
      const std::string large = absl::StrCat("http://", host, ":99999/m");
      CHECK(Ask(client, {.url = large}).result.status.message() ==
            absl::StrCat("Get \"", large,
                         "\": dial tcp: address 99999: invalid port"));
      for (const char* port : {":http", ":-1"}) {
        const std::string url = absl::StrCat("http://", host, port, "/m");
        CHECK(Ask(client, {.url = url}).result.status.message() ==
              absl::StrCat("parse \"", url, "\": invalid port \"", port,
                           "\" after host"));
      }
    }
  }
  SECTION("no answer in time") {
    const Echo echo("");
    const Answer answer = Ask(client, {.url = echo.Url(), .timeout_ms = 30});
    CHECK(absl::IsDeadlineExceeded(answer.result.status));
    CHECK(answer.result.status.message() ==
          absl::StrCat("Get \"", echo.Url(), "\": context deadline exceeded"));
  }
  SECTION("half an answer in time") {
    const Echo echo("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab");
    const Answer answer = Ask(client, {.url = echo.Url(), .timeout_ms = 30});
    CHECK(absl::IsDeadlineExceeded(answer.result.status));
    CHECK(answer.result.status.message() == "context deadline exceeded");
  }
  SECTION("half an answer") {
    const Echo echo("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", true);
    const Answer answer = Ask(client, {.url = echo.Url()});
    CHECK(answer.result.status.message() == "unexpected EOF");
  }
  SECTION("the body is too large") {
    const Echo echo(WithLength("hello"));
    const Answer answer = Ask(client, {.url = echo.Url(), .max_body_bytes = 4});
    CHECK(absl::IsResourceExhausted(answer.result.status));
    CHECK(answer.result.status.message() == "body size limit exceeded");
  }
  SECTION("no HTTP") {
    const Echo echo("SSH-2.0-OpenSSH\r\n\r\n", true);
    const Answer answer = Ask(client, {.url = echo.Url()});
    CHECK_FALSE(answer.result.status.ok());
  }
}

TEST_CASE("what is out of the ordinary takes the long way from then on") {
  SECTION("a framing that is not understood") {
    const Echo echo(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        "4\r\na 1\n\r\n0\r\nTrailer: x\r\n\r\n");
    Client client;
    for (int i = 1; i <= 3; ++i) {
      CHECK(Ask(client, {.url = echo.Url()}).body == "a 1\n");
      CHECK(echo.requests == i + 1);
    }
  }
  SECTION("a redirect") {
    const Echo target(WithLength("there"));
    const Echo echo(
        absl::StrCat("HTTP/1.1 302 Found\r\nLocation: ", target.Url("/other"),
                     "\r\nContent-Length: 0\r\n\r\n"));
    Client client;
    const Answer answer = Ask(client, {.url = echo.Url()});
    CHECK(answer.body == "there");
    CHECK(answer.result.effective_url == target.Url("/other"));
  }
}

TEST_CASE("a redirect that is not to be followed is an answer") {
  const Echo echo(
      "HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n");
  auto config = std::make_shared<ClientConfig>();
  config->follow_redirects = false;
  Client client;
  const Answer answer = Ask(client, {.url = echo.Url(), .config = config});
  CHECK(answer.result.status.ok());
  CHECK(answer.result.code == 302);
}

TEST_CASE("the address of a name is learnt from the long way") {
  const Echo echo(WithLength("a 1\n"));
  const std::string url =
      absl::StrCat("http://localhost:", echo.socket.port(), "/metrics");
  Client client;
  for (int i = 0; i < 4; ++i) CHECK(Ask(client, {.url = url}).body == "a 1\n");
  CHECK(echo.connections == 2);
  CHECK(absl::StrContains(echo.last, "\r\nHost: localhost:"));
}

TEST_CASE("requests with secrets or to odd places take the long way") {
  const Echo echo(WithLength("a 1\n"));
  Client client;
  auto config = std::make_shared<ClientConfig>();
  config->basic_auth.emplace();
  config->basic_auth->username = "u";
  config->basic_auth->password = "p";
  CHECK(Ask(client, {.url = echo.Url(), .config = config}).body == "a 1\n");
  CHECK(absl::StrContains(echo.last, "Authorization: Basic dTpw\r\n"));
  CHECK(Ask(client, {.url = echo.Url("/a/../b")}).body == "a 1\n");
  CHECK(absl::StrContains(echo.last, "GET /b HTTP"));
}

TEST_CASE("many requests run at once on the short way") {
  Router router;
  router.Get("/{n}", [](const Request& request, Response& response) {
    response.body() = request.path + std::string(100'000, '.');
  });
  const auto server =
      Server::Start({}, router, base::Logger::Discard()).value();
  Client client({.max_idle_connections = 20});
  constexpr int kCount = 300;
  std::atomic<int> good{0};
  std::atomic<int> left{kCount};
  std::promise<void> done;
  for (int i = 0; i < kCount; ++i) {
    client.Fetch(
        {.url = absl::StrCat("http://", server->address(), "/", i),
         .timeout_ms = 20'000,
         .expected_bytes = i % 2 == 0 ? 100'000 : 0},
        [&, i](const FetchResult& result, ReceivedBody& body) {
          const std::string path = absl::StrCat("/", i, ".");
          if (result.status.ok() && absl::StartsWith(body.view(), path)) {
            ++good;
          }
          if (--left == 0) done.set_value();
        });
  }
  done.get_future().wait();
  CHECK(good == kCount);
}

TEST_CASE("the end of a client cancels what is on the short way") {
  const Echo echo("");
  std::promise<absl::Status> promise;
  {
    Client client;
    client.Fetch({.url = echo.Url(), .timeout_ms = 60'000},
                 [&](const FetchResult& result, ReceivedBody&) {
                   promise.set_value(result.status);
                 });
  }
  CHECK(absl::IsCancelled(promise.get_future().get()));
}

}  // namespace narthex::http
