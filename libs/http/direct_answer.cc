// The half of DirectLoop that moves bytes and hands over answers.
#include <sys/epoll.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/base/clock.h"
#include "libs/http/content_encoding.h"
#include "libs/http/direct_connection.h"
#include "libs/http/direct_loop.h"
#include "libs/http/fetch_error.h"
#include "libs/http/url.h"

namespace narthex::http {
namespace {

// Room to receive into, for answers of unknown size and at most.
constexpr std::size_t kReceiveBytes = 256 << 10;
constexpr std::size_t kMostReceiveBytes = 4 << 20;
// Of what a server promises, memory is taken at once up to this.
constexpr std::size_t kMaxReserveBytes = 64 << 20;

int SocketError(int fd) {
  int error = 0;
  socklen_t size = sizeof(error);
  return ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error
                                                                    : errno;
}

bool IsRedirect(int code) { return code >= 300 && code < 400; }

// How much to receive of what is missing into a buffer with `spare` bytes left:
// more than what is there only where that is too little.
std::size_t RoomFor(std::size_t wanted, std::size_t spare) {
  if (wanted > 1 && wanted <= spare) return std::min(spare, kMostReceiveBytes);
  return std::clamp(wanted, kReceiveBytes, kMostReceiveBytes);
}

// Keeps the memory of one buffer, unless it is unusually large.
void Reuse(std::string buffer, std::string* kept) {
  if (kept->empty() && buffer.capacity() <= 2 * kMostReceiveBytes) {
    *kept = std::move(buffer);
  }
}

}  // namespace

void DirectLoop::OnEvent(Connection& connection, std::uint32_t events) {
  std::unique_ptr<Exchange> exchange;
  Progress progress = Progress::kMore;
  int os_error = 0;
  {
    base::MutexLock lock(connection.mutex);
    if (connection.exchange != nullptr) {
      progress = connection.Move(epoll_.get(), events, &received_, &os_error);
      if (progress == Progress::kMore) return;
      exchange = connection.Take();
    }
  }
  if (exchange == nullptr) {
    CloseIfIdle(connection);
  } else {
    End(connection, std::move(exchange), progress, os_error);
  }
}

DirectLoop::Progress DirectLoop::Connection::Move(int epoll,
                                                  std::uint32_t events,
                                                  std::string* shared,
                                                  int* os_error) {
  if (exchange->sent < exchange->text.size()) {
    if (connecting) {
      *os_error = SocketError(fd.get());
      if (*os_error != 0) return Progress::kGone;
      if ((events & EPOLLOUT) == 0) return Progress::kMore;
      connecting = false;
    }
    const ssize_t sent = ::send(
        fd.get(), exchange->text.data() + exchange->sent,
        exchange->text.size() - exchange->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) return Progress::kGone;
    if (sent > 0) exchange->sent += static_cast<std::size_t>(sent);
    if (exchange->sent < exchange->text.size()) return Progress::kMore;
    Watch(epoll, EPOLL_CTL_MOD, EPOLLIN);
    return Progress::kMore;
  }
  return Read(shared, os_error);
}

DirectLoop::Progress DirectLoop::Connection::Read(std::string* shared,
                                                  int* os_error) {
  const bool first = exchange->input_bytes == 0;
  std::string& buffer = first ? *shared : exchange->input;
  const std::size_t before = exchange->input_bytes;
  const std::size_t room =
      first
          ? std::clamp<std::size_t>(
                static_cast<std::size_t>(exchange->request.expected_bytes) * 2,
                kReceiveBytes, kMostReceiveBytes)
          : RoomFor(exchange->reader.wanted(), buffer.capacity() - before);
  if (!first && !exchange->claim.Grow(before + room, &buffer)) {
    return Progress::kNoRoom;
  }
  if (buffer.size() < before + room) buffer.resize(before + room);
  const ssize_t got = ::recv(fd.get(), buffer.data() + before,
                             buffer.size() - before, MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return Progress::kMore;
  if (got == 0 && exchange->reader.End() == ResponseReader::State::kDone) {
    return Progress::kDone;
  }
  if (got <= 0) {
    *os_error = got < 0 ? errno : 0;
    return exchange->reader.got_head() ? Progress::kCut : Progress::kGone;
  }
  const std::size_t size = before + static_cast<std::size_t>(got);
  switch (exchange->reader.Advance(buffer.data(), size)) {
    case ResponseReader::State::kDone:
      if (first) exchange->input = std::move(*shared);
      return exchange->claim.Cover(exchange->reader.body_size())
                 ? Progress::kDone
                 : Progress::kNoRoom;
    case ResponseReader::State::kIrregular:
      return Progress::kIrregular;
    case ResponseReader::State::kTooLarge:
      return Progress::kTooLarge;
    case ResponseReader::State::kMore:
      break;
  }
  const std::size_t wanted = exchange->reader.wanted();
  if (first) {
    const std::size_t most = std::min(size + wanted, kMaxReserveBytes);
    if (!exchange->claim.Grow(most, &exchange->input)) return Progress::kNoRoom;
    exchange->input.reserve(most);
    exchange->input.assign(buffer, 0, size);
  }
  exchange->input_bytes = size;
  WaitForBytes(wanted);
  return Progress::kMore;
}

void DirectLoop::End(Connection& connection, std::unique_ptr<Exchange> exchange,
                     Progress progress, int os_error) {
  ResponseReader& reader = exchange->reader;
  if (progress == Progress::kDone) {
    const bool redirect = IsRedirect(reader.code()) &&
                          (exchange->request.config == nullptr ||
                           exchange->request.config->follow_redirects);
    if (redirect) progress = Progress::kIrregular;
  }
  if (progress == Progress::kDone && reader.keep_alive()) {
    Keep(connection);
  } else {
    Close(connection);
  }
  switch (progress) {
    case Progress::kDone:
      Deliver(*exchange);
      break;
    case Progress::kIrregular:
      Avoid(connection.host_port);
      AskOther(std::move(exchange), /*learn=*/false);
      break;
    case Progress::kGone: {
      const bool learn = ForgetAddress(connection.host_port);
      AskOther(std::move(exchange), learn);
      break;
    }
    default:
      Fail(*exchange, progress, os_error);
      break;
  }
}

void DirectLoop::Deliver(Exchange& exchange) {
  ResponseReader& reader = exchange.reader;
  FetchResult result;
  result.code = reader.code();
  result.wire_bytes = static_cast<std::int64_t>(reader.body_size());
  ReceivedBody body{std::move(exchange.input), reader.body_begin(),
                    reader.body_size(), std::move(exchange.claim)};
  result.headers = std::move(reader.headers());
  decoded_.clear();
  if (!DecodeReceived(exchange.request, body.view(), &result, &decoded_)) {
    Report(exchange, std::move(result), body);
    Reuse(std::move(body.buffer), &received_);
    return;
  }
  Reuse(std::move(body.buffer), &received_);
  ReceivedBody plain{std::move(decoded_), 0, 0, {}};
  plain.size = plain.buffer.size();
  Report(exchange, std::move(result), plain);
  Reuse(std::move(plain.buffer), &decoded_);
}

void DirectLoop::Fail(Exchange& exchange, Progress progress, int os_error) {
  FetchResult result;
  result.code = exchange.reader.code();
  if (progress == Progress::kTooLarge) {
    result.status = absl::ResourceExhaustedError("body size limit exceeded");
  } else if (progress == Progress::kNoRoom) {
    result.status = exchange.claim.Refusal();
  } else {
    FetchFailure failure;
    failure.code = progress == Progress::kLate ? CURLE_OPERATION_TIMEDOUT
                   : os_error == 0             ? CURLE_PARTIAL_FILE
                                               : CURLE_RECV_ERROR;
    failure.method = exchange.request.method;
    failure.url = exchange.request.url;
    failure.os_error = os_error;
    failure.got_head = exchange.reader.got_head();
    result.status = FetchError(failure);
  }
  ReceivedBody none;
  Report(exchange, std::move(result), none);
}

void DirectLoop::Report(Exchange& exchange, FetchResult result,
                        ReceivedBody& body) {
  result.effective_url = exchange.request.url;
  result.seconds = static_cast<double>(base::Clock::System().MonotonicNs() -
                                       exchange.started_ns) /
                   1e9;
  exchange.done(std::move(result), body);
}

}  // namespace narthex::http
