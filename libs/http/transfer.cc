#include "libs/http/transfer.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "libs/base/clock.h"
#include "libs/base/file.h"
#include "libs/base/status.h"

namespace narthex::http {

namespace {

constexpr int kMaxRedirects = 10;
// A body is reserved for at once when its length is announced, up to this.
constexpr std::int64_t kMaxReserveBytes = 64 << 20;

std::int64_t NowNs() { return base::Clock::System().MonotonicNs(); }

// The text, or else the content of the file without surrounding space.
absl::StatusOr<std::string> Secret(const std::string& text,
                                   const std::string& file) {
  if (file.empty()) return text;
  NARTHEX_ASSIGN_OR_RETURN(const std::string content, base::ReadFile(file));
  return std::string(absl::StripAsciiWhitespace(content));
}

long TlsVersion(const std::string& name, bool is_max) {
  struct Row {
    const char* name;
    long min;
    long max;
  };
  constexpr Row kRows[] = {
      {"TLS10", CURL_SSLVERSION_TLSv1_0, CURL_SSLVERSION_MAX_TLSv1_0},
      {"TLS11", CURL_SSLVERSION_TLSv1_1, CURL_SSLVERSION_MAX_TLSv1_1},
      {"TLS12", CURL_SSLVERSION_TLSv1_2, CURL_SSLVERSION_MAX_TLSv1_2},
      {"TLS13", CURL_SSLVERSION_TLSv1_3, CURL_SSLVERSION_MAX_TLSv1_3}};
  for (const Row& row : kRows) {
    if (name == row.name) return is_max ? row.max : row.min;
  }
  return is_max ? 0 : static_cast<long>(CURL_SSLVERSION_TLSv1_2);
}

void SetBlob(CURL* easy, CURLoption option, const std::string& pem) {
  if (pem.empty()) return;
  curl_blob blob{const_cast<char*>(pem.data()), pem.size(), CURL_BLOB_COPY};
  curl_easy_setopt(easy, option, &blob);
}

void SetText(CURL* easy, CURLoption option, const std::string& text) {
  if (!text.empty()) curl_easy_setopt(easy, option, text.c_str());
}

}  // namespace

Transfer::Transfer(Client::FetchId id, FetchRequest request, std::string* body,
                   Client::Callback done)
    : id_(id),
      request_(std::move(request)),
      body_(body),
      done_(std::move(done)),
      config_(request_.config ? request_.config
                              : std::make_shared<const ClientConfig>()),
      started_ns_(NowNs()) {}

absl::Status Transfer::Configure(CURL* easy, const ClientOptions& options) {
  easy_ = easy;
  body_->clear();
  result_ = FetchResult();
  error_[0] = '\0';
  curl_easy_reset(easy);
  curl_easy_setopt(easy, CURLOPT_PRIVATE, this);
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, error_);
  curl_easy_setopt(easy, CURLOPT_URL, request_.url.c_str());
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &Transfer::OnBody);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, this);
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, &Transfer::OnHeader);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, this);
  curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, 64L << 10);
  curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, 300L);
  curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L);
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
                   static_cast<long>(options.connect_timeout_ms));
  if (request_.timeout_ms > 0) {
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, static_cast<long>(TimeLeftMs()));
  }
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
                   config_->enable_http2
                       ? static_cast<long>(CURL_HTTP_VERSION_2TLS)
                       : static_cast<long>(CURL_HTTP_VERSION_1_1));
  if (request_.accept_gzip) {
    curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "gzip");
  }
  SetMethod();
  if (absl::StartsWithIgnoreCase(request_.url, "https:")) SetTls();
  SetProxy();
  return SetHeaders(options);
}

