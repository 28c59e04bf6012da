#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
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

/// Sends `request` to all peers and gives every message of their streams to
/// `visit`. A peer that does not answer becomes a warning of the answer; when
/// none does, that is the error.
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
  absl::Status last_error;
  std::size_t answered = 0;
  for (const Peer& peer : *all) {
    const auto stub = Service::NewStub(peer.channel);
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kAskTimeout);
    const auto reader = ((*stub).*method)(&context, request);
    Response response;
    while (reader->Read(&response)) visit(std::move(response));
    const absl::Status status = rpc::FromGrpc(reader->Finish(), peer.title);
    if (status.ok()) {
      ++answered;
    } else {
      last_error = status;
      answer->warnings.push_back(std::string(status.message()));
    }
  }
  return answered > 0 || all->empty() ? absl::OkStatus() : last_error;
}

}  // namespace narthex::querier
