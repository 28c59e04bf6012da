#include "libs/http/server.h"

#include <openssl/ssl.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/context.hpp>
#include <chrono>
#include <thread>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "libs/base/clock.h"
#include "libs/base/status.h"
#include "libs/http/connection.h"
#include "libs/http/server_metrics.h"

namespace narthex::http {

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

// How long all threads must be busy without getting anywhere before another
// one joins them.
constexpr std::chrono::milliseconds kGrowthCheck{3};
constexpr std::chrono::milliseconds kSweepInterval{500};

struct HostPort {
  std::string host;
  std::string port;
};

absl::StatusOr<HostPort> SplitAddress(absl::string_view address) {
  const auto colon = address.rfind(':');
  int port = 0;
  if (colon == absl::string_view::npos ||
      !absl::SimpleAtoi(address.substr(colon + 1), &port) || port < 0 ||
      port > 65535) {
    return absl::InvalidArgumentError(
        absl::StrCat("listen address ", address, ": expected host:port"));
  }
  absl::string_view host = address.substr(0, colon);
  if (absl::ConsumePrefix(&host, "[")) absl::ConsumeSuffix(&host, "]");
  return HostPort{std::string(host), std::string(address.substr(colon + 1))};
}

absl::StatusOr<tcp::endpoint> Resolve(asio::io_context& io,
                                      absl::string_view address) {
  NARTHEX_ASSIGN_OR_RETURN(const HostPort parts, SplitAddress(address));
  if (parts.host.empty()) {
    int port = 0;
    (void)absl::SimpleAtoi(parts.port, &port);
    return tcp::endpoint(tcp::v6(), static_cast<std::uint16_t>(port));
  }
  boost::system::error_code error;
  tcp::resolver resolver(io);
  const auto found =
      resolver.resolve(parts.host, parts.port, tcp::resolver::passive, error);
  if (error || found.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("listen tcp ", address, ": lookup: ", error.message()));
  }
  return found.begin()->endpoint();
}

absl::Status ListenError(absl::string_view address, const char* step,
                         const boost::system::error_code& error) {
  std::string reason = error.message();
  if (!reason.empty())
    reason[0] = absl::ascii_tolower(static_cast<unsigned char>(reason[0]));
  return absl::UnavailableError(
      absl::StrCat("listen tcp ", address, ": ", step, ": ", reason));
}

// Zero leaves the choice to OpenSSL.
int ProtocolVersion(const std::string& name) {
  if (name == "TLS10") return TLS1_VERSION;
  if (name == "TLS11") return TLS1_1_VERSION;
  if (name == "TLS12") return TLS1_2_VERSION;
  if (name == "TLS13") return TLS1_3_VERSION;
  return 0;
}

int VerifyMode(ServerTls::ClientAuth auth) {
  switch (auth) {
    case ServerTls::ClientAuth::kNone:
      return SSL_VERIFY_NONE;
    case ServerTls::ClientAuth::kRequest:
    case ServerTls::ClientAuth::kVerifyIfGiven:
      return SSL_VERIFY_PEER;
    case ServerTls::ClientAuth::kRequireAny:
    case ServerTls::ClientAuth::kRequireAndVerify:
      return SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
  }
  return SSL_VERIFY_NONE;
}

absl::StatusOr<std::unique_ptr<asio::ssl::context>> MakeTls(
    const ServerTls& tls) {
  auto context =
      std::make_unique<asio::ssl::context>(asio::ssl::context::tls_server);
  boost::system::error_code error;
  SSL_CTX* const handle = context->native_handle();
  context->set_options(asio::ssl::context::default_workarounds, error);
  for (const std::string& name : {tls.min_version, tls.max_version}) {
    if (!name.empty() && ProtocolVersion(name) == 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("unknown TLS version: ", name));
    }
  }
  SSL_CTX_set_min_proto_version(handle, tls.min_version.empty()
                                            ? TLS1_2_VERSION
                                            : ProtocolVersion(tls.min_version));
  SSL_CTX_set_max_proto_version(handle, ProtocolVersion(tls.max_version));
  context->use_certificate_chain_file(tls.cert_file, error);
  if (error) {
    return absl::InvalidArgumentError(
        absl::StrCat("tls certificate ", tls.cert_file, ": ", error.message()));
  }
  context->use_private_key_file(tls.key_file, asio::ssl::context::pem, error);
  if (error) {
    return absl::InvalidArgumentError(
        absl::StrCat("tls key ", tls.key_file, ": ", error.message()));
  }
  // Without an authority, any certificate will do.
  int (*const accept_any)(int, X509_STORE_CTX*) = [](int, X509_STORE_CTX*) {
    return 1;
  };
  SSL_CTX_set_verify(handle, VerifyMode(tls.client_auth),
                     tls.client_ca_file.empty() ? accept_any : nullptr);
  if (tls.client_ca_file.empty()) return context;
  context->load_verify_file(tls.client_ca_file, error);
  if (error) {
    return absl::InvalidArgumentError(absl::StrCat(
        "tls client CA ", tls.client_ca_file, ": ", error.message()));
  }
  return context;
}

}  // namespace

