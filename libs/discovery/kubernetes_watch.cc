#include "libs/discovery/kubernetes_watch.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/url_query.h"
#include "libs/discovery/fetcher.h"
#include "libs/discovery/json.h"

namespace narthex::discovery {
namespace {

constexpr std::int64_t kNsPerMs = 1'000'000;
constexpr std::int64_t kListTimeoutMs = 120'000;
constexpr std::int64_t kMaxListBytes = std::int64_t{1} << 30;
constexpr std::int64_t kMaxLineBytes = std::int64_t{64} << 20;
constexpr int kPageSize = 500;
constexpr int kGone = 410;
// A server ends watches after a while, each at another time.
constexpr int kMinWatchSeconds = 300;
constexpr int kMaxWatchSeconds = 600;
// How long it may be late with that.
constexpr int kGraceSeconds = 30;
constexpr std::int64_t kShortWatchNs = 1'000'000'000;

void AddParam(absl::string_view name, absl::string_view value,
              std::string* url) {
  if (value.empty()) return;
  absl::StrAppend(url, url->find('?') == std::string::npos ? "?" : "&", name,
                  "=", base::EscapeUrlQuery(value));
}

/// The reason in the API's Status object, or else in the HTTP status.
absl::Status Refusal(const http::FetchResult& result, const std::string& body) {
  const auto json = ParseJson(body);
  const std::string message = json.ok() ? Text(*json, "message") : "";
  return absl::UnavailableError(
      absl::StrCat(result.effective_url, ": ", StatusLine(result.code),
                   message.empty() ? "" : ": ", message));
}

}  // namespace

KubernetesWatch::KubernetesWatch(
    Options options, http::Client& client,
    std::shared_ptr<const http::ClientConfig> config, Post post,
    Consumer& consumer)
    : options_(std::move(options)),
      client_(client),
      config_(std::move(config)),
      post_(std::move(post)),
      consumer_(consumer),
      random_(std::random_device()()) {}

std::int64_t KubernetesWatch::due_ns() const {
  return busy_ ? std::numeric_limits<std::int64_t>::max() : due_ns_;
}

std::string KubernetesWatch::ListUrl() const {
  std::string url = options_.url;
  AddParam("labelSelector", options_.label_selector, &url);
  AddParam("fieldSelector", options_.field_selector, &url);
  if (version_ == "0") {
    // From the server's cache, which knows no pages.
    AddParam("resourceVersion", version_, &url);
  } else {
    AddParam("limit", absl::StrCat(kPageSize), &url);
    AddParam("continue", next_page_, &url);
  }
  return url;
}

std::string KubernetesWatch::WatchUrl() {
  std::uniform_int_distribution<int> seconds(kMinWatchSeconds,
                                             kMaxWatchSeconds);
  std::string url = options_.url;
  AddParam("labelSelector", options_.label_selector, &url);
  AddParam("fieldSelector", options_.field_selector, &url);
  AddParam("watch", "true", &url);
  AddParam("allowWatchBookmarks", "true", &url);
  AddParam("resourceVersion", version_, &url);
  AddParam("timeoutSeconds", absl::StrCat(seconds(random_)), &url);
  return url;
}

void KubernetesWatch::Step(std::int64_t now_ns) {
  if (busy_ || now_ns < due_ns_) return;
  started_ns_ = now_ns;
  http::FetchRequest request;
  if (watching_) {
    request.url = WatchUrl();
    request.timeout_ms = std::int64_t{kMaxWatchSeconds + kGraceSeconds} * 1000;
    // Compression would hold events back.
    request.accept_gzip = false;
    request.on_body = [this](absl::string_view piece) {
      post_({this, std::string(piece), std::nullopt});
    };
  } else {
    request.url = ListUrl();
    request.timeout_ms = kListTimeoutMs;
    request.max_body_bytes = kMaxListBytes;
  }
  Send(std::move(request));
}

void KubernetesWatch::Send(http::FetchRequest request) {
  request.config = config_;
  request.headers.Set("Accept", "application/json");
  line_.clear();
  broken_ = absl::OkStatus();
  gone_ = false;
  busy_ = true;
  fetch_ = client_.Fetch(std::move(request), &body_,
                         [this](http::FetchResult result) {
                           post_({this, "", std::move(result)});
                         });
}

void KubernetesWatch::Cancel() {
  if (busy_) client_.Cancel(fetch_);
}

void KubernetesWatch::Take(Message message, std::int64_t now_ns) {
  if (!message.end.has_value()) {
    TakePiece(message.piece);
    return;
  }
  busy_ = false;
  due_ns_ = now_ns;
  if (absl::IsCancelled(message.end->status) && broken_.ok()) return;
  if (watching_) {
    TakeWatchEnd(*message.end, now_ns);
  } else {
    TakeListEnd(*message.end, now_ns);
  }
}

void KubernetesWatch::TakeListEnd(const http::FetchResult& result,
                                  std::int64_t now_ns) {
  if (!result.status.ok()) return Fail(result.status, now_ns);
  if (result.code == kGone) {
    // The pages so far are of a version that the server has forgotten.
    ListAnew();
    return Fail(Refusal(result, body_), now_ns);
  }
  if (result.code != 200) return Fail(Refusal(result, body_), now_ns);
  auto list = ParseKubernetesList(options_.resource, body_);
  body_ = std::string();
  if (!list.has_value()) {
    return Fail(absl::InvalidArgumentError(absl::StrCat(
                    result.effective_url, ": the answer is no list")),
                now_ns);
  }
  listed_.insert(listed_.end(), std::make_move_iterator(list->items.begin()),
                 std::make_move_iterator(list->items.end()));
  next_page_ = list->next;
  if (!next_page_.empty()) {
    version_.clear();
    return;
  }
  failures_ = 0;
  version_ = list->resource_version;
  watching_ = true;
  synced_ = true;
  consumer_.Replace(*this, std::exchange(listed_, {}));
}

void KubernetesWatch::TakeWatchEnd(const http::FetchResult& result,
                                   std::int64_t now_ns) {
  if (gone_ || result.code == kGone) {
    ListAnew();
    return;
  }
  if (!broken_.ok()) {
    ListAnew();
    return Fail(broken_, now_ns);
  }
  if (!result.status.ok()) return Fail(result.status, now_ns);
  if (result.code != 200) return Fail(Refusal(result, line_), now_ns);
  // A server that ends watches at once shall not be asked without pause.
  if (now_ns - started_ns_ < kShortWatchNs) Pause(now_ns);
}

void KubernetesWatch::TakePiece(absl::string_view piece) {
  for (;;) {
    const std::size_t end = piece.find('\n');
    if (end == absl::string_view::npos) break;
    absl::StrAppend(&line_, piece.substr(0, end));
    TakeLine(std::exchange(line_, {}));
    piece.remove_prefix(end + 1);
  }
  absl::StrAppend(&line_, piece);
  if (line_.size() > static_cast<std::size_t>(kMaxLineBytes) && broken_.ok()) {
    broken_ = absl::ResourceExhaustedError(
        absl::StrCat(options_.url, ": an event is too large"));
    Cancel();
  }
}

void KubernetesWatch::TakeLine(absl::string_view line) {
  if (line.empty() || !broken_.ok() || gone_) return;
  auto event = ParseKubernetesEvent(options_.resource, line);
  if (!event.has_value()) {
    broken_ = absl::InvalidArgumentError(
        absl::StrCat(options_.url, ": an event cannot be read"));
    Cancel();
    return;
  }
  if (event->type == KubernetesEvent::Type::kError) {
    gone_ = event->code == kGone;
    if (!gone_) {
      broken_ = absl::UnavailableError(
          absl::StrCat(options_.url, ": ", event->message));
    }
    return;
  }
  failures_ = 0;
  if (!event->resource_version.empty()) version_ = event->resource_version;
  if (event->type == KubernetesEvent::Type::kBookmark) return;
  consumer_.Change(*this, *std::move(event));
}

void KubernetesWatch::ListAnew() {
  watching_ = false;
  version_.clear();
  next_page_.clear();
  listed_.clear();
}

void KubernetesWatch::Fail(const absl::Status& status, std::int64_t now_ns) {
  Pause(now_ns);
  consumer_.Fail(*this, status);
}

void KubernetesWatch::Pause(std::int64_t now_ns) {
  const std::int64_t longest = std::min(
      options_.max_pause_ms, options_.min_pause_ms << std::min(failures_, 20));
  ++failures_;
  // Anywhere in the second half, so that many do not come at once.
  std::uniform_int_distribution<std::int64_t> pause(longest / 2, longest);
  due_ns_ = now_ns + pause(random_) * kNsPerMs;
}

}  // namespace narthex::discovery
