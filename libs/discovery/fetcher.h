#pragma once

#include <future>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/base/mutex.h"
#include "libs/http/client.h"

namespace narthex::discovery {

/// Sends the requests of one provider, and ends those under way when the
/// provider stops. Thread-safe.
class Fetcher {
 public:
  /// `config` may be null: the client's defaults.
  Fetcher(http::Client& client,
          std::shared_ptr<const http::ClientConfig> config);

  struct Answer {
    int code = 0;
    http::Headers headers;
    std::string body;
  };
  /// Waits for the answer, whatever its code. `request.config` is set here;
  /// a request without a time limit gets one of a minute. Errors are the
  /// client's; kCancelled after Cancel().
  absl::StatusOr<Answer> Fetch(http::FetchRequest request)
      ABSL_LOCKS_EXCLUDED(mutex_);
  /// All answers, in the order of the requests, `at_once` of which (at least
  /// one) are under way. The first error among them when there is one.
  absl::StatusOr<std::vector<Answer>> FetchAll(
      std::vector<http::FetchRequest> requests, int at_once)
      ABSL_LOCKS_EXCLUDED(mutex_);
  /// The body of a GET that is answered with 200. Other answers are
  /// kUnavailable, worded as "<what>: unexpected status 500 ...: body".
  absl::StatusOr<std::string> Get(const std::string& url,
                                  const http::Headers& headers = {});

  /// Ends every request, also those that are yet to come.
  void Cancel() ABSL_LOCKS_EXCLUDED(mutex_);
  bool cancelled() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  /// A request under way. Its answer is there once `done` is.
  struct Exchange {
    Answer answer;
    std::promise<http::FetchResult> done;
    http::Client::FetchId id{};
  };
  absl::Status Begin(http::FetchRequest request, Exchange* exchange)
      ABSL_LOCKS_EXCLUDED(mutex_);
  absl::StatusOr<Answer> Finish(Exchange* exchange) ABSL_LOCKS_EXCLUDED(mutex_);

  http::Client& client_;
  const std::shared_ptr<const http::ClientConfig> config_;
  mutable base::Mutex mutex_;
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
  std::set<http::Client::FetchId> running_ ABSL_GUARDED_BY(mutex_);
};

/// "404 Not Found".
std::string StatusLine(int code);

}  // namespace narthex::discovery