// Threads run the io_context; a handler runs on the thread that read its
// request, which spares a hand-over, and a thread may wait for the next request
// of a client that asks one after the other. A supervisor adds threads when all
// are held up by slow handlers, and cuts off connections past their deadline.
class Server::State {
 public:
  State(ServerOptions options, const Router& router, base::Logger log)
      : options_(std::move(options)),
        context_(options_, router, std::move(log)),
        acceptor_(io_),
        work_(io_.get_executor()) {}

  absl::Status Listen();
  void Run();
  void Stop(std::int64_t timeout_ms);

  int port() const { return port_; }
  const std::string& address() const { return address_; }

 private:
  void SetUpMetrics();
  void Accept();
  void OnAccept(boost::system::error_code error, Socket socket);
  void OnClose();
  void OnHandlerStart();
  bool MayLinger();
  void OnHandlerEnd() {
    busy_.fetch_sub(1, std::memory_order_relaxed);
    completed_.fetch_add(1, std::memory_order_relaxed);
  }
  void AddThread() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Supervise();
  void Sweep(bool idle_too);
  bool NoConnections();

  const ServerOptions options_;
  ConnectionContext context_;
  std::unique_ptr<ServerMetrics> metrics_;
  std::unique_ptr<asio::ssl::context> tls_;
  asio::io_context io_;
  asio::basic_socket_acceptor<tcp, asio::io_context::executor_type> acceptor_;
  asio::executor_work_guard<asio::io_context::executor_type> work_;
  int port_ = 0;
  std::string address_;

  std::atomic<int> connections_{0};
  std::atomic<bool> accept_paused_{false};
  std::atomic<int> busy_{0};
  std::atomic<int> lingering_{0};
  std::atomic<std::uint64_t> completed_{0};
  std::atomic<int> thread_count_{0};
  std::atomic<bool> saturated_{false};

  base::Mutex mutex_;
  base::CondVar wake_;
  std::vector<std::thread> threads_ ABSL_GUARDED_BY(mutex_);
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  bool supervisor_stops_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread supervisor_;
};

absl::Status Server::State::Listen() {
  if (options_.tls != nullptr) {
    NARTHEX_ASSIGN_OR_RETURN(tls_, MakeTls(*options_.tls));
  }
  NARTHEX_ASSIGN_OR_RETURN(tcp::endpoint endpoint,
                           Resolve(io_, options_.address));
  boost::system::error_code error;
  acceptor_.open(endpoint.protocol(), error);
  if (error && endpoint.protocol() == tcp::v6()) {
    endpoint = tcp::endpoint(tcp::v4(), endpoint.port());  // No IPv6 here.
    acceptor_.open(endpoint.protocol(), error);
  }
  if (error) return ListenError(options_.address, "socket", error);
  acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
  if (endpoint.address().is_v6() && endpoint.address().is_unspecified()) {
    acceptor_.set_option(asio::ip::v6_only(false), error);
  }
  acceptor_.bind(endpoint, error);
  if (error) return ListenError(options_.address, "bind", error);
  acceptor_.listen(asio::socket_base::max_listen_connections, error);
  if (error) return ListenError(options_.address, "listen", error);
  port_ = acceptor_.local_endpoint(error).port();
  const auto colon = options_.address.rfind(':');
  address_ = absl::StrCat(options_.address.substr(0, colon), ":", port_);
  return absl::OkStatus();
}

void Server::State::SetUpMetrics() {
  if (options_.registry != nullptr) {
    metrics_ = std::make_unique<ServerMetrics>(*options_.registry);
  }
  if (metrics_ == nullptr && !options_.observer) return;
  context_.observe = [this](const Exchange& exchange) {
    if (metrics_ != nullptr) metrics_->Observe(exchange);
    if (options_.observer) options_.observer(exchange);
  };
}

void Server::State::Run() {
  SetUpMetrics();
  context_.on_handler_start = [this] { OnHandlerStart(); };
  context_.on_handler_end = [this] { OnHandlerEnd(); };
  context_.on_close = [this] { OnClose(); };
  context_.may_linger = [this] { return MayLinger(); };
  context_.on_lingered = [this] { --lingering_; };
  Accept();
  const int cores = static_cast<int>(std::thread::hardware_concurrency());
  const int threads =
      options_.threads > 0 ? options_.threads : std::max(2, cores);
  base::MutexLock lock(mutex_);
  for (int i = 0; i < threads; ++i) AddThread();
  supervisor_ = std::thread([this] { Supervise(); });
}

void Server::State::AddThread() {
  ++thread_count_;
  threads_.emplace_back([this] { io_.run(); });
}

void Server::State::Accept() {
  acceptor_.async_accept(
      io_.get_executor(),
      [this](boost::system::error_code error, Socket socket) {
        OnAccept(error, std::move(socket));
      });
}

