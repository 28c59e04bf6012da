#include "libs/http/fetch_error.h"

#include <cerrno>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "libs/base/quote.h"
#include "libs/http/dial_url.h"
#include "libs/http/message.h"
#include "libs/http/url.h"

namespace narthex::http {

namespace {

// OpenSSL's X509_V_ERR_ codes that people meet.
constexpr long kCertNotYetValid = 9;
constexpr long kCertExpired = 10;

std::string SystemReason(int os_error) {
  switch (os_error) {
    case ECONNREFUSED:
      return "connect: connection refused";
    case ENETUNREACH:
      return "connect: network is unreachable";
    case EHOSTUNREACH:
      return "connect: no route to host";
    case ETIMEDOUT:
      return "connect: connection timed out";
    case ECONNRESET:
      return "read: connection reset by peer";
    case EPIPE:
      return "write: broken pipe";
    case ENOENT:
      return "connect: no such file or directory";
    case EACCES:
      return "connect: permission denied";
    default:
      return "connect: connection refused";
  }
}

std::string CertificateReason(const FetchFailure& failure) {
  if (failure.verify_result == kCertExpired ||
      failure.verify_result == kCertNotYetValid) {
    return "x509: certificate has expired or is not yet valid";
  }
  // Of a wrong name OpenSSL knows nothing: libcurl compares it.
  if (absl::StrContains(failure.detail, "subject name")) {
    return absl::StrCat("x509: certificate is not valid for ",
                        failure.server_name.empty() ? UrlHost(failure.url)
                                                    : failure.server_name);
  }
  return "x509: certificate signed by unknown authority";
}

std::string DialReason(const FetchFailure& failure, const std::string& peer) {
  const std::string reason = SystemReason(failure.os_error);
  if (!failure.unix_socket.empty()) {
    return absl::StrCat("dial unix ", failure.unix_socket, ": ", reason);
  }
  if (!failure.proxy.empty()) {
    return absl::StrCat("proxyconnect tcp: dial tcp ", peer, ": ", reason);
  }
  return absl::StrCat("dial tcp ", peer, ": ", reason);
}

std::string Reason(const FetchFailure& failure) {
  std::string peer = failure.peer;
  if (peer.empty()) {
    peer = DialAddress(failure.proxy.empty() ? failure.url : failure.proxy);
  }
  if (UrlHostPort(failure.url).empty()) return "http: no Host in request URL";
  switch (failure.code) {
    case CURLE_OPERATION_TIMEDOUT:
      return "context deadline exceeded";
    case CURLE_COULDNT_CONNECT:
      return DialReason(failure, peer);
    case CURLE_COULDNT_RESOLVE_HOST:
      return absl::StrCat("dial tcp: lookup ", UrlHost(failure.url),
                          ": no such host");
    case CURLE_COULDNT_RESOLVE_PROXY:
      return absl::StrCat("proxyconnect tcp: dial tcp: lookup ",
                          UrlHost(failure.proxy), ": no such host");
    case CURLE_GOT_NOTHING:
      return "EOF";
    case CURLE_PARTIAL_FILE:
      return "unexpected EOF";
    case CURLE_RECV_ERROR:
      // A proxy that does not let us through says why in its status.
      if (failure.connect_code >= 300) {
        return std::string(StatusText(failure.connect_code));
      }
      [[fallthrough]];
    case CURLE_SEND_ERROR:
      return failure.os_error == 0
                 ? std::string("unexpected EOF")
                 : absl::StrCat("read tcp ", peer, ": ",
                                SystemReason(failure.os_error));
    case CURLE_PEER_FAILED_VERIFICATION:
      return absl::StrCat("tls: failed to verify certificate: ",
                          CertificateReason(failure));
    case CURLE_SSL_CONNECT_ERROR:
      if (absl::StrContains(failure.detail, "wrong version number")) {
        return "http: server gave HTTP response to HTTPS client";
      }
      return absl::StrCat("tls: ", failure.detail);
    case CURLE_UNSUPPORTED_PROTOCOL: {
      const auto scheme = failure.url.substr(0, failure.url.find(':'));
      return absl::StrCat("unsupported protocol scheme ", base::Quote(scheme));
    }
    case CURLE_TOO_MANY_REDIRECTS:
      return "stopped after 10 redirects";
    case CURLE_WEIRD_SERVER_REPLY:
      return "net/http: HTTP/1.x transport connection broken: malformed HTTP "
             "response";
    default:
      return failure.detail.empty() ? curl_easy_strerror(failure.code)
                                    : failure.detail;
  }
}

// What Go says of a port that is none; OK when that is not what is wrong.
absl::Status BadPort(const FetchFailure& failure) {
  const std::string host_port = UrlHostPort(failure.url);
  const std::size_t colon = host_port.rfind(':');
  if (colon == std::string::npos) return absl::OkStatus();
  const std::string port = host_port.substr(colon);
  if (absl::StrContains(port, "]")) return absl::OkStatus();
  if (port.find_first_not_of("0123456789", 1) != std::string::npos) {
    return absl::InvalidArgumentError(
        absl::StrCat("parse ", base::Quote(RedactUrl(failure.url)),
                     ": invalid port ", base::Quote(port), " after host"));
  }
  int number = 0;
  if (port.size() == 1 ||
      (absl::SimpleAtoi(port.substr(1), &number) && number <= 65535)) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat(RequestName(failure.method, failure.url),
                   ": dial tcp: address ", port.substr(1), ": invalid port"));
}

}  // namespace

std::string RequestName(absl::string_view method, const std::string& url) {
  std::string word = absl::AsciiStrToLower(method);
  if (!word.empty()) {
    word[0] = absl::ascii_toupper(static_cast<unsigned char>(word[0]));
  }
  return absl::StrCat(word, " ", base::Quote(RedactUrl(url)));
}

absl::Status FetchError(const FetchFailure& failure) {
  if (failure.code == CURLE_URL_MALFORMAT) {
    if (absl::Status bad = BadPort(failure); !bad.ok()) return bad;
  }
  std::string text = Reason(failure);
  // Go names the request only until the answer's head has come.
  if (!failure.got_head) {
    text = absl::StrCat(RequestName(failure.method, failure.url), ": ", text);
  }
  switch (failure.code) {
    case CURLE_OPERATION_TIMEDOUT:
      return absl::DeadlineExceededError(text);
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
      return absl::InvalidArgumentError(text);
    default:
      return absl::UnavailableError(text);
  }
}

}  // namespace narthex::http
