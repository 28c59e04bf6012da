#include "libs/http/transfer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "libs/base/clock.h"
#include "libs/base/quote.h"
#include "libs/base/status.h"
#include "libs/http/content_encoding.h"
#include "libs/http/dial_url.h"
#include "libs/http/proxy.h"
#include "libs/http/url.h"

namespace narthex::http {

namespace {

constexpr int kMaxRedirects = 10;
// A body is reserved for at once when its length is announced, up to this.
constexpr std::int64_t kMaxReserveBytes = 64 << 20;

std::int64_t NowNs() { return base::Clock::System().MonotonicNs(); }

// What may only be seen by the host that it was meant for.
bool IsSensitive(absl::string_view header) {
  for (const char* name :
       {"Authorization", "Cookie", "Cookie2", "Www-Authenticate",
        "Proxy-Authorization", "Proxy-Authenticate"}) {
    if (absl::EqualsIgnoreCase(header, name)) return true;
  }
  return false;
}

// Credentials for a domain are good for its subdomains, as in Go's net/http.
bool IsSameOrSubdomain(absl::string_view host, absl::string_view parent) {
  if (host == parent) return true;
  if (parent.empty() || host.find_first_of(":%") != absl::string_view::npos) {
    return false;
  }
  return absl::EndsWith(host, parent) && host.size() > parent.size() &&
         host[host.size() - parent.size() - 1] == '.';
}

// "ip:port"; empty for what has none.
std::string AddressText(const sockaddr& address) {
  char ip[INET6_ADDRSTRLEN] = {};
  if (address.sa_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
    ::inet_ntop(AF_INET, &v4.sin_addr, ip, sizeof(ip));
    return absl::StrCat(ip, ":", ntohs(v4.sin_port));
  }
  if (address.sa_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
    ::inet_ntop(AF_INET6, &v6.sin6_addr, ip, sizeof(ip));
    return absl::StrCat("[", ip, "]:", ntohs(v6.sin6_port));
  }
  return "";
}

const std::shared_ptr<const ClientConfig>& DefaultConfig() {
  static const auto config = std::make_shared<const ClientConfig>();
  return config;
}

}  // namespace

Transfer::Transfer(Client::FetchId id, FetchRequest request, std::string* body,
                   Client::Callback done)
    : id_(id),
      request_(std::move(request)),
      body_(body),
      done_(std::move(done)),
      config_(request_.config ? request_.config : DefaultConfig()),
      started_ns_(NowNs()) {
  request_.url = WithoutEmptyPort(request_.url);
}

absl::Status Transfer::Configure(CURL* easy, const ClientOptions& options) {
  easy_ = easy;
  body_->clear();
  result_ = FetchResult();
  error_[0] = '\0';
  curl_easy_reset(easy);
  curl_easy_setopt(easy, CURLOPT_PRIVATE, this);
  // libcurl looks through the whole cache after every transfer, which for
  // thousands of hosts costs far more than to ask again for a new connection.
  curl_easy_setopt(easy, CURLOPT_DNS_CACHE_TIMEOUT, 0L);
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, error_);
  curl_easy_setopt(easy, CURLOPT_URL, WithLocalHost(request_.url).c_str());
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &Transfer::OnBody);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, this);
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, &Transfer::OnHeader);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, this);
  dialled_.clear();
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, &Transfer::OnSocket);
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, this);
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
  if (!request_.keep_connection) {
    curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
  }
  if (!request_.unix_socket.empty()) {
    curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH,
                     request_.unix_socket.c_str());
  }
  // A stream may be silent for long: notice when its peer has vanished.
  if (request_.on_body) {
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, 30L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, 10L);
  }
  SetMethod();
  absl::Status status = SetProxy();
  if (status.ok()) status = SetTls();
  if (status.ok()) status = SetHeaders(options);
  return status;
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

void Transfer::AddHeader(absl::string_view name, absl::string_view value) {
  // libcurl sends an empty field only when it ends in a semicolon.
  const std::string line =
      value.empty() ? absl::StrCat(name, ";") : absl::StrCat(name, ": ", value);
  AddHeaderLine(line.c_str());
}

void Transfer::AddHeaderLine(const char* line) {
  header_list_.reset(curl_slist_append(header_list_.release(), line));
}

