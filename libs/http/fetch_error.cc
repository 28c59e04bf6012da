#include "libs/http/fetch_error.h"

#include <cerrno>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/base/quote.h"

namespace narthex::http {

namespace {

// OpenSSL's X509_V_ERR_ codes that people meet.
constexpr long kCertNotYetValid = 9;
constexpr long kCertExpired = 10;

std::string WithoutPort(const std::string& host_port) {
  const auto colon = host_port.rfind(':');
  if (colon == std::string::npos || absl::EndsWith(host_port, "]")) {
    return host_port;
  }
  return host_port.substr(0, colon);
}

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
                        WithoutPort(UrlHostPort(failure.url)));
  }
  return "x509: certificate signed by unknown authority";
}

std::string Reason(const FetchFailure& failure) {
  const std::string peer =
      failure.peer.empty() ? UrlHostPort(failure.url) : failure.peer;
  switch (failure.code) {
    case CURLE_OPERATION_TIMEDOUT:
      return "context deadline exceeded";
    case CURLE_COULDNT_CONNECT:
      return absl::StrCat("dial tcp ", peer, ": ",
                          SystemReason(failure.os_error));
    case CURLE_COULDNT_RESOLVE_HOST:
      return absl::StrCat("dial tcp: lookup ",
                          WithoutPort(UrlHostPort(failure.url)),
                          ": no such host");
    case CURLE_COULDNT_RESOLVE_PROXY:
      return absl::StrCat("proxyconnect tcp: ", failure.detail);
    case CURLE_GOT_NOTHING:
      return "EOF";
    case CURLE_PARTIAL_FILE:
      return "unexpected EOF";
    case CURLE_RECV_ERROR:
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

std::string MethodWord(absl::string_view method) {
  std::string word = absl::AsciiStrToLower(method);
  if (!word.empty()) {
    word[0] = absl::ascii_toupper(static_cast<unsigned char>(word[0]));
  }
  return word;
}

}  // namespace

absl::Status FetchError(const FetchFailure& failure) {
  std::string text = Reason(failure);
  // Go names the request only until the answer's head has come.
  if (!failure.got_head) {
    text = absl::StrCat(MethodWord(failure.method), " ",
                        base::Quote(failure.url), ": ", text);
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

std::string UrlHostPort(absl::string_view url) {
  const auto scheme = url.find("://");
  if (scheme != absl::string_view::npos) url.remove_prefix(scheme + 3);
  url = url.substr(0, url.find_first_of("/?#"));
  const auto user = url.rfind('@');
  if (user != absl::string_view::npos) url.remove_prefix(user + 1);
  return std::string(url);
}

}  // namespace narthex::http
