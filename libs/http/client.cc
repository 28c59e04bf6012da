#include "libs/http/client.h"

#include <curl/curl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <future>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "libs/base/clock.h"
#include "libs/base/file.h"
#include "libs/base/hash.h"
#include "libs/base/mutex.h"
#include "libs/http/direct_loop.h"
#include "libs/http/token_source.h"
#include "libs/http/transfer.h"
#include "libs/http/url.h"

namespace narthex::http {

namespace {

constexpr int kMaxEvents = 256;
constexpr std::size_t kMaxSpareHandles = 1024;
// libcurl looks through all connections of a multi handle after every
// exchange, so they are shared out among so many, by host.
constexpr std::size_t kGroups = 16;
// In place of a group's number in an event: the eventfd.
constexpr std::uint64_t kWake = kGroups;
constexpr std::int64_t kTokenIdleNs = 3'600'000'000'000;

absl::Status CancelledError() {
  return absl::CancelledError("context canceled");
}

}  // namespace

// The event loop: libcurl's sockets in an epoll set, its timers as the
// timeout of the wait, new requests through a queue and an eventfd.
class Client::Loop {
 public:
  explicit Loop(ClientOptions options);
  ~Loop();

  // `claim` is what counts the body, if anything does.
  FetchId Start(FetchRequest request, std::string* body, Callback done,
                BodyClaim* claim = nullptr);
  void Cancel(FetchId id);

 private:
  // The exchanges with some of the hosts: a multi handle and its timer.
  struct Group {
    int epoll = -1;
    std::uint64_t number = 0;
    CURLM* multi = nullptr;
    std::int64_t timer_ns = -1;
  };
  struct Running {
    std::unique_ptr<Transfer> transfer;
    Group* group = nullptr;
  };

  void Run();
  void OnEvent(const epoll_event& event);
  void RunTimers();
  Group& GroupOf(const Transfer& transfer);
  void Wake() const;
  void TakeCommands();
  void Begin(std::unique_ptr<Transfer> transfer);
  void Exchange(std::unique_ptr<Transfer> transfer);
  TokenSource& SourceOf(const OAuth2& config);
  void WaitForToken(TokenSource& source, std::unique_ptr<Transfer> transfer);
  void AskForToken(TokenSource& source);
  void TakeToken(TokenSource& source, const FetchResult& result);
  void EndWaiting(TokenSource& source, const absl::Status& status);
  void EndLateWaiting();
  bool CancelWaiting(FetchId id);
  bool HasWaiting() const;
  void CheckFinished(Group& group);
  void End(Transfer* transfer, CURLcode code);
  int WaitMs() const;
  CURL* TakeHandle();
  void ReturnHandle(CURL* easy);

  static int OnSocket(CURL*, curl_socket_t fd, int what, void* self,
                      void* known);
  static int OnTimer(CURLM*, long timeout_ms, void* self);

  const ClientOptions options_;
  std::array<Group, kGroups> groups_;
  base::UniqueFd epoll_;
  base::UniqueFd wake_;
  std::atomic<FetchId> next_id_{1};

  base::Mutex mutex_;
  std::vector<std::unique_ptr<Transfer>> queue_ ABSL_GUARDED_BY(mutex_);
  std::vector<FetchId> cancels_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;

  // Of the loop's thread alone.
  absl::flat_hash_map<FetchId, Running> running_;
  std::vector<std::unique_ptr<TokenSource>> tokens_;
  std::vector<CURL*> spare_;