absl::Status Transfer::SetHeaders(const ClientOptions& options) {
  header_list_.reset();
  bool has_agent = false;
  for (const auto& [name, value] : request_.headers.fields()) {
    if (foreign_host_ && IsSensitive(name)) continue;
    has_agent |= absl::EqualsIgnoreCase(name, "User-Agent");
    AddHeader(name, value);
  }
  if (!has_agent) AddHeader("User-Agent", options.user_agent);
  // libcurl itself would take a body that was cut for a whole one.
  if (request_.accept_gzip && !request_.headers.Has("Accept-Encoding")) {
    AddHeader("Accept-Encoding", "gzip");
  }
  // Waiting for "100 Continue" would cost a second with simple servers.
  AddHeaderLine("Expect:");
  if (!request_.headers.Has("Content-Type") && !request_.body.empty()) {
    AddHeaderLine("Content-Type:");
  }
  if (!foreign_host_) {
    NARTHEX_RETURN_IF_ERROR(AddConfiguredHeaders());
    NARTHEX_RETURN_IF_ERROR(AddAuthorization());
  }
  if (connect_to_ != nullptr) AddHeader("Host", UrlHostPort(request_.url));
  curl_easy_setopt(easy_, CURLOPT_HTTPHEADER, header_list_.get());
  return absl::OkStatus();
}

absl::Status Transfer::AddConfiguredHeaders() {
  for (const auto& [name, header] : config_->http_headers) {
    for (const std::string& value : header.values) AddHeader(name, value);
    for (const std::string& value : header.secrets) AddHeader(name, value);
    for (const std::string& file : header.files) {
      const auto value = ReadTrimmed(file);
      if (!value.ok()) {
        return base::Annotate(
            value.status(), absl::StrCat("unable to read headers file ", file));
      }
      AddHeader(name, *value);
    }
  }
  return absl::OkStatus();
}

absl::Status Transfer::AddAuthorization() {
  // What the caller says goes.
  if (request_.headers.Has("Authorization")) return absl::OkStatus();
  std::string value;
  if (config_->basic_auth.has_value()) {
    const BasicAuth& basic = *config_->basic_auth;
    const auto user = ReadSecret(basic.username, basic.username_file);
    if (!user.ok()) {
      return base::Annotate(user.status(),
                            "unable to read basic auth username");
    }
    const auto password = ReadSecret(basic.password, basic.password_file);
    if (!password.ok()) {
      return base::Annotate(password.status(),
                            "unable to read basic auth password");
    }
    value = absl::StrCat(
        "Basic ", absl::Base64Escape(absl::StrCat(*user, ":", *password)));
  } else if (config_->authorization.has_value()) {
    const Authorization& authorization = *config_->authorization;
    const auto credentials =
        ReadSecret(authorization.credentials, authorization.credentials_file);
    if (!credentials.ok()) {
      return base::Annotate(credentials.status(),
                            "unable to read authorization credentials");
    }
    value = absl::StrCat(authorization.type, " ", *credentials);
  } else if (config_->oauth2.has_value()) {
    value = token_;
  } else {
    return absl::OkStatus();
  }
  AddHeader("Authorization", value);
  return absl::OkStatus();
}

absl::Status Transfer::SetTls() {
  const bool https = absl::StartsWithIgnoreCase(request_.url, "https:");
  if (!https && !absl::StartsWithIgnoreCase(proxy_, "https:")) {
    return absl::OkStatus();
  }
  NARTHEX_RETURN_IF_ERROR(tls_.Apply(config_->tls, easy_));
  if (https && !config_->tls.server_name.empty()) SetServerName();
  return absl::OkStatus();
}

