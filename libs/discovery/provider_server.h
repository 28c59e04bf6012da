#pragma once

#include <catch2/catch.hpp>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "libs/base/mutex.h"
#include "libs/http/server.h"

/// For the tests of providers.
namespace narthex::discovery {

/// Plays the server that a mechanism asks: answers by path, changed at will.
class ProviderServer {
 public:
  explicit ProviderServer(const std::string& address = "127.0.0.1:0") {
    router_.Handle(
        "GET POST PUT", "/{path...}",
        [this](const http::Request& request, http::Response& response) {
          Serve(request, response);
        });
    http::ServerOptions options;
    options.address = address;
    auto server =
        http::Server::Start(options, router_, base::Logger::Discard());
    REQUIRE(server.ok());
    server_ = *std::move(server);
  }

  std::string address() const { return server_->address(); }
  std::string Url(const std::string& path) const {
    return "http://" + server_->address() + path;
  }

  /// The answer for `path` from now on.
  void Answer(const std::string& path, const std::string& body,
              int status = 200, const std::string& type = "application/json") {
    Handle(path, [=](const http::Request&, http::Response& response) {
      response.Send(status, type, body);
    });
  }
  void Handle(const std::string& path, const http::Handler& handler) {
    base::MutexLock lock(mutex_);
    answers_[path] = handler;
  }

  /// Of the last request for `path`.
  http::Headers LastHeaders(const std::string& path) const {
    return Last(path).headers;
  }
  http::Request Last(const std::string& path) const {
    base::ReaderMutexLock lock(mutex_);
    const auto it = requests_.find(path);
    return it == requests_.end() ? http::Request() : it->second;
  }

 private:
  void Serve(const http::Request& request, http::Response& response) {
    http::Handler handler;
    {
      base::MutexLock lock(mutex_);
      requests_[request.path] = request;
      const auto it = answers_.find(request.path);
      if (it != answers_.end()) handler = it->second;
    }
    if (handler == nullptr) {
      response.Send(404, "text/plain", "no " + request.path);
    } else {
      handler(request, response);
    }
  }

  mutable base::Mutex mutex_;
  std::map<std::string, http::Handler> answers_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, http::Request> requests_ ABSL_GUARDED_BY(mutex_);
  http::Router router_;
  std::unique_ptr<http::Server> server_;
};

}  // namespace narthex::discovery
