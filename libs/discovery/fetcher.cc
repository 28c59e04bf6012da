#include "libs/discovery/fetcher.h"

#include <future>
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

absl::StatusOr<Fetcher::Answer> Fetcher::Fetch(http::FetchRequest request) {
  request.config = config_;
  if (request.timeout_ms <= 0) request.timeout_ms = kDefaultTimeoutMs;
  if (request.max_body_bytes <= 0) request.max_body_bytes = kMaxBodyBytes;
  Answer answer;
  std::promise<http::FetchResult> promise;
  http::Client::FetchId id{};
  {
    base::MutexLock lock(mutex_);
    if (cancelled_) return absl::CancelledError("context canceled");
    id = client_.Fetch(std::move(request), &answer.body,
                       [&promise](http::FetchResult result) {
                         promise.set_value(std::move(result));
                       });
    running_.insert(id);
  }
  http::FetchResult result = promise.get_future().get();
  {
    base::MutexLock lock(mutex_);
    running_.erase(id);
  }
  NARTHEX_RETURN_IF_ERROR(result.status);
  answer.code = result.code;
  answer.headers = std::move(result.headers);
  return answer;
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