// libcurl takes the name to verify from the URL: ask for the wanted name but
// connect to the real host.
void Transfer::SetServerName() {
  const std::unique_ptr<CURLU, void (*)(CURLU*)> url(curl_url(),
                                                     curl_url_cleanup);
  char* host = nullptr;
  char* port = nullptr;
  if (curl_url_set(url.get(), CURLUPART_URL,
                   WithLocalHost(request_.url).c_str(), 0) != CURLUE_OK ||
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

absl::Status Transfer::SetProxy() {
  proxy_ = ProxyFor(config_->proxy, request_.url);
  // An empty text also keeps libcurl from reading the environment.
  curl_easy_setopt(easy_, CURLOPT_PROXY, proxy_.c_str());
  if (proxy_.empty()) return absl::OkStatus();
  // Whether to use it is decided: libcurl must not think again.
  curl_easy_setopt(easy_, CURLOPT_NOPROXY, "");
  curl_easy_setopt(easy_, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  curl_easy_setopt(easy_, CURLOPT_HEADEROPT,
                   static_cast<long>(CURLHEADER_SEPARATE));
  if (!absl::StartsWithIgnoreCase(request_.url, "https:")) {
    return absl::OkStatus();
  }
  List list;
  for (const auto& [name, values] : config_->proxy.proxy_connect_header) {
    for (const std::string& value : values) {
      const std::string line = absl::StrCat(name, ": ", value);
      list.reset(curl_slist_append(list.release(), line.c_str()));
    }
  }
  proxy_header_list_ = std::move(list);
  curl_easy_setopt(easy_, CURLOPT_PROXYHEADER, proxy_header_list_.get());
  if (proxy_header_list_ != nullptr) {
    // libcurl would lend this tunnel to requests that have no such headers.
    curl_easy_setopt(easy_, CURLOPT_FRESH_CONNECT, 1L);
    curl_easy_setopt(easy_, CURLOPT_FORBID_REUSE, 1L);
  }
  return absl::OkStatus();
}

std::int64_t Transfer::TimeLeftMs() const {
  const std::int64_t gone_ms = (NowNs() - started_ns_) / 1'000'000;
  return std::max<std::int64_t>(1, request_.timeout_ms - gone_ms);
}

std::size_t Transfer::OnBody(char* data, std::size_t, std::size_t size,
                             void* self) {
  auto& transfer = *static_cast<Transfer*>(self);
  if (transfer.request_.on_body) {
    transfer.request_.on_body(absl::string_view(data, size));
    return size;
  }
  const std::int64_t limit = transfer.request_.max_body_bytes;
  if (limit > 0 &&
      transfer.body_->size() + size > static_cast<std::size_t>(limit)) {
    transfer.too_large_ = true;
    return 0;
  }
  if (!transfer.MakeRoom(transfer.body_->size() + size)) {
    transfer.no_room_ = true;
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
    const auto room =
        static_cast<std::size_t>(std::min(length, kMaxReserveBytes));
    if (!transfer.MakeRoom(room)) {
      transfer.no_room_ = true;
      return 0;
    }
    transfer.body_->reserve(room);
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
  char* ip = nullptr;
  curl_easy_getinfo(easy_, CURLINFO_PRIMARY_IP, &ip);
  if (ip != nullptr) result_.remote_ip = ip;
  result_.seconds = static_cast<double>(NowNs() - started_ns_) / 1e9;
  if (too_large_) {
    result_.status = absl::ResourceExhaustedError("body size limit exceeded");
  } else if (no_room_) {
    result_.status = claim_->Refusal();
  } else if (code != CURLE_OK) {
    result_.status = FetchError(Failure(code));
  } else {
    Decode();
  }
  return false;
}

void Transfer::Decode() {
  std::string content;
  if (DecodeReceived(request_, *body_, &result_, &content)) {
    *body_ = std::move(content);
  }
}

curl_socket_t Transfer::OnSocket(void* self, curlsocktype,
                                 curl_sockaddr* address) {
  auto& dialled = static_cast<Transfer*>(self)->dialled_;
  if (dialled.empty()) dialled = AddressText(address->addr);
  return ::socket(address->family, address->socktype | SOCK_CLOEXEC,
                  address->protocol);
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
  if (first_host_.empty()) first_host_ = UrlHost(request_.url);
  // Stays so, even if a later redirect leads back.
  foreign_host_ |= !IsSameOrSubdomain(UrlHost(next), first_host_);
  request_.url = next;
  connect_to_ = nullptr;
  return true;
}

FetchFailure Transfer::Failure(CURLcode code) const {
  FetchFailure failure;
  failure.code = code;
  failure.method = request_.method;
  failure.url = request_.url;
  failure.server_name = config_->tls.server_name;
  failure.proxy = proxy_;
  failure.unix_socket = request_.unix_socket;
  failure.got_head = result_.code != 0 && code != CURLE_TOO_MANY_REDIRECTS;
  failure.detail = error_;
  long os_error = 0;
  long port = 0;
  long connect_code = 0;
  curl_easy_getinfo(easy_, CURLINFO_HTTP_CONNECTCODE, &connect_code);
  failure.connect_code = static_cast<int>(connect_code);
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
  } else {
    failure.peer = dialled_;
  }
  return failure;
}

const OAuth2* Transfer::NeedsToken() const {
  if (!config_->oauth2.has_value() || foreign_host_ ||
      request_.headers.Has("Authorization")) {
    return nullptr;
  }
  return &*config_->oauth2;
}

void Transfer::ReportFailure(const absl::Status& reason) {
  Report(base::Annotate(reason, RequestName(request_.method, request_.url)));
}

void Transfer::Report(absl::Status status) {
  result_ = FetchResult();
  result_.status = std::move(status);
  result_.seconds = static_cast<double>(NowNs() - started_ns_) / 1e9;
  Report();
}

}  // namespace narthex::http