  std::thread thread_;
};

Client::Loop::Loop(ClientOptions options) : options_(std::move(options)) {
  // The only process-wide set-up libcurl needs.
  static std::once_flag initialised;
  std::call_once(initialised, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
  epoll_ = base::UniqueFd(epoll_create1(EPOLL_CLOEXEC));
  wake_ = base::UniqueFd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = kWake;
  epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wake_.get(), &event);
  for (std::size_t i = 0; i < kGroups; ++i) {
    Group& group = groups_[i];
    group.epoll = epoll_.get();
    group.number = i;
    group.multi = curl_multi_init();
    curl_multi_setopt(group.multi, CURLMOPT_SOCKETFUNCTION, &Loop::OnSocket);
    curl_multi_setopt(group.multi, CURLMOPT_SOCKETDATA, &group);
    curl_multi_setopt(group.multi, CURLMOPT_TIMERFUNCTION, &Loop::OnTimer);
    curl_multi_setopt(group.multi, CURLMOPT_TIMERDATA, &group);
    // More than a share, as the hosts are not spread evenly.
    const std::size_t idle =
        static_cast<std::size_t>(options_.max_idle_connections);
    curl_multi_setopt(group.multi, CURLMOPT_MAXCONNECTS,
                      static_cast<long>(std::min(idle, idle / kGroups + 100)));
  }
  thread_ = std::thread([this] { Run(); });
}

Client::Loop::~Loop() {
  {
    base::MutexLock lock(mutex_);
    stopping_ = true;
  }
  Wake();
  thread_.join();
  for (CURL* easy : spare_) curl_easy_cleanup(easy);
  for (Group& group : groups_) curl_multi_cleanup(group.multi);
}

Client::FetchId Client::Loop::Start(FetchRequest request, std::string* body,
                                    Callback done, BodyClaim* claim) {
  const FetchId id = next_id_.fetch_add(1);
  auto transfer =
      std::make_unique<Transfer>(id, std::move(request), body, std::move(done));
  transfer->set_claim(claim);
  {
    base::MutexLock lock(mutex_);
    queue_.push_back(std::move(transfer));
    if (queue_.size() > 1) return id;  // The loop is awake already.
  }
  Wake();
  return id;
}

void Client::Loop::Cancel(FetchId id) {
  {
    base::MutexLock lock(mutex_);
    cancels_.push_back(id);
  }
  Wake();
}

void Client::Loop::Wake() const {
  const std::uint64_t one = 1;
  // Full means that a wake-up is pending.
  [[maybe_unused]] const auto written = write(wake_.get(), &one, sizeof(one));
}

void Client::Loop::Run() {
  epoll_event events[kMaxEvents];
  while (true) {
    const int count = epoll_wait(epoll_.get(), events, kMaxEvents, WaitMs());
    for (int i = 0; i < count; ++i) OnEvent(events[i]);
    RunTimers();
    for (Group& group : groups_) CheckFinished(group);
    TakeCommands();
    if (HasWaiting()) EndLateWaiting();
    base::MutexLock lock(mutex_);
    if (stopping_ && queue_.empty() && running_.empty()) return;
  }
}

void Client::Loop::OnEvent(const epoll_event& event) {
  if (event.data.u64 == kWake) {
    std::uint64_t value = 0;
    [[maybe_unused]] const auto got = read(wake_.get(), &value, sizeof(value));
    return;
  }
  int mask = 0;
  if ((event.events & EPOLLIN) != 0) mask |= CURL_CSELECT_IN;
  if ((event.events & EPOLLOUT) != 0) mask |= CURL_CSELECT_OUT;
  if ((event.events & (EPOLLERR | EPOLLHUP)) != 0) mask |= CURL_CSELECT_ERR;
  const Group& group = groups_[event.data.u64 & 0xffffffff];
  int ignored = 0;
  curl_multi_socket_action(group.multi,
                           static_cast<curl_socket_t>(event.data.u64 >> 32),
                           mask, &ignored);
}

void Client::Loop::RunTimers() {
  const std::int64_t now = base::Clock::System().MonotonicNs();
  for (Group& group : groups_) {
    if (group.timer_ns < 0 || group.timer_ns > now) continue;
    group.timer_ns = -1;
    int ignored = 0;
    curl_multi_socket_action(group.multi, CURL_SOCKET_TIMEOUT, 0, &ignored);
  }
}

Client::Loop::Group& Client::Loop::GroupOf(const Transfer& transfer) {
  return groups_[base::XxHash64(UrlHostPort(transfer.url())) % kGroups];
}

int Client::Loop::WaitMs() const {
  // libcurl's timer knows nothing of those that wait for a token.
  const int longest_ms = HasWaiting() ? 50 : 10'000;
  std::int64_t first_ns = -1;
  for (const Group& group : groups_) {
    if (group.timer_ns < 0) continue;
    if (first_ns < 0 || group.timer_ns < first_ns) first_ns = group.timer_ns;
  }
  if (first_ns < 0) return longest_ms;
  const std::int64_t left = first_ns - base::Clock::System().MonotonicNs();
  if (left <= 0) return 0;
  return static_cast<int>(
      std::min<std::int64_t>(left / 1'000'000 + 1, longest_ms));
}

void Client::Loop::TakeCommands() {
  std::vector<std::unique_ptr<Transfer>> queue;
  std::vector<FetchId> cancels;
  bool stopping = false;
  {
    base::MutexLock lock(mutex_);
    queue.swap(queue_);
    cancels.swap(cancels_);
    stopping = stopping_;
  }
  for (auto& transfer : queue) {
    if (stopping) {
      transfer->Report(CancelledError());
    } else {
      Begin(std::move(transfer));
    }
  }
  if (stopping) {
    for (const auto& [id, running] : running_) cancels.push_back(id);
  }
  for (const FetchId id : cancels) {
    const auto it = running_.find(id);
    if (it == running_.end()) {
      CancelWaiting(id);
      continue;
    }
    const auto [transfer, group] = std::move(it->second);
    running_.erase(it);
    curl_multi_remove_handle(group->multi, transfer->easy());
    ReturnHandle(transfer->easy());
    transfer->Report(CancelledError());
  }
}

void Client::Loop::Begin(std::unique_ptr<Transfer> transfer) {
  if (const OAuth2* config = transfer->NeedsToken()) {
    WaitForToken(SourceOf(*config), std::move(transfer));
  } else {
    Exchange(std::move(transfer));
  }
}

TokenSource& Client::Loop::SourceOf(const OAuth2& config) {
  const std::int64_t now = base::Clock::System().MonotonicNs();
  // Configurations come and go with reloads.
  std::erase_if(tokens_, [now](const auto& source) {
    return source->waiting.empty() && !source->asking &&
           now - source->last_used_ns > kTokenIdleNs;
  });
  auto it = std::find_if(
      tokens_.begin(), tokens_.end(),
      [&config](const auto& source) { return source->config() == config; });
  if (it == tokens_.end()) {
    it = tokens_.insert(it, std::make_unique<TokenSource>(config));
  }
  (*it)->last_used_ns = now;
  return **it;
}

void Client::Loop::WaitForToken(TokenSource& source,
                                std::unique_ptr<Transfer> transfer) {
  if (const absl::Status status = source.ReadCredential(); !status.ok()) {
    transfer->ReportFailure(status);
    return;
  }
  const std::int64_t now = base::Clock::System().MonotonicNs();
  if (const std::string* token = source.Valid(now)) {
    transfer->set_token(*token);
    Exchange(std::move(transfer));
    return;
  }
  source.waiting.push_back(std::move(transfer));
  // Whoever comes first asks for all.
  if (!source.asking) AskForToken(source);
}

void Client::Loop::AskForToken(TokenSource& source) {
  auto request = source.Request(base::Clock::System().NowMs() / 1000);
  if (!request.ok()) {
    EndWaiting(source, request.status());
    return;
  }
  source.asking = true;
  Exchange(std::make_unique<Transfer>(
      next_id_.fetch_add(1), *std::move(request), &source.body,
      [this, &source](const FetchResult& result) {
        source.asking = false;
        TakeToken(source, result);
      }));
}

void Client::Loop::TakeToken(TokenSource& source, const FetchResult& result) {
  bool again = false;
  const absl::Status status =
      source.Take(result, base::Clock::System().MonotonicNs(), &again);
  if (again) {
    AskForToken(source);
  } else {
    EndWaiting(source, status);
  }
}

void Client::Loop::EndWaiting(TokenSource& source, const absl::Status& status) {
  for (auto& transfer : std::exchange(source.waiting, {})) {
    if (status.ok()) {
      transfer->set_token(source.authorization());
      Exchange(std::move(transfer));
    } else {
      transfer->ReportFailure(status);
    }
  }
}

void Client::Loop::EndLateWaiting() {
  const std::int64_t now = base::Clock::System().MonotonicNs();
  for (const auto& source : tokens_) {
    for (auto& transfer : source->waiting) {
      if (!transfer->IsLate(now)) continue;
      transfer->ReportFailure(
          absl::DeadlineExceededError("context deadline exceeded"));
      transfer = nullptr;
    }
    std::erase(source->waiting, nullptr);
  }
}

bool Client::Loop::CancelWaiting(FetchId id) {
  for (const auto& source : tokens_) {
    const auto it =
        std::find_if(source->waiting.begin(), source->waiting.end(),
                     [id](const auto& waiting) { return waiting->id() == id; });
    if (it == source->waiting.end()) continue;
    const std::unique_ptr<Transfer> transfer = std::move(*it);
    source->waiting.erase(it);
    transfer->Report(CancelledError());
    return true;
  }
  return false;
}

bool Client::Loop::HasWaiting() const {
  return std::any_of(tokens_.begin(), tokens_.end(), [](const auto& source) {
    return !source->waiting.empty();
  });
}

void Client::Loop::Exchange(std::unique_ptr<Transfer> transfer) {
  CURL* easy = TakeHandle();
  if (const absl::Status status = transfer->Configure(easy, options_);
      !status.ok()) {
    ReturnHandle(easy);
    transfer->ReportFailure(status);
    return;
  }
  Group& group = GroupOf(*transfer);
  curl_multi_add_handle(group.multi, easy);
  const FetchId id = transfer->id();
  running_.emplace(id, Running{std::move(transfer), &group});
}

void Client::Loop::CheckFinished(Group& group) {
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(group.multi, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    const CURLcode code = message->data.result;
    Transfer* transfer = nullptr;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
    End(transfer, code);
  }
}

void Client::Loop::End(Transfer* finished, CURLcode code) {
  const auto it = running_.find(finished->id());
  auto [transfer, group] = std::move(it->second);
  running_.erase(it);
  CURL* easy = transfer->easy();
  const bool again = transfer->Finish(code);
  curl_multi_remove_handle(group->multi, easy);
  ReturnHandle(easy);
  if (again) {
    Begin(std::move(transfer));
  } else {
    transfer->Report();
  }
}

CURL* Client::Loop::TakeHandle() {
  if (spare_.empty()) return curl_easy_init();
  CURL* easy = spare_.back();
  spare_.pop_back();
  return easy;
}

void Client::Loop::ReturnHandle(CURL* easy) {
  if (spare_.size() < kMaxSpareHandles) {
    // It still points to the finished request.
    curl_easy_reset(easy);
    spare_.push_back(easy);
  } else {
    curl_easy_cleanup(easy);
  }
}

int Client::Loop::OnSocket(CURL*, curl_socket_t fd, int what, void* self,
                           void* known) {
  auto& group = *static_cast<Group*>(self);
  if (what == CURL_POLL_REMOVE) {
    epoll_ctl(group.epoll, EPOLL_CTL_DEL, fd, nullptr);
    return 0;
  }
  epoll_event event{};
  event.data.u64 = static_cast<std::uint64_t>(fd) << 32 | group.number;
  if ((what & CURL_POLL_IN) != 0) event.events |= EPOLLIN;
  if ((what & CURL_POLL_OUT) != 0) event.events |= EPOLLOUT;
  epoll_ctl(group.epoll, known == nullptr ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd,
            &event);
  // Any non-null mark says that the socket is in the set.
  if (known == nullptr) curl_multi_assign(group.multi, fd, &group);
  return 0;
}

int Client::Loop::OnTimer(CURLM*, long timeout_ms, void* self) {
  auto& group = *static_cast<Group*>(self);
  group.timer_ns = timeout_ms < 0 ? -1
                                  : base::Clock::System().MonotonicNs() +
                                        timeout_ms * 1'000'000;
  return 0;
}

Client::Client(ClientOptions options)
    : options_(options), loop_(std::make_unique<Loop>(std::move(options))) {}

Client::~Client() {
  base::MutexLock lock(mutex_);
  // Each may hand requests to the other until it has stopped.
  if (direct_ != nullptr) direct_->Stop();
  loop_.reset();
}

void Client::Fetch(FetchRequest request, BodyCallback done) {
  if (!IsDirect(request)) {
    FetchByLoop(std::move(request), std::move(done));
    return;
  }
  DirectLoop* direct = nullptr;
  {
    base::MutexLock lock(mutex_);
    if (direct_ == nullptr) {
      direct_ = std::make_unique<DirectLoop>(
          options_, [this](FetchRequest other, BodyCallback other_done) {
            FetchByLoop(std::move(other), std::move(other_done));
          });
    }
    direct = direct_.get();
  }
  direct->Fetch(std::move(request), std::move(done));
}

void Client::FetchByLoop(FetchRequest request, BodyCallback done) {
  auto body = std::make_shared<ReceivedBody>();
  body->claim = BodyClaim(request.budget);
  std::string* const buffer = &body->buffer;
  BodyClaim* const claim = &body->claim;
  loop_->Start(
      std::move(request), buffer,
      [body, done = std::move(done)](FetchResult result) {
        body->size = body->buffer.size();
        done(std::move(result), *body);
      },
      claim);
}

Client::FetchId Client::Fetch(FetchRequest request, std::string* body,
                              Callback done) {
  return loop_->Start(std::move(request), body, std::move(done));
}

void Client::Cancel(FetchId id) { loop_->Cancel(id); }

FetchResult Client::Fetch(FetchRequest request, std::string* body) {
  std::promise<FetchResult> promise;
  loop_->Start(std::move(request), body, [&promise](FetchResult result) {
    promise.set_value(std::move(result));
  });
  return promise.get_future().get();
}

}  // namespace narthex::http