void Transfer::SetMethod() {
  const std::string& method = request_.method;
  if (method == "HEAD") {
    curl_easy_setopt(easy_, CURLOPT_NOBODY, 1L);
  } else if (method == "GET" && request_.body.empty()) {
    curl_easy_setopt(easy_, CURLOPT_HTTPGET, 1L);
  } else {
    curl_easy_setopt(easy_, CURLOPT_POST, 1L);
    curl_easy_setopt(easy_, CURLOPT_POSTFIELDS, request_.body.data());
    curl_easy_setopt(easy_, CURLOPT_POSTFIELDSIZE_LARGE,
                     static_cast<curl_off_t>(request_.body.size()));
    if (method != "POST") {
      curl_easy_setopt(easy_, CURLOPT_CUSTOMREQUEST, method.c_str());
    }
  }
}

absl::Status Transfer::SetHeaders(const ClientOptions& options) {
  List list;
  const auto add = [&list](absl::string_view name, absl::string_view value) {
    // libcurl sends an empty field only when it ends in a semicolon.
    const std::string line = value.empty() ? absl::StrCat(name, ";")
                                           : absl::StrCat(name, ": ", value);
    list.reset(curl_slist_append(list.release(), line.c_str()));
  };
  bool has_agent = false;
  const auto add_all = [&](const Headers& headers) {
    for (const auto& [name, value] : headers.fields()) {
      has_agent |= absl::EqualsIgnoreCase(name, "User-Agent");
      add(name, value);
    }
  };
  if (!foreign_host_) add_all(config_->headers);
  for (const auto& [name, value] : request_.headers.fields()) {
    const bool secret = absl::EqualsIgnoreCase(name, "Authorization") ||
                        absl::EqualsIgnoreCase(name, "Cookie");
    if (foreign_host_ && secret) continue;
    has_agent |= absl::EqualsIgnoreCase(name, "User-Agent");
    add(name, value);
  }
  if (!has_agent) add("User-Agent", options.user_agent);
  // Waiting for "100 Continue" would cost a second with simple servers.
  list.reset(curl_slist_append(list.release(), "Expect:"));
  if (!request_.headers.Has("Content-Type") && !request_.body.empty()) {
    list.reset(curl_slist_append(list.release(), "Content-Type:"));
  }
  NARTHEX_RETURN_IF_ERROR(AddAuthorization(&list));
  if (connect_to_ != nullptr) add("Host", UrlHostPort(request_.url));
  header_list_ = std::move(list);
  curl_easy_setopt(easy_, CURLOPT_HTTPHEADER, header_list_.get());
  return absl::OkStatus();
}

absl::Status Transfer::AddAuthorization(List* list) {
  const ClientConfig& c = *config_;
  if (foreign_host_) return absl::OkStatus();
  std::string line;
  if (!c.username.empty() || !c.username_file.empty()) {
    NARTHEX_ASSIGN_OR_RETURN(const std::string user,
                             Secret(c.username, c.username_file));
    NARTHEX_ASSIGN_OR_RETURN(const std::string password,
                             Secret(c.password, c.password_file));
    line = absl::StrCat("Authorization: Basic ",
                        absl::Base64Escape(absl::StrCat(user, ":", password)));
  } else if (!c.credentials.empty() || !c.credentials_file.empty()) {
    NARTHEX_ASSIGN_OR_RETURN(const std::string credentials,
                             Secret(c.credentials, c.credentials_file));
    line =
        absl::StrCat("Authorization: ", c.authorization_type, " ", credentials);
  } else {
    return absl::OkStatus();
  }
  list->reset(curl_slist_append(list->release(), line.c_str()));
  return absl::OkStatus();
}

void Transfer::SetTls() {
  const TlsOptions& tls = config_->tls;
  SetText(easy_, CURLOPT_CAINFO, tls.ca_file);
  SetText(easy_, CURLOPT_SSLCERT, tls.cert_file);
  SetText(easy_, CURLOPT_SSLKEY, tls.key_file);
  SetBlob(easy_, CURLOPT_CAINFO_BLOB, tls.ca);
  SetBlob(easy_, CURLOPT_SSLCERT_BLOB, tls.cert);
  SetBlob(easy_, CURLOPT_SSLKEY_BLOB, tls.key);
  // Loaded authorities are kept a while, but a rotated file must be seen.
  curl_easy_setopt(easy_, CURLOPT_CA_CACHE_TIMEOUT, 60L);
  curl_easy_setopt(
      easy_, CURLOPT_SSLVERSION,
      TlsVersion(tls.min_version, false) | TlsVersion(tls.max_version, true));
  if (tls.insecure_skip_verify) {
    curl_easy_setopt(easy_, CURLOPT_SSL_VERIFYPEER, 0L);
    curl_easy_setopt(easy_, CURLOPT_SSL_VERIFYHOST, 0L);
  }
  if (!tls.server_name.empty()) SetServerName();
}

