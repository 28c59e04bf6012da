#include <google/protobuf/message_lite.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/rpc/local_channel.h"
#include "libs/rpc/local_server.h"
#include "narthex/v1/querier.pb.h"

namespace narthex::rpc {
namespace {

using std::chrono::milliseconds;

// Names in the abstract namespace need no real port, only one of their own.
int FreshPort() {
  static std::atomic<int> next{100'000};
  return ++next;
}

std::chrono::system_clock::time_point In(milliseconds time) {
  return std::chrono::system_clock::now() + time;
}

// Answers with `count` messages of the request's expression.
LocalServer::Handler Repeat(int count) {
  return [count](LocalCall& call) -> absl::Status {
    v1::QueryRequest request;
    request.ParseFromString(std::string(call.request()));
    for (int i = 0; i < count; ++i) call.Send(request);
    return absl::OkStatus();
  };
}

absl::Status WaitForHangup(LocalCall& call) {
  while (!call.IsCancelled()) std::this_thread::sleep_for(milliseconds(1));
  return absl::CancelledError("gone");
}

struct Pair {
  explicit Pair(std::map<std::string, LocalServer::Handler, std::less<>> h)
      : port(FreshPort()),
        server(*LocalServer::Start("127.0.0.1:0", port, std::move(h))),
        channel(absl::StrCat("127.0.0.1:", port)) {}

  std::unique_ptr<LocalStream> Call(
      const std::string& method, const std::string& expression,
      milliseconds timeout = milliseconds(20'000),
      const std::atomic<bool>* cancelled = nullptr) {
    v1::QueryRequest request;
    request.set_expression(expression);
    return channel.Call(method, request, In(timeout), cancelled);
  }

  const int port;
  std::unique_ptr<LocalServer> server;
  LocalChannel channel;
};

}  // namespace

TEST_CASE("a local call gives its responses in order and then its status") {
  Pair pair({{"Repeat", Repeat(3)},
             {"Fail", [](LocalCall&) { return absl::NotFoundError("no"); }}});
  // One after the other, they share a connection.
  for (int round = 0; round < 3; ++round) {
    // Small ones travel together, large ones one by one.
    for (const std::size_t size : {0, 10, 100'000, 3'000'000}) {
      const std::string text(size, 'x');
      const auto stream = pair.Call("Repeat", text);
      REQUIRE(stream != nullptr);
      v1::QueryRequest response;
      for (int i = 0; i < 3; ++i) {
        REQUIRE(stream->Read(&response));
        CHECK(response.expression() == text);
      }
      CHECK_FALSE(stream->Read(&response));
      CHECK(stream->status().ok());
    }
    const auto failing = pair.Call("Fail", "");
    v1::QueryRequest response;
    CHECK_FALSE(failing->Read(&response));
    CHECK(failing->status() == absl::NotFoundError("no"));
  }
  const auto unknown = pair.Call("Nothing", "");
  v1::QueryRequest response;
  CHECK_FALSE(unknown->Read(&response));
  CHECK(absl::IsUnimplemented(unknown->status()));
}

TEST_CASE("a response that is too large to be sent is an error") {
  Pair pair({{"Repeat", Repeat(1)}, {"Large", [](LocalCall& call) {
                                       v1::QueryRequest response;
                                       call.Send(response);
                                       response.set_expression(
                                           std::string((256 << 20) + 1, 'x'));
                                       CHECK_FALSE(call.Send(response));
                                       return absl::OkStatus();
                                     }}});
  const auto stream = pair.Call("Large", "");
  v1::QueryRequest response;
  CHECK(stream->Read(&response));
  CHECK_FALSE(stream->Read(&response));
  CHECK(absl::IsResourceExhausted(stream->status()));
  const auto next = pair.Call("Repeat", "a");
  CHECK(next->Read(&response));
  CHECK_FALSE(next->Read(&response));
  CHECK(next->status().ok());
}

TEST_CASE("where nobody serves locally there is no call") {
  v1::QueryRequest request;
  for (const std::string address :
       {"127.0.0.1:99999", "192.0.2.1:80", "localhost:99999", "nonsense"}) {
    LocalChannel channel(address);
    CHECK(channel.Call("Repeat", request, In(milliseconds(100)), nullptr) ==
          nullptr);
  }
}

TEST_CASE("who listens everywhere is reached at every loopback address") {
  const int port = FreshPort();
  for (const std::string host : {"0.0.0.0", "", "[::]"}) {
    const auto server = LocalServer::Start(absl::StrCat(host, ":1"), port,
                                           {{"Repeat", Repeat(1)}});
    REQUIRE(server.ok());
    LocalChannel channel(absl::StrCat("localhost:", port));
    const auto stream = channel.Call("Repeat", v1::QueryRequest(),
                                     In(milliseconds(9'000)), nullptr);
    REQUIRE(stream != nullptr);
    v1::QueryRequest response;
    CHECK(stream->Read(&response));
  }
}

TEST_CASE("a name is served once") {
  const int port = FreshPort();
  const auto first = LocalServer::Start("127.0.0.1:1", port, {});
  REQUIRE(first.ok());
  CHECK(absl::IsUnavailable(
      LocalServer::Start("127.0.0.1:1", port, {}).status()));
}

TEST_CASE("a local call ends at its deadline and when it is cancelled") {
  Pair pair({{"Wait", WaitForHangup}});
  v1::QueryRequest response;
  const auto late = pair.Call("Wait", "", milliseconds(30));
  CHECK_FALSE(late->Read(&response));
  CHECK(absl::IsDeadlineExceeded(late->status()));

  const std::atomic<bool> cancelled{true};
  const auto begin = std::chrono::steady_clock::now();
  const auto unwanted = pair.Call("Wait", "", milliseconds(60'000), &cancelled);
  CHECK_FALSE(unwanted->Read(&response));
  CHECK(absl::IsCancelled(unwanted->status()));
  CHECK(std::chrono::steady_clock::now() - begin < milliseconds(10'000));
}

TEST_CASE("many callers are served at the same time") {
  std::atomic<int> waiting{0};
  Pair pair({{"Meet", [&](LocalCall& call) {
                ++waiting;
                while (waiting < 4 && !call.IsCancelled()) {
                  std::this_thread::yield();
                }
                return absl::OkStatus();
              }}});
  std::vector<std::unique_ptr<LocalStream>> calls;
  for (int i = 0; i < 4; ++i) calls.push_back(pair.Call("Meet", ""));
  for (const auto& call : calls) {
    v1::QueryRequest response;
    CHECK_FALSE(call->Read(&response));
    CHECK(call->status().ok());
  }
}

TEST_CASE("a call after the server came back goes to the new one") {
  const int port = FreshPort();
  LocalChannel channel(absl::StrCat("127.0.0.1:", port));
  for (int life = 0; life < 3; ++life) {
    auto server =
        LocalServer::Start("127.0.0.1:1", port, {{"Repeat", Repeat(1)}});
    REQUIRE(server.ok());
    for (int i = 0; i < 2; ++i) {
      const auto stream = channel.Call("Repeat", v1::QueryRequest(),
                                       In(milliseconds(9'000)), nullptr);
      REQUIRE(stream != nullptr);
      v1::QueryRequest response;
      CHECK(stream->Read(&response));
      CHECK_FALSE(stream->Read(&response));
      CHECK(stream->status().ok());
    }
    (*server)->Stop(milliseconds(1'000));
    CHECK(channel.Call("Repeat", v1::QueryRequest(), In(milliseconds(100)),
                       nullptr) == nullptr);
  }
}

TEST_CASE("calls through a pipe need not wait for one another") {
  // Numbers the calls of each connection.
  Pair pair({{"Count",
              [](LocalCall& call) {
                if (call.state() == nullptr) {
                  call.state() = std::make_shared<int>(0);
                }
                int& count = *static_cast<int*>(call.state().get());
                v1::QueryRequest response;
                ++count;
                response.set_expression(absl::StrCat(
                    count, std::string(count == 3 ? 200'000 : 0, 'x')));
                if (count == 5) return absl::NotFoundError("no fifth");
                call.Send(response);
                return absl::OkStatus();
              }},
             {"Silent", [](LocalCall&) { return absl::OkStatus(); }}});
  for (int round = 0; round < 2; ++round) {
    const auto pipe = pair.channel.OpenPipe("Count");
    REQUIRE(pipe != nullptr);
    v1::QueryRequest request;
    request.set_expression(std::string(100'000, 'q'));
    std::thread writer([&] {
      for (int i = 0; i < 5; ++i) pipe->Write(request);
    });
    v1::QueryRequest response;
    for (int i = 1; i <= 4; ++i) {
      REQUIRE(pipe->Read(&response));
      CHECK(response.expression().substr(0, 1) == absl::StrCat(i));
    }
    CHECK_FALSE(pipe->Read(&response));
    CHECK(pipe->status() == absl::NotFoundError("no fifth"));
    writer.join();
    CHECK_FALSE(pipe->Write(request));
  }
  const auto silent = pair.channel.OpenPipe("Silent");
  v1::QueryRequest message;
  CHECK(silent->Write(message));
  CHECK_FALSE(silent->Read(&message));
  CHECK(absl::IsDataLoss(silent->status()));
}

TEST_CASE("a pipe ends when it is hung up and when its server goes") {
  Pair pair({{"Repeat", Repeat(1)}, {"Wait", WaitForHangup}});
  v1::QueryRequest message;
  const auto waiting = pair.channel.OpenPipe("Wait");
  REQUIRE(waiting->Write(message));
  std::thread other([&] { waiting->HangUp(); });
  CHECK_FALSE(waiting->Read(&message));
  other.join();
  const auto idle = pair.channel.OpenPipe("Repeat");
  REQUIRE(idle->Write(message));
  REQUIRE(idle->Read(&message));
  pair.server->Stop(milliseconds(1'000));
  CHECK_FALSE(idle->Read(&message));
  CHECK(absl::IsUnavailable(idle->status()));
  CHECK(pair.channel.OpenPipe("Repeat") == nullptr);
}

TEST_CASE("a stop waits for running calls for its grace only") {
  std::atomic<bool> running{false};
  Pair pair({{"Wait", [&](LocalCall& call) {
                running = true;
                return WaitForHangup(call);
              }}});
  const auto stream = pair.Call("Wait", "");
  while (!running) std::this_thread::yield();
  pair.server->Stop(milliseconds(20));
  v1::QueryRequest response;
  CHECK_FALSE(stream->Read(&response));
  CHECK(absl::IsUnavailable(stream->status()));
}

}  // namespace narthex::rpc
