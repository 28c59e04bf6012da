#include "libs/discovery/fetcher.h"

#include <algorithm>
#include <deque>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/status.h"

namespace narthex::discovery {
namespace {

constexpr std::int64_t kDefaultTimeoutMs = 60'000;
constexpr std::int64_t kMaxBodyBytes = std::int64_t{1} << 30;
constexpr std::size_t kQuotedBytes = 200;

}  // namespace

Fetcher::Fetcher(http::Client& client,
                 std::shared_ptr<const http::ClientConfig> config)
    : client_(client), config_(std::move(config)) {}

absl::Status Fetcher::Begin(http::FetchRequest request, Exchange* exchange) {
  request.config = config_;
  if (request.timeout_ms <= 0) request.timeout_ms = kDefaultTimeoutMs;
  if (request.max_body_bytes <= 0) request.max_body_bytes = kMaxBodyBytes;
  base::MutexLock lock(mutex_);
  if (cancelled_) return absl::CancelledError("context canceled");
  exchange->id = client_.Fetch(std::move(request), &exchange->answer.body,
                               [exchange](http::FetchResult result) {
                                 exchange->done.set_value(std::move(result));
                               });
  running_.insert(exchange->id);
  return absl::OkStatus();
}

absl::StatusOr<Fetcher::Answer> Fetcher::Finish(Exchange* exchange) {
  http::FetchResult result = exchange->done.get_future().get();
  {
    base::MutexLock lock(mutex_);
    running_.erase(exchange->id);
  }
  NARTHEX_RETURN_IF_ERROR(result.status);
  exchange->answer.code = result.code;
  exchange->answer.headers = std::move(result.headers);
  return std::move(exchange->answer);
}

absl::StatusOr<Fetcher::Answer> Fetcher::Fetch(http::FetchRequest request) {
  Exchange exchange;
  NARTHEX_RETURN_IF_ERROR(Begin(std::move(request), &exchange));
  return Finish(&exchange);
}

absl::StatusOr<std::vector<Fetcher::Answer>> Fetcher::FetchAll(
    std::vector<http::FetchRequest> requests, int at_once) {
  const auto window = static_cast<std::size_t>(std::max(at_once, 1));
  std::deque<Exchange> running;
  std::vector<Answer> answers;
  absl::Status first_error;
  std::size_t next = 0;
  while (next < requests.size() || !running.empty()) {
    while (first_error.ok() && next < requests.size() &&
           running.size() < window) {
      running.emplace_back();
      first_error = Begin(std::move(requests[next++]), &running.back());
      if (!first_error.ok()) running.pop_back();
    }
    if (running.empty()) break;
    auto answer = Finish(&running.front());
    running.pop_front();
    if (answer.ok()) {
      answers.push_back(*std::move(answer));
    } else if (first_error.ok()) {
      first_error = answer.status();
    }
  }
  NARTHEX_RETURN_IF_ERROR(first_error);
  return answers;
}

absl::StatusOr<std::string> Fetcher::Get(const std::string& url,
                                         const http::Headers& headers) {
  http::FetchRequest request;
  request.url = url;
  request.headers = headers;
  NARTHEX_ASSIGN_OR_RETURN(Answer answer, Fetch(std::move(request)));
  if (answer.code == 200) return std::move(answer.body);
  return absl::UnavailableError(absl::StrCat(
      "Get \"", url, "\": unexpected status ", StatusLine(answer.code), ": ",
      absl::string_view(answer.body).substr(0, kQuotedBytes)));
}

void Fetcher::Cancel() {
  base::MutexLock lock(mutex_);
  cancelled_ = true;
  for (const http::Client::FetchId id : running_) client_.Cancel(id);
}

bool Fetcher::cancelled() const {
  base::ReaderMutexLock lock(mutex_);
  return cancelled_;
}

std::string StatusLine(int code) {
  return absl::StrCat(code, " ", http::StatusText(code));
}

}  // namespace narthex::discovery
