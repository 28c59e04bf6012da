#pragma once

#include <curl/curl.h>

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "libs/http/client.h"
#include "libs/http/fetch_error.h"
#include "libs/http/tls_material.h"

namespace narthex::http {

/// One request on a libcurl handle, over all its redirects.
class Transfer {
 public:
  Transfer(Client::FetchId id, FetchRequest request, std::string* body,
           Client::Callback done);

  /// What counts the body; null when nothing does.
  void set_claim(BodyClaim* claim) { claim_ = claim; }

  /// Sets every option of `easy` for the next exchange. Secrets are read from
  /// their files here: the error is that of a file.
  absl::Status Configure(CURL* easy, const ClientOptions& options);

  /// Takes the outcome of an exchange. True when a redirect is to be followed:
  /// Configure() and run again.
  bool Finish(CURLcode code);

  /// Calls back with what Finish() found, or with `status` instead.
  void Report() { done_(std::move(result_)); }
  void Report(absl::Status status);

  /// The same for a request that does not get as far as an exchange.
  void ReportFailure(const absl::Status& reason);

  /// What the next exchange needs a token of, null when it needs none.
  const OAuth2* NeedsToken() const;
  /// The value of its Authorization field.
  void set_token(const std::string& token) { token_ = token; }
  /// Whether its time is over.
  bool IsLate(std::int64_t now_ns) const {
    return request_.timeout_ms > 0 &&
           now_ns - started_ns_ >= request_.timeout_ms * 1'000'000;
  }

  Client::FetchId id() const { return id_; }
  /// Of the next exchange.
  const std::string& url() const { return request_.url; }
  CURL* easy() const { return easy_; }

 private:
  struct FreeList {
    void operator()(curl_slist* list) const { curl_slist_free_all(list); }
  };
  using List = std::unique_ptr<curl_slist, FreeList>;

  absl::Status SetHeaders(const ClientOptions& options);
  absl::Status AddConfiguredHeaders();
  absl::Status AddAuthorization();
  void AddHeader(absl::string_view name, absl::string_view value);
  void AddHeaderLine(const char* line);
  void SetMethod();
  absl::Status SetTls();
  void SetServerName();
  absl::Status SetProxy();
  bool FollowRedirect();
  // Replaces an encoded body by what it holds.
  void Decode();
  FetchFailure Failure(CURLcode code) const;
  std::int64_t TimeLeftMs() const;

  static std::size_t OnBody(char* data, std::size_t, std::size_t size,
                            void* self);
  // False when there is no room for `bytes` of the body in all.
  bool MakeRoom(std::size_t bytes) {
    return claim_ == nullptr || claim_->Grow(bytes, body_);
  }
  // Notes where a connection is tried, in `*self`.
  static curl_socket_t OnSocket(void* self, curlsocktype,
                                curl_sockaddr* address);
  static std::size_t OnHeader(char* data, std::size_t, std::size_t size,
                              void* self);

  const Client::FetchId id_;
  FetchRequest request_;
  std::string* const body_;
  BodyClaim* claim_ = nullptr;
  Client::Callback done_;
  const std::shared_ptr<const ClientConfig> config_;
  const std::int64_t started_ns_;

  CURL* easy_ = nullptr;
  FetchResult result_;
  List header_list_;
  List proxy_header_list_;
  List connect_to_;
  TlsMaterial tls_;
  std::string proxy_;
  std::string dialled_;  // "ip:port" that was tried first.
  std::string token_;
  char error_[CURL_ERROR_SIZE] = {};
  int redirects_ = 0;
  /// The host that credentials are meant for; set by the first redirect.
  std::string first_host_;
  bool foreign_host_ = false;
  bool too_large_ = false;
  bool no_room_ = false;
};

}  // namespace narthex::http