void Server::State::OnAccept(boost::system::error_code error, Socket socket) {
  if (context_.stopping || error == asio::error::operation_aborted) return;
  if (error) {
    // Out of descriptors, most likely: the supervisor tries again later.
    context_.log.Warn("accept failed", {{"err", error.message()}});
    accept_paused_ = true;
    return;
  }
  const int open = ++connections_;
  if (metrics_ != nullptr) metrics_->CountAccepted();
  ServeConnection(std::move(socket), context_, tls_.get());
  if (open < options_.max_connections) return Accept();
  accept_paused_ = true;
  // The last one may have closed before the flag was up.
  if (connections_ < options_.max_connections &&
      accept_paused_.exchange(false)) {
    Accept();
  }
}

void Server::State::OnClose() {
  --connections_;
  if (metrics_ != nullptr) metrics_->CountClosed();
  if (context_.stopping) {
    base::MutexLock lock(mutex_);
    wake_.NotifyAll();
    return;
  }
  if (accept_paused_.exchange(false)) {
    asio::post(io_, [this] {
      if (!context_.stopping) Accept();
    });
  }
}

void Server::State::OnHandlerStart() {
  const int busy = busy_.fetch_add(1, std::memory_order_relaxed) + 1;
  if (busy < thread_count_.load(std::memory_order_relaxed)) return;
  if (saturated_.load(std::memory_order_relaxed)) return;
  saturated_ = true;
  base::MutexLock lock(mutex_);
  wake_.NotifyAll();
}

// As long as another thread is left for all other connections.
bool Server::State::MayLinger() {
  if (++lingering_ + busy_ < thread_count_) return true;
  --lingering_;
  return false;
}

void Server::State::Supervise() {
  const auto saturated = [this] { return busy_ >= thread_count_; };
  const int max_threads = options_.max_connections + thread_count_;
  auto next_sweep = std::chrono::steady_clock::now() + kSweepInterval;
  bool was_saturated = false;
  std::uint64_t completed_before = 0;
  while (true) {
    {
      base::MutexLock lock(mutex_);
      if (!supervisor_stops_ && !saturated_)
        wake_.WaitFor(mutex_, kSweepInterval);
      else if (!supervisor_stops_)
        wake_.WaitFor(mutex_, kGrowthCheck);
      if (supervisor_stops_) return;
      const std::uint64_t completed = completed_;
      const auto threads = static_cast<std::uint64_t>(thread_count_);
      const bool stuck = was_saturated && saturated() &&
                         completed - completed_before < threads;
      if (stuck && thread_count_ < max_threads) AddThread();
      was_saturated = saturated();
      saturated_ = was_saturated;
      completed_before = completed;
    }
    if (std::chrono::steady_clock::now() < next_sweep) continue;
    next_sweep = std::chrono::steady_clock::now() + kSweepInterval;
    Sweep(/*idle_too=*/false);
    if (connections_ < options_.max_connections && !context_.stopping &&
        accept_paused_.exchange(false)) {
      asio::post(io_, [this] { Accept(); });
    }
  }
}

void Server::State::Sweep(bool idle_too) {
  const std::int64_t now = base::Clock::System().MonotonicNs();
  base::MutexLock lock(context_.mutex);
  for (Connection* connection : context_.open) {
    const std::int64_t deadline = connection->deadline_ns();
    if ((deadline != 0 && deadline < now) || (idle_too && connection->idle())) {
      connection->CutOff();
    }
  }
}

bool Server::State::NoConnections() {
  base::MutexLock lock(context_.mutex);
  return context_.open.empty();
}

void Server::State::Stop(std::int64_t timeout_ms) {
  {
    base::MutexLock lock(mutex_);
    if (stopped_) return;
    stopped_ = true;
  }
  context_.stopping = true;
  asio::post(io_, [this] {
    boost::system::error_code ignored;
    acceptor_.close(ignored);
  });
  const auto deadline =
      std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms);
  while (!NoConnections()) {
    // A connection may become idle at any moment: look again and again.
    Sweep(/*idle_too=*/true);
    if (std::chrono::steady_clock::now() > deadline) {
      base::MutexLock lock(context_.mutex);
      for (Connection* connection : context_.open) connection->CutOff();
    }
    base::MutexLock lock(mutex_);
    wake_.WaitFor(mutex_, std::chrono::milliseconds(5));
  }
  work_.reset();
  std::vector<std::thread> threads;
  {
    base::MutexLock lock(mutex_);
    supervisor_stops_ = true;
    wake_.NotifyAll();
  }
  if (supervisor_.joinable()) supervisor_.join();
  {
    base::MutexLock lock(mutex_);
    threads.swap(threads_);
  }
  for (std::thread& thread : threads) thread.join();
}

absl::StatusOr<std::unique_ptr<Server>> Server::Start(ServerOptions options,
                                                      const Router& router,
                                                      base::Logger log) {
  auto state =
      std::make_shared<State>(std::move(options), router, std::move(log));
  NARTHEX_RETURN_IF_ERROR(state->Listen());
  state->Run();
  return std::unique_ptr<Server>(new Server(std::move(state)));
}

Server::Server(std::shared_ptr<State> state) : state_(std::move(state)) {}
Server::~Server() { Stop(1000); }
int Server::port() const { return state_->port(); }
const std::string& Server::address() const { return state_->address(); }
void Server::Stop(std::int64_t timeout_ms) { state_->Stop(timeout_ms); }

}  // namespace narthex::http
