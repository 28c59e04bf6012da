#include "libs/http/server.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <cerrno>
#include <deque>
#include <functional>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/base/file.h"
#include "libs/http/client.h"
#include "libs/http/gzip.h"

namespace narthex::http {

namespace {

std::unique_ptr<Server> StartServer(const Router& router,
                                    ServerOptions options = {}) {
  auto server =
      Server::Start(std::move(options), router, base::Logger::Discard());
  REQUIRE(server.ok());
  return std::move(*server);
}

// A connection that sends and reads bytes as they are.
class RawConnection {
 public:
  explicit RawConnection(int port) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::connect(fd_.get(), reinterpret_cast<sockaddr*>(&address),
                      sizeof(address)) == 0);
  }
  void Send(absl::string_view data) {
    // What is lost shows in the answer; other threads may not check.
    base::WriteAll(fd_.get(), data, "socket").IgnoreError();
  }
  // Reads until the text holds `end`, or to the end of the connection.
  std::string ReadUntil(absl::string_view end) {
    std::string text;
    char chunk[4096];
    while (end.empty() || !absl::StrContains(text, end)) {
      const auto got = ::recv(fd_.get(), chunk, sizeof(chunk), 0);
      if (got <= 0) break;
      text.append(chunk, static_cast<std::size_t>(got));
    }
    return text;
  }
  std::string ReadAll() { return ReadUntil({}); }
  // Reads to the end; whether that was a reset.
  bool EndsWithReset() {
    char chunk[4096];
    ssize_t got = 0;
    do {
      got = ::recv(fd_.get(), chunk, sizeof(chunk), 0);
    } while (got > 0);
    return got < 0 && errno == ECONNRESET;
  }
  void Close() { fd_.reset(); }

 private:
  base::UniqueFd fd_;
};

void Echo(const Request& request, Response& response) {
  response.Send(
      200, "text/plain",
      absl::StrCat(request.method, " ", request.path, " ", request.body));
}

}  // namespace

