#include "libs/http/connection.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <cerrno>
#include <limits>
#include <optional>
#include <type_traits>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "libs/base/clock.h"
#include "libs/http/gzip.h"
#include "libs/http/response_head.h"

namespace narthex::http {

namespace asio = boost::asio;
namespace beast = boost::beast;

namespace {

constexpr std::size_t kWriteStep = 256 << 10;
// After an error answer, so much of what the client still sends is read and
// dropped: closing at once would reset the connection before it is read.
constexpr std::size_t kMaxDrainedBytes = 8 << 20;
constexpr std::int64_t kDrainTimeoutMs = 2000;
// A client whose next request came within this time after an answer is
// expected to do so again.
constexpr std::int64_t kLingerNs = 1'000'000;
constexpr std::size_t kFirstRead = 4 << 10;

std::int64_t NowNs() { return base::Clock::System().MonotonicNs(); }

absl::string_view View(beast::string_view text) {
  return {text.data(), text.size()};
}

template <typename Stream>
class StreamConnection final
    : public Connection,
      public std::enable_shared_from_this<StreamConnection<Stream>> {
 public:
  StreamConnection(Stream stream, ConnectionContext& context)
      : Connection(beast::get_lowest_layer(stream).native_handle()),
        stream_(std::move(stream)),
        context_(context),
        protocol_(LocalProtocol()),
        remote_address_(RemoteAddress()) {
    base::MutexLock lock(context_.mutex);
    context_.open.insert(this);
  }

  ~StreamConnection() override {
    {
      base::MutexLock lock(context_.mutex);
      context_.open.erase(this);
    }
    if (detached_) {
      ::close(fd());
    } else {
      boost::system::error_code ignored;
      beast::get_lowest_layer(stream_).close(ignored);
    }
    context_.on_close();
  }

  Stream& stream() { return stream_; }
  void ExpectHandshake() { ExpectWithin(context_.options.read_timeout_ms); }

  void ReadRequest() {
    if (context_.stopping) return;
    Prepare();
    AwaitHead();
  }

 private:
  static constexpr bool kPlain = std::is_same_v<Stream, Socket>;

  void Prepare() {
    request_ = Request();
    route_ = nullptr;
    expects_continue_ = false;
    parser_.emplace();
    parser_->header_limit(
        static_cast<std::uint32_t>(context_.options.max_header_bytes));
    // The limit is the route's, known only after the head.
    parser_->body_limit(std::numeric_limits<std::uint64_t>::max());
    ExpectWithin(context_.options.read_timeout_ms);
    idle_ = true;
  }

  void AwaitHead() {
    Attach();
    beast::http::async_read_header(stream_, buffer_, *parser_,
                                   [self = this->shared_from_this()](
                                       boost::system::error_code error,
                                       std::size_t) { self->OnHead(error); });
  }

  void OnHead(boost::system::error_code error) {
    if (Begin(error)) Dispatch();
  }

  // True when that was the whole request; otherwise it is seen to.
  bool Begin(boost::system::error_code error) {
    idle_ = false;
    if (error) {
      OnReadError(error);
      return false;
    }
    started_ns_ = NowNs();
    if (!TakeHead()) {
      Refuse(400, "malformed request");
      return false;
    }
    if (!http_1_0_ && !request_.headers.Has("Host")) {
      Refuse(400, "missing required Host header");
      return false;
    }
    route_ = context_.router.Find(request_.raw_path);
    if (parser_->is_done()) return true;

    const std::size_t limit =
        route_ ? route_->options().max_body_bytes : kMaxDrainedBytes;
    if (parser_->content_length().value_or(0) > limit) {
      Refuse(413, "http: request body too large");
      return false;
    }
    parser_->body_limit(limit);
    if (expects_continue_ && !WriteAll("HTTP/1.1 100 Continue\r\n\r\n")) {
      return false;
    }
    AwaitBody();
    return false;
  }

  void AwaitBody() {
    Attach();
    beast::http::async_read(stream_, buffer_, *parser_,
                            [self = this->shared_from_this()](
                                boost::system::error_code result, std::size_t) {
                              if (result) return self->OnReadError(result);
                              self->request_.body =
                                  std::move(self->parser_->get().body());
                              self->Dispatch();
                            });
  }

  bool TakeHead() {
    const auto& message = parser_->get();
    const auto target = View(message.target());
    request_.method = std::string(View(message.method_string()));
    for (const auto& field : message.base()) {
      request_.headers.Add(View(field.name_string()), View(field.value()));
    }
    expects_continue_ =
        absl::EqualsIgnoreCase(request_.headers.Get("Expect"), "100-continue");
    http_1_0_ = message.version() < 11;
    keep_alive_ = message.keep_alive();
    return FillTarget(target, &request_);
  }

  void OnReadError(boost::system::error_code error) {
    using Code = beast::http::error;
    if (error == Code::body_limit) {
      return Refuse(413, "http: request body too large");
    }
    if (error == Code::header_limit) {
      return Refuse(431, "request header fields too large");
    }
    const bool malformed =
        error.category() == make_error_code(Code::bad_method).category() &&
        error != Code::end_of_stream && error != Code::partial_message;
    if (malformed) Refuse(400, absl::StrCat("bad request: ", error.message()));
  }

  // Answers without a handler and closes.
  void Refuse(int status, absl::string_view message) {
    Response response;
    response.Error(status, message);
    keep_alive_ = false;
    if (WriteResponse(response)) Drain();
    Observe(response);
  }

  void Drain() {
    ::shutdown(fd(), SHUT_WR);
    Attach();
    ExpectWithin(kDrainTimeoutMs);
    DrainSome(kMaxDrainedBytes);
  }

  void DrainSome(std::size_t left) {
    buffer_.clear();
    stream_.async_read_some(
        buffer_.prepare(64 << 10),
        [self = this->shared_from_this(), left](boost::system::error_code error,
                                                std::size_t size) {
          if (!error && size < left) self->DrainSome(left - size);
        });
  }

  // Answers the request, and those that follow at once.
  void Dispatch() {
    for (;;) {
      if (!Answer() || !keep_alive_) {
        if (!reset_on_close_) ::shutdown(fd(), SHUT_WR);
        return;
      }
      if (context_.stopping) return;
      const std::int64_t answered_ns = NowNs();
      const bool soon = answered_before_ns_ != 0 &&
                        started_ns_ - answered_before_ns_ < kLingerNs;
      answered_before_ns_ = answered_ns;
      Prepare();
      if (!soon || !ReadSoon()) return AwaitHead();
      if (!Begin(read_error_)) return;
    }
  }

  // Waits on this thread for a request that will come soon: to be told of it
  // by the reactor wakes another thread. False when there is no whole head yet.
  bool ReadSoon() {
    if (!kPlain || buffer_.size() > 0 || !context_.may_linger()) return false;
    Detach();
    pollfd state{fd(), POLLIN, 0};
    const timespec linger{0, kLingerNs};
    const bool readable = ::ppoll(&state, 1, &linger, nullptr) > 0;
    context_.on_lingered();
    if (!readable) return false;
    const auto space = buffer_.prepare(kFirstRead);
    const ssize_t size = ::recv(fd(), space.data(), space.size(), MSG_DONTWAIT);
    if (size <= 0) return false;
    buffer_.commit(static_cast<std::size_t>(size));
    read_error_ = {};
    buffer_.consume(parser_->put(buffer_.data(), read_error_));
    return read_error_ != beast::http::error::need_more;
  }

  // Takes the socket out of the reactor, or gives it back.
  void Detach() {
    if constexpr (kPlain) {
      if (detached_) return;
      boost::system::error_code error;
      stream_.release(error);
      detached_ = !error;
    }
  }
  void Attach() {
    if constexpr (kPlain) {
      if (!detached_) return;
      boost::system::error_code error;
      stream_.assign(protocol_, fd(), error);
      detached_ = static_cast<bool>(error);
    }
  }

  // False when the connection is gone.
  bool Answer() {
    FillParams(&request_);
    request_.remote_address = remote_address_;
    request_.is_cancelled = [this] { return HungUp(); };
    // A handler takes the time it needs; only writing has a limit.
    deadline_ns_ = 0;
    Response response;
    response.set_sink([this](Response& answer, absl::string_view chunk) {
      return WriteChunk(answer, chunk);
    });
    context_.on_handler_start();
    if (context_.options.admit && !context_.options.admit(request_, response)) {
      // Answered already.
    } else if (route_) {
      context_.router.Serve(*route_, request_, response);
    } else {
      context_.router.ServeUnknown(request_, response);
    }
    const bool open =
        response.streaming() ? EndStream(response) : WriteResponse(response);
    context_.on_handler_end();
    Observe(response);
    return open;
  }

  bool WantsGzip(const Response& response) const {
    return !response.headers().Has("Content-Encoding") &&
           IsCompressible(response.headers().Get("Content-Type")) &&
           AcceptsGzip(request_.headers.Get("Accept-Encoding"));
  }

  bool WriteResponse(Response& response) {
    keep_alive_ = keep_alive_ && !context_.stopping;
    if (response.body().size() >= context_.options.min_gzip_bytes &&
        WantsGzip(response)) {
      std::string compressed;
      GzipCompress(response.body(), &compressed);
      response.body() = std::move(compressed);
      response.headers().Set("Content-Encoding", "gzip");
      response.headers().Add("Vary", "Accept-Encoding");
    }
    const std::string head =
        ResponseHead(response, {.keep_alive = keep_alive_,
                                .http_1_0 = http_1_0_,
                                .content_length = response.body().size()});
    const bool has_body = request_.method != "HEAD" &&
                          response.status() != 204 && response.status() != 304;
    written_bytes_ = has_body ? response.body().size() : 0;
    return WriteAll(head, has_body ? absl::string_view(response.body())
                                   : absl::string_view());
  }

  absl::Status WriteChunk(Response& response, absl::string_view chunk) {
    bool open = true;
    if (!stream_started_) {
      stream_started_ = true;
      written_bytes_ = 0;
      // HTTP/1.0 has no chunks: the end of the connection ends the body.
      keep_alive_ = keep_alive_ && !http_1_0_ && !context_.stopping;
      if (WantsGzip(response)) {
        gzip_ = std::make_unique<GzipStream>();
        response.headers().Set("Content-Encoding", "gzip");
        response.headers().Add("Vary", "Accept-Encoding");
      }
      open = WriteAll(ResponseHead(response, {.keep_alive = keep_alive_,
                                              .http_1_0 = http_1_0_,
                                              .content_length = {}}));
    }
    if (gzip_ != nullptr) {
      std::string compressed;
      gzip_->Add(chunk, /*last=*/false, &compressed);
      open = open && WriteFramed(compressed);
    } else {
      open = open && WriteFramed(chunk);
    }
    if (open) return absl::OkStatus();
    stream_lost_ = true;
    return absl::CancelledError("the client closed the connection");
  }

  bool EndStream(Response& response) {
    if (!response.abort_reason().empty()) return AbortStream(response);
    bool open = WriteChunk(response, response.body()).ok();
    if (gzip_ != nullptr) {
      std::string rest;
      gzip_->Add({}, /*last=*/true, &rest);
      open = open && WriteFramed(rest);
      gzip_ = nullptr;
    }
    if (!http_1_0_ && request_.method != "HEAD") {
      open = open && WriteAll("0\r\n\r\n");
    }
    stream_started_ = false;
    return open;
  }

  // Chunks without a last one tell that something is missing; a body that ends
  // with its connection does so only when that is reset.
  bool AbortStream(const Response& response) {
    gzip_ = nullptr;
    if (http_1_0_) {
      const linger at_once{1, 0};
      reset_on_close_ = ::setsockopt(fd(), SOL_SOCKET, SO_LINGER, &at_once,
                                     sizeof(at_once)) == 0;
    }
    if (stream_lost_) return false;
    aborted_ = true;
    context_.log.Warn("broke off an answer under way",
                      {{"handler", route_ ? route_->name() : request_.path},
                       {"err", response.abort_reason()}});
    return false;
  }

  bool WriteFramed(absl::string_view data) {
    if (data.empty() || request_.method == "HEAD") return true;
    written_bytes_ += data.size();
    if (http_1_0_) return WriteAll(data);
    return WriteAll(absl::StrFormat("%x\r\n", data.size()), data, "\r\n");
  }

  // Writes all parts, waiting for a slow client as long as it makes progress.
  // False when the connection is gone.
  bool WriteAll(absl::string_view head, absl::string_view middle = {},
                absl::string_view tail = {}) {
    const std::array<asio::const_buffer, 3> buffers{
        asio::const_buffer(head.data(), head.size()),
        asio::const_buffer(middle.data(), middle.size()),
        asio::const_buffer(tail.data(), tail.size())};
    if (asio::buffer_size(buffers) <= kWriteStep) return WriteStep(buffers);
    for (asio::const_buffer buffer : buffers) {
      while (buffer.size() > 0) {
        if (!WriteStep(asio::buffer(buffer, kWriteStep))) return false;
        buffer += kWriteStep;
      }
    }
    return true;
  }

  template <typename Buffers>
  bool WriteStep(const Buffers& buffers) {
    ExpectWithin(context_.options.write_timeout_ms);
    if constexpr (kPlain) {
      return SendAll(buffers);
    } else {
      boost::system::error_code error;
      asio::write(stream_, buffers, error);
      return !error;
    }
  }

  template <typename Buffers>
  bool SendAll(const Buffers& buffers) {
    std::array<iovec, 3> parts{};
    std::size_t count = 0;
    for (auto it = asio::buffer_sequence_begin(buffers);
         it != asio::buffer_sequence_end(buffers); ++it) {
      const asio::const_buffer buffer(*it);
      if (buffer.size() == 0) continue;
      parts[count++] = {const_cast<void*>(buffer.data()), buffer.size()};
    }
    msghdr message{};
    message.msg_iov = parts.data();
    message.msg_iovlen = count;
    while (message.msg_iovlen > 0) {
      const ssize_t sent = ::sendmsg(fd(), &message, MSG_NOSIGNAL);
      if (sent < 0) {
        if (errno == EINTR) continue;
        pollfd state{fd(), POLLOUT, 0};
        if (errno != EAGAIN || ::poll(&state, 1, -1) < 0) return false;
        continue;
      }
      auto left = static_cast<std::size_t>(sent);
      while (message.msg_iovlen > 0 && left >= message.msg_iov->iov_len) {
        left -= message.msg_iov->iov_len;
        ++message.msg_iov;
        --message.msg_iovlen;
      }
      if (message.msg_iovlen == 0) break;
      message.msg_iov->iov_base =
          static_cast<char*>(message.msg_iov->iov_base) + left;
      message.msg_iov->iov_len -= left;
    }
    return true;
  }

  // Whether the peer has closed its side, even behind unread data.
  bool HungUp() const {
    pollfd state{fd(), POLLRDHUP, 0};
    return ::poll(&state, 1, 0) > 0;
  }

  asio::ip::tcp LocalProtocol() {
    boost::system::error_code error;
    return beast::get_lowest_layer(stream_).local_endpoint(error).protocol();
  }

  std::string RemoteAddress() {
    boost::system::error_code error;
    const auto peer = beast::get_lowest_layer(stream_).remote_endpoint(error);
    if (error) return "";
    const auto address = peer.address();
    return address.is_v6()
               ? absl::StrCat("[", address.to_string(), "]:", peer.port())
               : absl::StrCat(address.to_string(), ":", peer.port());
  }

  void Observe(const Response& response) {
    if (!context_.observe) return;
    static const std::string unknown = "/";
    context_.observe(
        {.handler = route_ ? route_->name() : unknown,
         .method = request_.method,
         .status = response.status(),
         .seconds = static_cast<double>(NowNs() - started_ns_) / 1e9,
         .request_bytes = request_.body.size(),
         .response_bytes = written_bytes_,
         .aborted = aborted_});
  }

  Stream stream_;
  ConnectionContext& context_;
  const asio::ip::tcp protocol_;
  const std::string remote_address_;
  bool detached_ = false;                // The socket is not in the reactor.
  std::int64_t answered_before_ns_ = 0;  // The last request; 0: none yet.
  boost::system::error_code read_error_;
  beast::flat_buffer buffer_;
  std::optional<beast::http::request_parser<beast::http::string_body>> parser_;
  Request request_;
  std::shared_ptr<const Route> route_;
  bool keep_alive_ = true;
  bool http_1_0_ = false;
  bool expects_continue_ = false;
  bool stream_started_ = false;
  bool stream_lost_ = false;  // The client left during it.
  bool aborted_ = false;      // What was under way was broken off.
  bool reset_on_close_ = false;
  std::unique_ptr<GzipStream> gzip_;
  std::size_t written_bytes_ = 0;
  std::int64_t started_ns_ = 0;
};

}  // namespace

void Connection::CutOff() { ::shutdown(fd_, SHUT_RDWR); }

void Connection::ExpectWithin(std::int64_t timeout_ms) {
  deadline_ns_ = NowNs() + timeout_ms * 1'000'000;
}

void ServeConnection(Socket socket, ConnectionContext& context,
                     asio::ssl::context* tls) {
  boost::system::error_code ignored;
  socket.set_option(asio::ip::tcp::no_delay(true), ignored);
  if (tls == nullptr) {
    std::make_shared<StreamConnection<Socket>>(std::move(socket), context)
        ->ReadRequest();
    return;
  }
  using TlsStream = asio::ssl::stream<Socket>;
  auto connection = std::make_shared<StreamConnection<TlsStream>>(
      TlsStream(std::move(socket), *tls), context);
  connection->ExpectHandshake();
  connection->stream().async_handshake(
      asio::ssl::stream_base::server,
      [connection, &context](boost::system::error_code error) {
        if (!error) return connection->ReadRequest();
        context.log.Debug("tls handshake failed", {{"err", error.message()}});
      });
}

}  // namespace narthex::http
