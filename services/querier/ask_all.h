#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "libs/rpc/status.h"
#include "services/querier/answer.h"
#include "services/querier/peers.h"

namespace narthex::querier {

inline constexpr std::chrono::seconds kAskTimeout{10};

/// Sends `request` to all peers at the same time and gives every message of
/// their streams to `visit`, one peer after the other. A peer that does not
/// answer becomes a warning of the answer; when none does, that is the error.
///   AskAll<v1::Scraper>(peers, &v1::Scraper::Stub::Targets, request, answer,
///                       [&](v1::TargetsResponse page) { ... });
template <typename Service, typename Response, typename Request, typename Visit>
absl::Status AskAll(Peers& peers,
                    std::unique_ptr<grpc::ClientReader<Response>> (
                        Service::Stub::*method)(grpc::ClientContext*,
                                                const Request&),
                    const Request& request, Answer* answer,
                    const Visit& visit) {
  const auto all = peers.All();
  if (!all.ok()) return all.status();
  struct Reply {
    std::vector<Response> responses;
    absl::Status status;
  };
  const auto ask = [&](const Peer& peer) {
    const auto stub = Service::NewStub(peer.channel);
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kAskTimeout);
    const auto reader = ((*stub).*method)(&context, request);
    Reply reply;
    Response response;
    while (reader->Read(&response)) {
      reply.responses.push_back(std::move(response));
    }
    reply.status = rpc::FromGrpc(reader->Finish(), peer.title);
    return reply;
  };
  std::vector<std::future<Reply>> replies;
  for (const Peer& peer : *all) {
    // One alone is waited for without a thread.
    replies.push_back(std::async(
        all->size() == 1 ? std::launch::deferred : std::launch::async, ask,
        std::cref(peer)));
  }
  absl::Status last_error;
  std::size_t answered = 0;
  for (std::future<Reply>& pending : replies) {
    Reply reply = pending.get();
    for (Response& response : reply.responses) visit(std::move(response));
    if (reply.status.ok()) {
      ++answered;
    } else {
      last_error = reply.status;
      answer->warnings.push_back(std::string(reply.status.message()));
    }
  }
  return answered > 0 || all->empty() ? absl::OkStatus() : last_error;
}

}  // namespace narthex::querier
