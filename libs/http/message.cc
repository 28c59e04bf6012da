#include "libs/http/message.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace narthex::http {

namespace {

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool IsUnreserved(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.' || c == '~';
}

}  // namespace

absl::string_view Headers::Get(absl::string_view name) const {
  for (const auto& [field, value] : fields_) {
    if (absl::EqualsIgnoreCase(field, name)) return value;
  }
  return {};
}

bool Headers::Has(absl::string_view name) const {
  return std::any_of(fields_.begin(), fields_.end(), [&](const auto& field) {
    return absl::EqualsIgnoreCase(field.first, name);
  });
}

void Headers::Set(absl::string_view name, absl::string_view value) {
  std::string copy(value);  // It may be a view into a field removed next.
  Remove(name);
  fields_.emplace_back(std::string(name), std::move(copy));
}

void Headers::Add(absl::string_view name, absl::string_view value) {
  fields_.emplace_back(std::string(name), std::string(value));
}

void Headers::Remove(absl::string_view name) {
  fields_.erase(std::remove_if(fields_.begin(), fields_.end(),
                               [&](const auto& field) {
                                 return absl::EqualsIgnoreCase(field.first,
                                                               name);
                               }),
                fields_.end());
}

absl::string_view Params::Get(absl::string_view name) const {
  for (const auto& [key, value] : items_) {
    if (key == name) return value;
  }
  return {};
}

bool Params::Has(absl::string_view name) const {
  return std::any_of(items_.begin(), items_.end(),
                     [&](const auto& item) { return item.first == name; });
}

std::vector<std::string> Params::GetAll(absl::string_view name) const {
  std::vector<std::string> values;
  for (const auto& [key, value] : items_) {
    if (key == name) values.push_back(value);
  }
  return values;
}

Request Request::Make(absl::string_view method, absl::string_view target,
                      absl::string_view body, Headers headers) {
  Request request;
  request.method = std::string(method);
  request.headers = std::move(headers);
  request.body = std::string(body);
  request.remote_address = "127.0.0.1:0";
  FillTarget(target, &request);
  FillParams(&request);
  return request;
}

bool FillTarget(absl::string_view target, Request* request) {
  // The absolute form, which proxies send: skip to the path.
  if (const auto scheme = target.find("://");
      scheme != absl::string_view::npos && target[0] != '/') {
    const auto path = target.find('/', scheme + 3);
    target = path == absl::string_view::npos ? "/" : target.substr(path);
  }
  const auto question = target.find('?');
  const auto path = target.substr(0, question);
  request->raw_path = std::string(path);
  if (question != absl::string_view::npos) {
    request->raw_query = std::string(target.substr(question + 1));
  }
  if (path.empty() || (path[0] != '/' && path != "*")) return false;
  if (path.find('%') == absl::string_view::npos) {
    request->path = request->raw_path;
    return true;
  }
  return PercentDecode(path, /*plus_is_space=*/false, &request->path);
}

void FillParams(Request* request) {
  const bool may_hold_form = request->method == "POST" ||
                             request->method == "PUT" ||
                             request->method == "PATCH";
  if (may_hold_form &&
      absl::StartsWithIgnoreCase(request->headers.Get("Content-Type"),
                                 "application/x-www-form-urlencoded")) {
    ParseQuery(request->body, &request->params);
  }
  if (!request->raw_query.empty()) {
    ParseQuery(request->raw_query, &request->params);
  }
}

void Response::Send(int status, absl::string_view content_type,
                    std::string body) {
  status_ = status;
  headers_.Set("Content-Type", content_type);
  body_ = std::move(body);
}

void Response::Error(int status, absl::string_view message) {
  headers_.Set("X-Content-Type-Options", "nosniff");
  Send(status, "text/plain; charset=utf-8", absl::StrCat(message, "\n"));
}

void Response::Redirect(absl::string_view location, int status) {
  headers_.Set("Location", location);
  status_ = status;
}

absl::Status Response::Write(absl::string_view chunk) {
  streaming_ = true;
  if (sink_) return sink_(*this, chunk);
  absl::StrAppend(&body_, chunk);
  return absl::OkStatus();
}

void Response::Abort(absl::string_view reason) {
  abort_reason_ = reason.empty() ? "unknown" : std::string(reason);
}

absl::string_view StatusText(int status) {
  switch (status) {
    case 100:
      return "Continue";
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 301:
      return "Moved Permanently";
    case 302:
      return "Found";
    case 303:
      return "See Other";
    case 304:
      return "Not Modified";
    case 307:
      return "Temporary Redirect";
    case 308:
      return "Permanent Redirect";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 402:
      return "Payment Required";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 406:
      return "Not Acceptable";
    case 407:
      return "Proxy Authentication Required";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 410:
      return "Gone";
    case 411:
      return "Length Required";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Request Entity Too Large";
    case 415:
      return "Unsupported Media Type";
    case 422:
      return "Unprocessable Entity";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    default:
      return "Status";
  }
}

bool PercentDecode(absl::string_view text, bool plus_is_space,
                   std::string* out) {
  out->clear();
  out->reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '+' && plus_is_space) {
      out->push_back(' ');
      continue;
    }
    if (c != '%') {
      out->push_back(c);
      continue;
    }
    if (i + 2 >= text.size()) return false;
    const int high = HexValue(text[i + 1]);
    const int low = HexValue(text[i + 2]);
    if (high < 0 || low < 0) return false;
    out->push_back(static_cast<char>(high * 16 + low));
    i += 2;
  }
  return true;
}

std::string PercentEncode(absl::string_view text) {
  constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    if (IsUnreserved(c)) {
      out.push_back(c);
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    out.push_back('%');
    out.push_back(kHex[byte >> 4]);
    out.push_back(kHex[byte & 15]);
  }
  return out;
}

void ParseQuery(absl::string_view query, Params* params) {
  while (!query.empty()) {
    const auto end = query.find('&');
    const auto pair = query.substr(0, end);
    query = end == absl::string_view::npos ? absl::string_view()
                                           : query.substr(end + 1);
    if (pair.empty() || pair.find(';') != absl::string_view::npos) continue;
    const auto equals = pair.find('=');
    std::string name;
    std::string value;
    if (!PercentDecode(pair.substr(0, equals), true, &name)) continue;
    if (equals != absl::string_view::npos &&
        !PercentDecode(pair.substr(equals + 1), true, &value)) {
      continue;
    }
    params->Add(std::move(name), std::move(value));
  }
}

}  // namespace narthex::http