TEST_CASE("a connection serves one request after the other") {
  Router router;
  router.Handle("GET POST", "/echo", Echo);
  const auto server = StartServer(router);
  RawConnection connection(server->port());

  connection.Send("GET /echo HTTP/1.1\r\nHost: a\r\n\r\n");
  const std::string first = connection.ReadUntil("GET /echo ");
  CHECK(absl::StartsWith(first, "HTTP/1.1 200 OK\r\n"));
  CHECK(absl::StrContains(first, "Content-Length: 10\r\n"));
  connection.Send(
      "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
  CHECK(absl::StrContains(connection.ReadUntil("hi"), "POST /echo hi"));
}

TEST_CASE("pipelined requests are answered in order") {
  Router router;
  router.Get("/{n}", Echo);
  const auto server = StartServer(router);
  RawConnection connection(server->port());

  connection.Send(
      "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n"
      "GET /3 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  const std::string text = connection.ReadAll();
  const auto one = text.find("GET /1");
  const auto two = text.find("GET /2");
  const auto three = text.find("GET /3");
  REQUIRE(three != std::string::npos);
  CHECK(one < two);
  CHECK(two < three);
}

TEST_CASE("a client that asks without a pause may ask anything next") {
  Router router;
  router.Handle("GET POST", "/echo", Echo);
  const auto server = StartServer(router);
  const std::string body(100'000, 'x');
  const std::string post = absl::StrCat(
      "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: ", body.size(),
      "\r\n\r\n");
  const std::string get = "GET /echo HTTP/1.1\r\nHost: a\r\n\r\n";
  std::atomic<int> right{0};
  const auto expect = [&right](const std::string& text,
                               absl::string_view part) {
    if (absl::StrContains(text, part)) ++right;
  };
  const auto ask = [&](RawConnection& connection, bool malformed) {
    for (int i = 0; i < 50; ++i) {
      connection.Send(get);
      expect(connection.ReadUntil("GET /echo "), " 200 ");
      connection.Send(get.substr(0, 20));
      connection.Send(get.substr(20));
      expect(connection.ReadUntil("GET /echo "), " 200 ");
      connection.Send(post);
      connection.Send(body);
      expect(connection.ReadUntil(absl::StrCat("POST /echo ", body)), body);
    }
    connection.Send(malformed ? "nonsense\r\n\r\n"
                              : "POST /echo HTTP/1.1\r\nHost: a\r\n"
                                "Content-Length: 99999999999\r\n\r\n");
    expect(connection.ReadAll(), malformed ? " 400 " : " 413 ");
  };
  std::deque<RawConnection> connections;
  std::vector<std::thread> clients;
  for (int c = 0; c < 5; ++c) {
    connections.emplace_back(server->port());
    clients.emplace_back(ask, std::ref(connections.back()), c % 2 == 0);
  }
  for (std::thread& client : clients) client.join();
  CHECK(right == 5 * 151);
}

TEST_CASE("a waiting thread does not keep others from being answered") {
  Router router;
  router.Get("/", Echo);
  const auto server = StartServer(router, {.threads = 2});
  std::atomic<bool> done{false};
  std::atomic<int> answers{0};
  RawConnection connection(server->port());
  std::thread busy([&] {
    while (!done) {
      connection.Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
      if (absl::StrContains(connection.ReadUntil("GET / "), " 200 ")) ++answers;
    }
  });
  while (answers < 100) std::this_thread::yield();
  int others = 0;
  for (; others < 100; ++others) {
    RawConnection other(server->port());
    other.Send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    if (!absl::StrContains(other.ReadAll(), " 200 ")) break;
  }
  done = true;
  busy.join();
  CHECK(others == 100);
}

TEST_CASE("malformed requests are answered with 400 and closed") {
  Router router;
  router.Get("/", Echo);
  const auto server = StartServer(router);
  for (const char* request :
       {"nonsense\r\n\r\n", "GET  / HTTP/1.1\r\n\r\n",
        "GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        "GET / HTTP/9.1\r\n\r\n", "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nNo colon\r\n\r\n"}) {
    INFO(request);
    RawConnection connection(server->port());
    connection.Send(request);
    CHECK(absl::StartsWith(connection.ReadAll(), "HTTP/1.1 400 "));
  }
}

TEST_CASE("a body beyond the route's limit is refused before it is read") {
  Router router;
  router.Handle("POST", "/small", Echo, {.max_body_bytes = 10});
  const auto server = StartServer(router);

  SECTION("with its length announced") {
    RawConnection connection(server->port());
    connection.Send(
        "POST /small HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n");
    CHECK(absl::StartsWith(connection.ReadUntil("large\n"),
                           "HTTP/1.1 413 Request Entity Too Large"));
  }
  SECTION("in chunks") {
    RawConnection connection(server->port());
    connection.Send(
        "POST /small HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        "8\r\n12345678\r\n8\r\n12345678\r\n0\r\n\r\n");
    CHECK(absl::StartsWith(connection.ReadUntil("large\n"),
                           "HTTP/1.1 413 Request Entity Too Large"));
  }
}

TEST_CASE("a client that asks first is told to continue") {
  Router router;
  router.Handle("POST", "/", Echo);
  const auto server = StartServer(router);
  RawConnection connection(server->port());
  connection.Send(
      "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
      "Content-Length: 2\r\n\r\n");
  CHECK(connection.ReadUntil("\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n");
  connection.Send("hi");
  CHECK(absl::StrContains(connection.ReadUntil("hi"), "POST / hi"));
}

TEST_CASE("HEAD gets the length but no body") {
  Router router;
  router.Get("/", [](const Request&, Response& response) {
    response.Send(200, "text/plain", "12345");
  });
  const auto server = StartServer(router);
  RawConnection connection(server->port());
  connection.Send("HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  const std::string answer = connection.ReadAll();
  CHECK(absl::StrContains(answer, "Content-Length: 5\r\n"));
  CHECK(absl::EndsWith(answer, "\r\n\r\n"));
}

TEST_CASE("large text is compressed for those who accept it") {
  Router router;
  const std::string large(5000, 'x');
  router.Get("/large", [&](const Request&, Response& response) {
    response.Send(200, "application/json", large);
  });
  router.Get("/stream", [&](const Request&, Response& response) {
    response.headers().Set("Content-Type", "text/plain");
    for (int i = 0; i < 5; ++i) (void)response.Write(large);
  });
  const auto server = StartServer(router);
  Client client;
  for (const bool gzip : {false, true}) {
    INFO(gzip);
    std::string body;
    const std::string base = absl::StrCat("http://", server->address());
    auto result =
        client.Fetch({.url = base + "/large", .accept_gzip = gzip}, &body);
    CHECK(result.status.ok());
    CHECK(body == large);
    CHECK((result.headers.Get("Content-Encoding") == "gzip") == gzip);
    CHECK((result.wire_bytes < 5000) == gzip);
    result =
        client.Fetch({.url = base + "/stream", .accept_gzip = gzip}, &body);
    CHECK(body.size() == 25000);
    CHECK((result.headers.Get("Content-Encoding") == "gzip") == gzip);
  }
}

TEST_CASE("a stream goes out in chunks, to old clients until the close") {
  Router router;
  router.Get("/", [](const Request&, Response& response) {
    CHECK(response.Write("ab").ok());
    CHECK(response.Write("cde").ok());
  });
  const auto server = StartServer(router);
  RawConnection modern(server->port());
  modern.Send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  CHECK(absl::EndsWith(modern.ReadAll(),
                       "\r\n\r\n2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n"));
  RawConnection old(server->port());
  old.Send("GET / HTTP/1.0\r\n\r\n");
  CHECK(absl::EndsWith(old.ReadAll(), "\r\n\r\nabcde"));
}

TEST_CASE("a stream that is broken off does not look whole") {
  Router router;
  router.Get("/", [](const Request&, Response& response) {
    CHECK(response.Write("ab").ok());
    response.Abort("the disk is gone");
  });
  metrics::Registry registry;
  const auto server = StartServer(router, {.registry = &registry});
  RawConnection modern(server->port());
  modern.Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  CHECK(absl::EndsWith(modern.ReadAll(), "\r\n\r\n2\r\nab\r\n"));
  RawConnection old(server->port());
  old.Send("GET / HTTP/1.0\r\n\r\n");
  CHECK(old.EndsWithReset());

  Client client;
  std::string body;
  const std::string url = absl::StrCat("http://", server->address());
  for (const bool gzip : {false, true}) {
    INFO(gzip);
    const auto result = client.Fetch({.url = url, .accept_gzip = gzip}, &body);
    CHECK_FALSE(result.status.ok());
  }
  CHECK(absl::StrContains(registry.Expose(),
                          "narthex_http_aborted_responses_total 4\n"));
}

TEST_CASE("blocked handlers do not keep others from being answered") {
  Router router;
  std::promise<void> release;
  const std::shared_future<void> released = release.get_future().share();
  router.Get("/slow", [&](const Request&, Response&) { released.wait(); });
  router.Get("/fast", Echo);
  const auto server = StartServer(router, {.threads = 2});
  Client client;
  const std::string base = absl::StrCat("http://", server->address());
  constexpr int kSlow = 20;
  std::vector<std::string> bodies(kSlow);
  std::atomic<int> finished{0};
  for (auto& body : bodies) {
    client.Fetch({.url = base + "/slow"}, &body,
                 [&](const FetchResult&) { ++finished; });
  }
  std::string body;
  const auto result =
      client.Fetch({.url = base + "/fast", .timeout_ms = 10'000}, &body);
  CHECK(result.status.ok());
  CHECK(finished == 0);
  release.set_value();
  server->Stop(10'000);
}

TEST_CASE("a handler sees that its client has hung up") {
  Router router;
  std::promise<bool> seen;
  router.Get("/", [&](const Request& request, Response&) {
    bool cancelled = false;
    for (int i = 0; i < 10'000 && !cancelled; ++i) {
      cancelled = request.cancelled();
      std::this_thread::yield();
      if (!cancelled) ::usleep(500);
    }
    seen.set_value(cancelled);
  });
  const auto server = StartServer(router);
  RawConnection connection(server->port());
  connection.Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  connection.Close();
  CHECK(seen.get_future().get());
}

TEST_CASE("a stop lets running requests finish and closes idle connections") {
  Router router;
  std::promise<void> started;
  std::promise<void> release;
  router.Get("/", [&](const Request&, Response& response) {
    started.set_value();
    release.get_future().wait();
    response.Send(200, "text/plain", "done");
  });
  const auto server = StartServer(router);
  RawConnection idle(server->port());
  RawConnection running(server->port());
  running.Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  started.get_future().wait();
  std::thread stop([&] { server->Stop(10'000); });
  CHECK(idle.ReadAll().empty());
  release.set_value();
  const std::string answer = running.ReadAll();
  stop.join();
  CHECK(absl::EndsWith(answer, "done"));
  CHECK(absl::StrContains(answer, "Connection: close"));
}

TEST_CASE("connections beyond the limit wait until one closes") {
  Router router;
  router.Get("/", Echo);
  const auto server = StartServer(router, {.max_connections = 1});
  RawConnection first(server->port());
  first.Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  first.ReadUntil("GET / ");
  RawConnection second(server->port());
  second.Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  first.Close();
  CHECK(absl::StartsWith(second.ReadUntil("GET / "), "HTTP/1.1 200"));
}

TEST_CASE("a client that sends nothing is cut off") {
  Router router;
  const auto server = StartServer(router, {.read_timeout_ms = 20});
  RawConnection connection(server->port());
  connection.Send("GET / HT");
  CHECK(connection.ReadAll().empty());
}

TEST_CASE("requests are counted by handler and code") {
  Router router;
  router.Get("/api/{name}", Echo);
  metrics::Registry registry;
  std::vector<std::string> seen;
  {
    const auto server = StartServer(
        router, {.registry = &registry, .observer = [&](const Exchange& e) {
                   seen.push_back(
                       absl::StrCat(e.handler, " ", e.method, " ", e.status));
                 }});
    Client client;
    std::string body;
    const std::string base = absl::StrCat("http://", server->address());
    client.Fetch({.url = base + "/api/a"}, &body);
    client.Fetch({.url = base + "/api/b"}, &body);
    client.Fetch({.url = base + "/api/c", .method = "PUT"}, &body);
    server->Stop(1000);
  }
  const std::string text = registry.Expose();
  CHECK(absl::StrContains(
      text,
      R"(prometheus_http_requests_total{handler="/api/:name",code="200"} 2)"));
  CHECK(absl::StrContains(
      text,
      R"(prometheus_http_requests_total{handler="/api/:name",code="405"} 1)"));
  CHECK(seen == std::vector<std::string>{"/api/:name GET 200",
                                         "/api/:name GET 200",
                                         "/api/:name PUT 405"});
}

TEST_CASE("a port that is taken is an error that says so") {
  Router router;
  const auto server = StartServer(router);
  const auto second = Server::Start({.address = server->address()}, router,
                                    base::Logger::Discard());
  CHECK(absl::IsUnavailable(second.status()));
  CHECK(second.status().message() ==
        absl::StrCat("listen tcp ", server->address(),
                     ": bind: address already in use"));
  CHECK(absl::IsInvalidArgument(
      Server::Start({.address = "nonsense"}, router, base::Logger::Discard())
          .status()));
}

}  // namespace narthex::http