// libcurl takes the name to verify from the URL: ask for the wanted name but
// connect to the real host.
void Transfer::SetServerName() {
  const std::unique_ptr<CURLU, void (*)(CURLU*)> url(curl_url(),
                                                     curl_url_cleanup);
  char* host = nullptr;
  char* port = nullptr;
  if (curl_url_set(url.get(), CURLUPART_URL, request_.url.c_str(), 0) !=
          CURLUE_OK ||
      curl_url_get(url.get(), CURLUPART_HOST, &host, 0) != CURLUE_OK ||
      curl_url_get(url.get(), CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) !=
          CURLUE_OK) {
    curl_free(host);
    return;
  }
  const std::string& name = config_->tls.server_name;
  const std::string target =
      absl::StrCat(name, ":", port, ":", host, ":", port);
  curl_free(host);
  curl_free(port);
  curl_url_set(url.get(), CURLUPART_HOST, name.c_str(), 0);
  char* renamed = nullptr;
  if (curl_url_get(url.get(), CURLUPART_URL, &renamed, 0) != CURLUE_OK) return;
  curl_easy_setopt(easy_, CURLOPT_URL, renamed);
  curl_free(renamed);
  connect_to_.reset(curl_slist_append(nullptr, target.c_str()));
  curl_easy_setopt(easy_, CURLOPT_CONNECT_TO, connect_to_.get());
}

void Transfer::SetProxy() {
  if (config_->proxy_from_environment) return;
  // An empty text also keeps libcurl from reading the environment.
  curl_easy_setopt(easy_, CURLOPT_PROXY, config_->proxy_url.c_str());
  if (config_->proxy_url.empty()) return;
  SetText(easy_, CURLOPT_NOPROXY, config_->no_proxy);
  curl_easy_setopt(easy_, CURLOPT_HEADEROPT,
                   static_cast<long>(CURLHEADER_SEPARATE));
  List list;
  for (const auto& [name, value] : config_->proxy_connect_headers.fields()) {
    const std::string line = absl::StrCat(name, ": ", value);
    list.reset(curl_slist_append(list.release(), line.c_str()));
  }
  proxy_header_list_ = std::move(list);
  curl_easy_setopt(easy_, CURLOPT_PROXYHEADER, proxy_header_list_.get());
}

std::int64_t Transfer::TimeLeftMs() const {
  const std::int64_t gone_ms = (NowNs() - started_ns_) / 1'000'000;
  return std::max<std::int64_t>(1, request_.timeout_ms - gone_ms);
}

std::size_t Transfer::OnBody(char* data, std::size_t, std::size_t size,
                             void* self) {
  auto& transfer = *static_cast<Transfer*>(self);
  const std::int64_t limit = transfer.request_.max_body_bytes;
  if (limit > 0 &&
      transfer.body_->size() + size > static_cast<std::size_t>(limit)) {
    transfer.too_large_ = true;
    return 0;
  }
  transfer.body_->append(data, size);
  return size;
}

