#pragma once

#include <functional>

#include "libs/http/client.h"
#include "services/alertmanager/event_loop.h"

namespace narthex::alertmanager {

/// Sends HTTP requests and hands the answers to the event loop. Tests put a
/// world of their own in its place.
class HttpSender {
 public:
  virtual ~HttpSender() = default;
  /// `done` runs on the event loop.
  using Done = std::function<void(http::FetchResult)>;
  virtual void Send(http::FetchRequest request, Done done) = 0;
};

/// Over the network. What is under way is cancelled at destruction; `loop`
/// must outlive it.
class ClientSender : public HttpSender {
 public:
  explicit ClientSender(EventLoop& loop) : loop_(loop) {}
  void Send(http::FetchRequest request, Done done) override;

 private:
  EventLoop& loop_;
  http::Client client_;
};

}  // namespace narthex::alertmanager