std::size_t Transfer::OnHeader(char* data, std::size_t, std::size_t size,
                               void* self) {
  auto& transfer = *static_cast<Transfer*>(self);
  const absl::string_view line =
      absl::StripAsciiWhitespace(absl::string_view(data, size));
  if (absl::StartsWith(line, "HTTP/")) {
    // A new head replaces that of an interim answer.
    transfer.result_.headers = Headers();
    return size;
  }
  const auto colon = line.find(':');
  if (colon == absl::string_view::npos) return size;
  const auto name = line.substr(0, colon);
  const auto value = absl::StripAsciiWhitespace(line.substr(colon + 1));
  transfer.result_.headers.Add(name, value);
  std::int64_t length = 0;
  if (absl::EqualsIgnoreCase(name, "Content-Length") &&
      absl::SimpleAtoi(value, &length) && length > 0) {
    transfer.body_->reserve(
        static_cast<std::size_t>(std::min(length, kMaxReserveBytes)));
  }
  return size;
}

bool Transfer::Finish(CURLcode code) {
  long status = 0;
  char* url = nullptr;
  curl_off_t wire_bytes = 0;
  curl_easy_getinfo(easy_, CURLINFO_RESPONSE_CODE, &status);
  curl_easy_getinfo(easy_, CURLINFO_EFFECTIVE_URL, &url);
  curl_easy_getinfo(easy_, CURLINFO_SIZE_DOWNLOAD_T, &wire_bytes);
  if (code == CURLE_OK && config_->follow_redirects && FollowRedirect()) {
    if (++redirects_ <= kMaxRedirects) return true;
    code = CURLE_TOO_MANY_REDIRECTS;
  }
  result_.code = static_cast<int>(status);
  result_.effective_url =
      connect_to_ != nullptr || url == nullptr ? request_.url : url;
  result_.wire_bytes = wire_bytes;
  result_.seconds = static_cast<double>(NowNs() - started_ns_) / 1e9;
  if (too_large_) {
    result_.status = absl::ResourceExhaustedError("body size limit exceeded");
  } else if (code != CURLE_OK) {
    result_.status = FetchError(Failure(code));
  }
  return false;
}

bool Transfer::FollowRedirect() {
  char* next = nullptr;
  long status = 0;
  curl_easy_getinfo(easy_, CURLINFO_REDIRECT_URL, &next);
  curl_easy_getinfo(easy_, CURLINFO_RESPONSE_CODE, &status);
  if (next == nullptr) return false;
  const bool keeps_method = status == 307 || status == 308;
  if (!keeps_method && status != 301 && status != 302 && status != 303) {
    return false;
  }
  if (redirects_ == kMaxRedirects) return true;
  if (!keeps_method && request_.method != "HEAD") {
    request_.method = "GET";
    request_.body.clear();
    request_.headers.Remove("Content-Type");
    request_.headers.Remove("Content-Encoding");
  }
  foreign_host_ |= UrlHostPort(next) != UrlHostPort(request_.url);
  request_.url = next;
  connect_to_ = nullptr;
  return true;
}

FetchFailure Transfer::Failure(CURLcode code) const {
  FetchFailure failure;
  failure.code = code;
  failure.method = request_.method;
  failure.url = request_.url;
  failure.got_head = result_.code != 0 && code != CURLE_TOO_MANY_REDIRECTS;
  failure.detail = error_;
  long os_error = 0;
  long port = 0;
  char* ip = nullptr;
  curl_easy_getinfo(easy_, CURLINFO_OS_ERRNO, &os_error);
  curl_easy_getinfo(easy_, CURLINFO_PRIMARY_IP, &ip);
  curl_easy_getinfo(easy_, CURLINFO_PRIMARY_PORT, &port);
  curl_easy_getinfo(easy_, CURLINFO_SSL_VERIFYRESULT, &failure.verify_result);
  failure.os_error = static_cast<int>(os_error);
  if (ip != nullptr && *ip != '\0' && port != 0) {
    failure.peer = absl::StrContains(ip, ":")
                       ? absl::StrCat("[", ip, "]:", port)
                       : absl::StrCat(ip, ":", port);
  }
  return failure;
}

void Transfer::Report(absl::Status status) {
  result_ = FetchResult();
  result_.status = std::move(status);
  result_.seconds = static_cast<double>(NowNs() - started_ns_) / 1e9;
  Report();
}

}  // namespace narthex::http
